"""Tables that print a line per stage, as MobileNetV2's (t, c, n, s), unrolled to rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mnv3lib.models.rows import BneckRow

__all__ = ["StageRow", "unroll"]


@dataclass(frozen=True)
class StageRow:
    """n inverted residuals; only the first has the stride.

    Attributes:
        t: Expansion over input channels.
        c: Output channels.
        n: Number of blocks.
        s: Stride of the first block.
        act: Activation.
        kernel: Side of the depthwise kernels.
        se: Whether the blocks have squeeze-and-excite.
    """

    t: int
    c: int
    n: int
    s: int
    act: str
    kernel: int = 3
    se: bool = False


def unroll(in_channels: int, stages: Iterable[StageRow]) -> Iterator[BneckRow]:
    """Yields the blocks of all stages, in order.

    Args:
        in_channels: Channels that enter the first stage.
        stages: The table's lines.
    """
    for stage in stages:
        for index in range(stage.n):
            stride = stage.s if index == 0 else 1
            exp = stage.t * in_channels
            yield BneckRow(stage.kernel, exp, stage.c, stage.se, stage.act, stride)
            in_channels = stage.c
