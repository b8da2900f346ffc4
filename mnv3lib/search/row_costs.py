"""Costs of tables as sums over rows, each row looked up once (chapter 9).

NetAdapt compares hundreds of tables a step, which differ in a row or three. So the cost of a row
at its place is kept, and a new table costs a few look-ups.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from mnv3lib.measure.latency_table import LatencyTable
from mnv3lib.measure.placed_rows import PlacedRow, placed_rows
from mnv3lib.models import NetworkSpec, deploy
from mnv3lib.models.builder import build_row
from mnv3lib.models.initial_weights import initialise
from mnv3lib.models.row_modules import squeeze_channels
from mnv3lib.models.rows import BneckRow, ConvRow, DenseRow, PoolRow, SeparableRow
from mnv3lib.search.row_places import RowPlace, row_places

__all__ = ["macs_at", "place_row", "table_latency_at"]


def macs_at(resolution: int = 224) -> Callable[[NetworkSpec], int]:
    """A function that counts multiply-adds, as :func:`mnv3lib.measure.counting.count` does.

    It takes tables and needs no network.

    Args:
        resolution: Side of the square image in pixels.

    Example:
        >>> from mnv3lib.models import model_spec
        >>> macs_at(224)(model_spec("mobilenet_v3_large"))
        216589760
    """

    def macs(spec: NetworkSpec) -> int:
        return sum(_row_macs(place, spec) for place in row_places(spec, resolution))

    return macs


def table_latency_at(table: LatencyTable, resolution: int) -> Callable[[NetworkSpec], float]:
    """A function that predicts latencies as ``table.predict`` does, many times as fast.

    Args:
        table: Times of rows; see :mod:`mnv3lib.search.reachable_rows` for which.
        resolution: Side of the square image in pixels.

    Returns:
        From a table of rows to milliseconds. It raises a
        :class:`mnv3lib.measure.latency_table.MissingRowsError` for rows without a time.
    """

    @cache
    def placed(place: RowPlace, conventions: NetworkSpec) -> PlacedRow:
        return place_row(place, conventions, weights=False)

    def latency_ms(spec: NetworkSpec) -> float:
        conventions = replace(spec, rows=(), stages=(), source="")
        places = row_places(spec, resolution)
        return table.predict_rows([placed(place, conventions) for place in places])

    return latency_ms


def place_row(place: RowPlace, spec: NetworkSpec, *, weights: bool = True) -> PlacedRow:
    """Builds one row in deploy form, as a latency table knows it.

    Args:
        place: A row at its place.
        spec: The conventions of the network around it.
        weights: Whether the row is to be run; without weights it can only be looked up.
    """
    with torch.device("meta"):
        row = build_row(
            place.row, place.in_channels, spec, stride=place.stride, dilation=place.dilation
        )
    if weights:
        initialise(row.to_empty(device="cpu"))
    return placed_rows(deploy(_Alone(row, place)), 32)[1]


class _Alone(nn.Module):
    """A row behind a stand-in for all rows above it."""

    def __init__(self, row: nn.Module, place: RowPlace) -> None:
        super().__init__()
        self.rows = nn.Sequential(_StandIn(place), row)
        self.spec = SimpleNamespace(rows=(None, place.row))


class _StandIn(nn.Module):
    """Makes the shape of the map that enters a row."""

    def __init__(self, place: RowPlace) -> None:
        super().__init__()
        flat = isinstance(place.row, DenseRow)
        self.shape = (1, place.in_channels, *(() if flat else (place.side, place.side)))

    def forward(self, x: Tensor) -> Tensor:
        """x: Anything. Returns a map of the shape, on the same device."""
        return x.new_empty(self.shape)


def _conv_macs(place: RowPlace, spec: NetworkSpec) -> int:
    return place.row.kernel**2 * place.in_channels * place.row.out * place.out_side**2


def _separable_macs(place: RowPlace, spec: NetworkSpec) -> int:
    a_pixel = place.in_channels * (place.row.kernel**2 + place.row.out)
    return a_pixel * place.out_side**2


def _bneck_macs(place: RowPlace, spec: NetworkSpec) -> int:
    row = place.row
    expand = place.in_channels * row.exp * place.side**2 if place.expands else 0
    filter_and_project = row.exp * (row.kernel**2 + row.out) * place.out_side**2
    squeezed = squeeze_channels(spec, place.in_channels, row.exp) if row.se else 0
    return expand + filter_and_project + 2 * row.exp * squeezed


_MACS: dict[type, Callable[[RowPlace, NetworkSpec], int]] = {
    ConvRow: _conv_macs,
    SeparableRow: _separable_macs,
    BneckRow: _bneck_macs,
    PoolRow: lambda place, spec: 0,
    DenseRow: lambda place, spec: place.in_channels * place.row.out,
}


def _row_macs(place: RowPlace, spec: NetworkSpec) -> int:
    return _MACS[type(place.row)](place, spec)
