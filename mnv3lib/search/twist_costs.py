"""What a twist costs, and which twist a budget pays for.

In the ideal law cost grows as depth * width^2 * resolution^2. The networks themselves are further
from it the smaller they are, since stem, head and rounding do not shrink; so everything but
:func:`ideal_cost` and :func:`ideal_width` counts the rounded network.

Source: arXiv 2010.14819; EfficientNet's factors: arXiv 1905.11946, section 3.3.
"""

import math

from mnv3lib.models.tinynet import B0, Base, Twist, twisted
from mnv3lib.search.row_costs import macs_at

__all__ = [
    "GIANT",
    "giant_twist",
    "ideal_cost",
    "ideal_width",
    "macs_of",
    "matched_giant",
    "solve_width",
]

GIANT = Twist(resolution=1.15, width=1.1, depth=1.2)
"""EfficientNet's factors for phi = 1 (arXiv 1905.11946, section 3.3)."""


def giant_twist(phi: float) -> Twist:
    """EfficientNet's compound scaling; negative numbers shrink.

    Args:
        phi: Doublings of the cost, nearly.
    """
    return Twist(GIANT.resolution**phi, GIANT.width**phi, GIANT.depth**phi)


def ideal_cost(twist: Twist) -> float:
    """Cost over the base's if nothing were rounded and everything scaled: d w^2 r^2.

    Args:
        twist: The three factors.

    Example:
        >>> round(ideal_cost(GIANT), 6)  # 'nearly 2'
        1.92027
    """
    return twist.depth * twist.width**2 * twist.resolution**2


def ideal_width(share: float, resolution: float, depth: float) -> float:
    """The width that the ideal law leaves for a share of the base's cost.

    Args:
        share: Cost over the base's.
        resolution: Factor of the image's side.
        depth: Factor of the blocks.

    Example:
        >>> round(ideal_width(0.0631, resolution=0.475, depth=0.60), 3)  # TinyNet-E has 0.51
        0.683
    """
    return math.sqrt(share / (depth * resolution**2))


def macs_of(twist: Twist, base: Base = B0) -> int:
    """Multiply-adds of the rounded network at its own resolution.

    Args:
        twist: The three factors.
        base: What is twisted.
    """
    spec = twisted(twist, base)
    return macs_at(spec.resolution)(spec)


def solve_width(
    budget: float,
    resolution: float,
    depth: float,
    base: Base = B0,
    *,
    step: float = 0.005,
    widest: float = 3.0,
) -> float:
    """The largest width whose rounded network stays within a budget.

    Args:
        budget: Multiply-adds.
        resolution: Factor of the image's side.
        depth: Factor of the blocks.
        base: What is twisted.
        step: Distance of the widths that are tried.
        widest: The largest of them.

    Returns:
        A multiple of `step`.

    Raises:
        ValueError: Even the narrowest network costs more.
    """
    low, high = 0, round(widest / step)  # low fits, or nothing does; channels grow with the width
    while low < high:
        middle = (low + high + 1) // 2
        fits = macs_of(Twist(resolution, middle * step, depth), base) <= budget
        low, high = (middle, high) if fits else (low, middle - 1)
    if low == 0:
        least = macs_of(Twist(resolution, step, depth), base)
        raise ValueError(
            f"resolution {resolution:g} and depth {depth:g} cost at least {least:,} multiply-adds, "
            f"the budget is {budget:,.0f}: lower one of the two"
        )
    return round(low * step, 10)


def matched_giant(budget: float, base: Base = B0, *, step: float = 0.01) -> Twist:
    """The inverse giant formula at a budget: the smallest phi whose rounded network fits it.

    Args:
        budget: Multiply-adds.
        base: What is twisted.
        step: Distance of the phis that are tried, downwards from 0.

    Raises:
        ValueError: No network down to phi = -12 fits.
    """
    for index in range(round(12 / step)):
        twist = giant_twist(-index * step)
        if macs_of(twist, base) <= budget:
            return twist
    raise ValueError(f"no compound scaling fits a budget of {budget:,.0f} multiply-adds")
