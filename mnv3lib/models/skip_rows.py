"""The row of a skip block, which reads an earlier row beside the one before it.

Taught in chapter 14.
"""

from dataclasses import dataclass, replace

from mnv3lib.models.row_modules import Place, row_module
from mnv3lib.models.rows import row_kind
from mnv3lib.models.scaling import Narrowing, scaled_row
from mnv3lib.ops import make_divisible
from mnv3lib.ops.skip_block import SkipBlock

__all__ = ["SkipBlockRow"]


@row_kind("skip_block")
@dataclass(frozen=True)
class SkipBlockRow:
    """``skip, kxk``: adds a skip block over an earlier row's output, see :class:`SkipBlock`.

    Attributes:
        kernel: Side of the depthwise kernel.
        ratio: Channels of the middle over those of the earlier row, before rounding to eight. The
            table's integers would not do: 40 over 16 is 2.5 where the code says 2.3.
        out: Output channels at width 1, those of the row before.
        act: Activation.
        source: The earlier row, counted from 0.
    """

    kernel: int
    ratio: float
    out: int
    act: str
    source: int

    @property
    def operator(self) -> str:
        """The row in words, as reports print it."""
        return f"skip {self.kernel}x{self.kernel} from row {self.source}"


@row_module.register
def _(row: SkipBlockRow, place: Place) -> SkipBlock:
    block = SkipBlock(
        place.earlier_channels,
        make_divisible(row.ratio * place.earlier_channels),
        row.out,
        row.kernel,
        dilation=place.dilation,
        act=row.act,
        **place.conventions,
    )
    block.source = row.source
    return block


@scaled_row.register
def _(row: SkipBlockRow, at: Narrowing) -> SkipBlockRow:
    return replace(row, out=make_divisible(row.out * at.width_mult))
