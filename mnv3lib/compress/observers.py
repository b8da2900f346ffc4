"""Calibration: which range of an activation the 256 levels are to cover (chapter 12).

========== ====================================================================================
min_max    all values seen; one stray value takes levels from all others
percentile all but a share of the values, cut off in equal parts at both ends
entropy    the range in which the levels lose least information about the distribution
========== ====================================================================================

The last two look at a histogram of all values seen. Its bins start at 0 and have a power of two as
width, so that bins can be merged in pairs when a larger value comes: the histogram does not depend
on the order of the images or on how they are batched.

Source of the entropy calibration: Migacz, "8-bit inference with TensorRT", GTC 2017. Importing this
module takes seconds (torchao), so it is imported where it is used.
"""

import math
from typing import Any

import torch
from torch import Tensor

from mnv3lib.data.needs import needs_extra
from mnv3lib.measure.silence import hushed
from mnv3lib.names import nearest_names

with needs_extra("deploy"), hushed():
    from torchao.quantization.pt2e import MinMaxObserver, ObserverBase
    from torchao.quantization.pt2e.observer import UniformQuantizationObserverBase

__all__ = [
    "BINS",
    "CALIBRATIONS",
    "EntropyObserver",
    "HistogramObserver",
    "PercentileObserver",
    "divergence",
    "find_calibration",
    "least_divergent",
]

BINS = 2048
"""Bins of magnitudes, on either side of 0."""

_LEVELS = 128  # of magnitudes: int8 has 256 with a sign
_STRIDE = 16  # bins between two ranges that are tried


class HistogramObserver(UniformQuantizationObserverBase):
    """Counts the values that pass, in bins; subclasses choose the range.

    Attributes:
        counts: Values in ``[k width, (k + 1) width)`` for k from -BINS to BINS - 1, int64.
        width: The smallest power of two, from 2^-100, at which every value seen has a bin; float64.
        min_val: Smallest value seen.
        max_val: Largest value seen.
    """

    counts: Tensor
    width: Tensor
    min_val: Tensor
    max_val: Tensor

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.register_buffer("counts", torch.zeros(2 * BINS, dtype=torch.int64))
        self.register_buffer("width", torch.tensor(2.0**-100, dtype=torch.float64))
        self.register_buffer("min_val", torch.tensor(math.inf))
        self.register_buffer("max_val", torch.tensor(-math.inf))

    def forward(self, x: Tensor) -> Tensor:
        """Counts the values of x, any shape, which is passed on."""
        values = x.detach().flatten()
        low, high = values.aminmax()
        self.min_val.copy_(torch.minimum(self.min_val, low))
        self.max_val.copy_(torch.maximum(self.max_val, high))
        self._widen(max(-low.item(), high.item()))
        place = torch.floor(values / self.width.to(values)).long() + BINS
        self.counts += torch.bincount(place, minlength=2 * BINS)
        return x

    def _widen(self, magnitude: float) -> None:
        """Merges bins until a magnitude has one."""
        width = 2.0 ** math.frexp(magnitude / BINS)[1]  # the next power of two above
        if magnitude == 0 or width <= self.width:
            return
        merged = torch.floor(torch.arange(-BINS, BINS) * (self.width / width)).long() + BINS
        self.counts.copy_(torch.zeros_like(self.counts).index_add_(0, merged, self.counts))
        self.width.fill_(width)

    def range(self) -> tuple[Tensor, Tensor]:
        """The range that the levels are to cover; scalars."""
        raise NotImplementedError

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        """Scale and zero point, (1,) each."""
        low, high = self.range()
        return self._calculate_qparams(
            torch.maximum(low.float(), self.min_val), torch.minimum(high.float(), self.max_val)
        )


