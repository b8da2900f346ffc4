"""How accuracy goes along the axes of a grid of twists that cost the same.

Two views of the same grid, seed by seed. Spearman's rank correlation asks for the order alone, and
is coarse where an axis has three values with three twists each: it moves in steps of 0.053, and
0.949 is the most it can be. A regression asks for the size: how many points a doubling of
one axis brings, if the width pays for it.

Shown in the chapter on TinyNet.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import spearmanr

__all__ = ["correlations", "slopes"]


def correlations(
    axes: Mapping[str, Sequence[float]], top1: Sequence[Sequence[float]]
) -> dict[str, list[float]]:
    """Spearman's rank correlation of accuracy with each axis.

    Args:
        axes: Where each twist is, by axis.
        top1: Accuracies, for each twist one a seed.

    Returns:
        For each axis along which the twists differ, one number a seed.
    """
    return {
        axis: [float(spearmanr(along, column).statistic) for column in zip(*top1, strict=True)]
        for axis, along in _varied(axes).items()
    }


def slopes(
    axes: Mapping[str, Sequence[float]], top1: Sequence[Sequence[float]]
) -> dict[str, list[float]]:
    """What a doubling of each axis brings, by least squares on logarithms.

    Accuracy is fitted as a constant and a number for each axis times the axis' logarithm to base 2.
    With twists of one cost, leave out the width: the others and the cost decide it.

    Args:
        axes: Where each twist is, above 0, by axis.
        top1: Accuracies, for each twist one a seed.

    Returns:
        For each axis along which the twists differ, one number a seed, in the unit of `top1`.

    Raises:
        ValueError: The axes go together, or there are too few twists to tell them apart.
    """
    varied = _varied(axes)
    columns = [np.log2(np.asarray(along, dtype=float)) for along in varied.values()]
    design = np.column_stack([np.ones(len(top1)), *columns])  # (twists, 1 + axes)
    fitted, _, rank, _ = np.linalg.lstsq(design, np.asarray(top1, dtype=float), rcond=None)
    if rank < design.shape[1]:
        raise ValueError(
            f"{len(top1)} twists cannot tell {' and '.join(varied)} apart: vary each by itself"
        )
    return {axis: row.tolist() for axis, row in zip(varied, fitted[1:], strict=True)}


def _varied(axes: Mapping[str, Sequence[float]]) -> dict[str, Sequence[float]]:
    return {axis: along for axis, along in axes.items() if len(set(along)) > 1}
