"""Twists of one cost, to see what a budget is best spent on.

Resolution and depth are laid out as a grid, and the width takes what is left of the budget. So all
cells cost the same, and what one axis gets the others pay for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mnv3lib.models import NetworkSpec
from mnv3lib.models.rows import ConvRow, DenseRow, PoolRow
from mnv3lib.models.stages import StageRow
from mnv3lib.models.tinynet import B0, Base, Twist, twisted
from mnv3lib.search.twist_costs import macs_of, solve_width

__all__ = ["SMALL_BASE", "TwistCell", "at_side", "twist_grid"]

_LINES = (  # blocks, channels, kernel, stride: EfficientNet-B0's stages with half the channels
    (1, 8, 3, 1),
    (2, 12, 3, 2),
    (2, 20, 5, 2),
    (3, 40, 3, 2),
    (3, 56, 5, 1),
    (4, 96, 5, 2),
    (1, 160, 3, 1),
)

SMALL_BASE = Base(
    replace(
        B0.spec,
        family="small_b0",
        source="ours: EfficientNet-B0 at half the width, for images of 32 pixels",
        rows=(ConvRow(3, 16, "swish", 1), ConvRow(1, 256, "swish"), PoolRow(), DenseRow(10)),
        stages=(),
        dropout=0.0,
        resolution=32,
    ),
    tuple(
        StageRow(6 if index else 1, c, n, s, "swish", kernel=kernel, se=True)
        for index, (n, c, kernel, s) in enumerate(_LINES)
    ),
    divisor=4,
)
"""A base for small images: the stem keeps their size, and channels are multiples of four."""


@dataclass(frozen=True)
class TwistCell:
    """One cell of a grid.

    Attributes:
        twist: The three factors.
        macs: Multiply-adds of its rounded network at its own resolution.
        spec: Its table.
    """

    twist: Twist
    macs: int
    spec: NetworkSpec

    @classmethod
    def of(cls, twist: Twist, base: Base = SMALL_BASE) -> "TwistCell":
        """The cell of a twist of a base."""
        return cls(twist, macs_of(twist, base), twisted(twist, base, family=base.spec.family))


def at_side(side: int, base: Base = SMALL_BASE) -> float:
    """The resolution factor that rounds down to a side in pixels.

    Args:
        side: Side of the image in pixels.
        base: What is twisted.
    """
    return (side + 0.5) / base.spec.resolution if side != base.spec.resolution else 1.0


def twist_grid(
    budget: float,
    sides: Sequence[int],
    depths: Sequence[float],
    base: Base = SMALL_BASE,
    *,
    tolerance: float = 0.05,
) -> Iterator[TwistCell]:
    """Yields the twists of a grid that cost the budget, each with the width that comes closest.

    Args:
        budget: Multiply-adds.
        sides: Sides of the images in pixels.
        depths: Factors of the blocks.
        base: What is twisted.
        tolerance: Cells whose cost differs from the budget by a larger share are left out:
            widths come in steps, and some images or depths cost more than there is.
    """
    for side in sides:
        for depth in depths:
            cells = _candidates(budget, at_side(side, base), depth, base)
            best = min(cells, key=lambda cell: abs(cell.macs - budget), default=None)
            if best is not None and abs(best.macs / budget - 1) <= tolerance:
                yield best


def _candidates(budget: float, resolution: float, depth: float, base: Base) -> list[TwistCell]:
    """The widest network below a budget, and the next one above it."""
    step = 0.01
    try:
        width = solve_width(budget, resolution, depth, base, step=step)
    except ValueError:  # nothing is narrow enough
        return []
    wider = round(width + step, 10)
    return [TwistCell.of(Twist(resolution, w, depth), base) for w in (width, wider)]