class PercentileObserver(HistogramObserver):
    """Cuts off the rarest values, half of them at either end, to whole bins.

    Args:
        share: Share of the values that the range covers at least; 1 covers all.
        settings: Those of torchao's observers.
    """

    def __init__(self, share: float = 0.9999, **settings: Any) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"the share of values to cover must lie in (0, 1], got {share}")
        super().__init__(**settings)
        self.share = share

    def range(self) -> tuple[Tensor, Tensor]:
        """From the first bin to the last one that are not cut off."""
        below = self.counts.cumsum(0)
        above = self.counts.flip(0).cumsum(0).flip(0)
        cut = (1 - self.share) / 2 * below[-1]
        kept = ((below > cut) & (above > cut)).nonzero()
        return (kept[0, 0] - BINS) * self.width, (kept[-1, 0] + 1 - BINS) * self.width


class EntropyObserver(HistogramObserver):
    """Saturates magnitudes above the threshold of :func:`least_divergent`."""

    def range(self) -> tuple[Tensor, Tensor]:
        """The threshold with either sign."""
        magnitudes = (self.counts[BINS:] + self.counts[:BINS].flip(0)).double()
        magnitudes[0] = magnitudes[1]  # as TensorRT does: 0, often a peak, is exact at any scale
        threshold = least_divergent(magnitudes) * self.width
        return -threshold, threshold


def least_divergent(counts: Tensor, *, levels: int = _LEVELS, stride: int = _STRIDE) -> int:
    """How many bins to keep so that levels tell most about the distribution.

    Args:
        counts: Values in each bin of magnitudes, (bins,), at least as many as levels.
        levels: Levels of magnitude that the kept bins will share.
        stride: Bins between two candidates, which begin at one bin a level.

    Returns:
        The candidate of the least :func:`divergence`, of equal ones the largest; all bins that
        hold anything if those are fewer than the levels.
    """
    filled = int(counts.nonzero().max()) + 1 if counts.any() else 0
    candidates = [*range(levels, filled, stride), max(filled, levels)]
    return min(reversed(candidates), key=lambda kept: divergence(counts, kept, levels))


def divergence(counts: Tensor, kept: int, levels: int) -> float:
    """What is lost when the first bins share levels and larger values saturate, in nats.

    The Kullback-Leibler divergence of two distributions over the kept bins: the counts, with all
    that saturates added to the last bin that holds anything, and the counts (without these) after
    every level has spread its sum over those of its bins that hold anything; both as shares of all
    values. The talk differs in two details, which make the result infinite if the last bin is
    empty, and zero if almost everything saturates, as for a gate that is never below 0.3: it adds
    to the last bin in any case, and takes the second distribution as shares of the kept values.

    Args:
        counts: Values in each bin of magnitudes, (bins,).
        kept: Bins that are kept.
        levels: Levels that they share, as equally as whole bins allow.

    Returns:
        The divergence; infinite if every value saturates.
    """
    own, saturated = counts[:kept].double(), counts[kept:].sum()
    if not own.any():
        return math.inf if saturated else 0.0
    reference = own.clone()
    reference[own.nonzero().max()] += saturated

    level = torch.arange(kept) * levels // kept
    sums = torch.zeros(levels, dtype=torch.float64).index_add_(0, level, own)
    bins = torch.zeros(levels, dtype=torch.float64).index_add_(0, level, (own > 0).double())
    spread = (sums / bins)[level]

    filled = own > 0
    p, q = reference[filled] / reference.sum(), spread[filled] / counts.sum()
    return (p * (p / q).log()).sum().item()


CALIBRATIONS: dict[str, type[ObserverBase]] = {
    "min_max": MinMaxObserver,
    "percentile": PercentileObserver,
    "entropy": EntropyObserver,
}


def find_calibration(name: str) -> type[ObserverBase]:
    """The observer of a calibration.

    Raises:
        ValueError: None has that name.
    """
    if name not in CALIBRATIONS:
        near = nearest_names(name, CALIBRATIONS)
        raise ValueError(f"unknown calibration {name!r}; did you mean {near}?")
    return CALIBRATIONS[name]
