"""Rows of a table at their places: what enters each row, and what it is built of (chapter 9).

Whether a block has an expansion convolution and whether it adds its input is nowhere in its row:
both follow from the channels that enter. :class:`mnv3lib.models.Network` decides so when it
builds; a search that changes widths has to know it before.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mnv3lib.models import NetworkSpec
from mnv3lib.models.rows import BneckRow, ConvRow, DenseRow, PoolRow, Row, SeparableRow

__all__ = ["RowPlace", "has_known_rows", "row_places"]

_KNOWN = (ConvRow, SeparableRow, BneckRow, PoolRow, DenseRow)


@dataclass(frozen=True)
class RowPlace:
    """A row, with what the rows above it decide.

    Attributes:
        row: The line of the table.
        in_channels: Channels that enter it.
        side: Side of the square map that enters it, in pixels; 1 after pooling.
        stride: Its stride, 1 where the output stride of the network takes it away.
        dilation: Dilation of its kernel.
    """

    row: Row
    in_channels: int
    side: int
    stride: int
    dilation: int

    @property
    def expands(self) -> bool:
        """Whether it is a block with an expansion convolution."""
        return isinstance(self.row, BneckRow) and self.row.exp != self.in_channels

    @property
    def adds(self) -> bool:
        """Whether it is a block that adds its input to its output."""
        same = self.stride == 1 and getattr(self.row, "out", 0) == self.in_channels
        return isinstance(self.row, BneckRow) and same

    @property
    def out_side(self) -> int:
        """Side of the square map that leaves it, in pixels."""
        return 1 if isinstance(self.row, PoolRow) else -(-self.side // self.stride)


def has_known_rows(spec: NetworkSpec) -> bool:
    """Whether a table can be adapted: its rows are the MobileNets', built as they build them.

    Args:
        spec: A table.
    """
    return not spec.always_expand and all(type(row) in _KNOWN for row in spec.rows)


def row_places(spec: NetworkSpec, resolution: int = 224) -> Iterator[RowPlace]:
    """Yields the rows of a table at their places, top to bottom.

    Args:
        spec: A table.
        resolution: Side of the square image in pixels.

    Raises:
        ValueError: A table without :func:`has_known_rows`.
    """
    if spec.always_expand:
        raise ValueError(
            f"{spec.family} expands in every block, also where that widens nothing: only tables "
            "whose narrow blocks leave the expansion out can be adapted"
        )
    channels, side, nominal_stride, dilation = 3, resolution, 1, 1
    for row in spec.rows:
        if type(row) not in _KNOWN:
            raise ValueError(
                f"{type(row).__name__} is none of the papers' rows: only "
                f"{', '.join(kind.__name__ for kind in _KNOWN)} can be adapted"
            )
        stride = getattr(row, "stride", 1)
        nominal_stride *= stride
        keeps_size = nominal_stride > spec.output_stride
        place = RowPlace(row, channels, side, 1 if keeps_size else stride, dilation)
        yield place
        dilation *= stride if keeps_size else 1
        channels, side = getattr(row, "out", channels), place.out_side
