"""Rows of a network at their place: what a latency table has one line for (chapter 6).

The latency of a block depends on the block and on the map that enters it, and on nothing else in
the network. So a row and its input shape are a unit that can be timed once and looked up ever
after, in every network that contains it.
"""

import copy
import hashlib
from dataclasses import dataclass

import torch
from torch import nn

from mnv3lib.measure.image_size import check_resolution, own_resolution
from mnv3lib.models.running import earlier_rows

__all__ = ["PlacedRow", "placed_rows", "shape_text"]


@dataclass(frozen=True)
class PlacedRow:
    """A row and the shapes of the maps that enter and leave it.

    Attributes:
        key: What the row is, readable, with a hash of its module's description behind it, since
            conventions such as padding are not in the row itself.
        module: The row's module.
        input_shape: Shape of its input, batch of one.
        output_shape: Shape of its output.
    """

    key: str
    module: nn.Module
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]


@torch.no_grad()
def placed_rows(model: nn.Module, resolution: int | None = None) -> list[PlacedRow]:
    """Finds the rows of a network and the shapes at their places, without computing anything.

    Args:
        model: A network with a sequence ``rows``.
        resolution: Side of the square image in pixels; the network's own if not given.

    Returns:
        The rows from first to last.

    Raises:
        ValueError: A resolution below 32, a model without rows, or a row that reads an earlier
            row's output beside its input, which cannot be run alone.
    """
    resolution = own_resolution(model) if resolution is None else resolution
    check_resolution(resolution)
    rows = getattr(model, "rows", None)
    if not isinstance(rows, nn.Sequential):
        raise ValueError(
            f"{type(model).__name__} has no sequence of rows to time one by one: build the network "
            "with mnv3lib.create_model"
        )
    for reader, source in earlier_rows(rows).items():
        raise ValueError(
            f"row {reader} also reads the output of row {source}, so it cannot be timed by itself: "
            "time the whole network with mnv3lib.latency"
        )
    placed = []
    x = torch.empty(1, 3, resolution, resolution, device="meta")
    for label, row in zip(_labels(model), rows, strict=True):
        y = copy.deepcopy(row).to("meta").eval()(x)
        placed.append(PlacedRow(_key(label, row, x), row, tuple(x.shape), tuple(y.shape)))
        x = y
    return placed


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape without its batch, for keys: ``16x112x112``."""
    return "x".join(str(size) for size in shape[1:])


def _labels(model: nn.Module) -> list[str]:
    """A readable name for each row: the line of the table if there is one."""
    spec = getattr(model, "spec", None)
    if spec is not None:
        return [repr(row) for row in spec.rows]
    return [type(row).__name__ for row in model.rows]


def _key(label: str, row: nn.Module, x: torch.Tensor) -> str:
    digest = hashlib.sha256(repr(row).encode()).hexdigest()[:8]
    return f"{label} @ {shape_text(tuple(x.shape))} #{digest}"
