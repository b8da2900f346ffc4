"""Reach: the smallest effect that a few repetitions can show (chapter 7).

Two variants are trained with the same seeds, and their results subtracted seed by seed. If there
were no effect, the mean of such differences would still not be zero; its size would exceed the
reach in one comparison of twenty. Only a mean beyond its reach is called an effect in this book.
"""

import math
from collections.abc import Sequence
from statistics import stdev

from scipy.special import stdtrit  # scipy.stats has it too, and takes a second to import

__all__ = ["reach"]


def reach(differences: Sequence[float], *, level: float = 0.95) -> float:
    """Half the width of Student's interval around the mean of paired differences.

    Args:
        differences: One a seed, in any unit; at least two.
        level: Level of the interval.

    Returns:
        The quantile of Student's t distribution times the standard error, in the same unit.

    Raises:
        ValueError: Fewer than two differences, or a level outside of (0, 1).

    Example:
        >>> round(reach([1.0, 2.0, 3.0]), 3)
        2.484
    """
    if len(differences) < 2:
        raise ValueError(f"the spread of {len(differences)} difference is unknown; run more seeds")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    quantile = float(stdtrit(len(differences) - 1, (1 + level) / 2))
    return quantile * stdev(differences) / math.sqrt(len(differences))
