"""The absolute reward: quality, less a fee for every share of latency off the target.

MnasNet's reward (:mod:`mnv3lib.search.reward`) is a product of powers, and a network of half the
latency and a little less quality can win with it. TuNAS takes::

    R(m) = Q(m) + beta * |T(m) / T0 - 1|,  beta < 0,

which is highest at the target for equal quality: too fast costs as much as too slow, so a search
ends near T0 and two searches can be compared there. At the target the slope turns by twice the size
of beta, over T0.

Sources: arXiv 2008.06120 (TuNAS), whose code in google-research has beta = -0.1; arXiv 2004.14525
(MobileDets) searches with it, Q being a detector's average precision. Taught in the chapter on
MobileDets.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["AbsoluteReward"]


@dataclass(frozen=True)
class AbsoluteReward:
    """Quality plus beta times the relative distance from the target.

    Attributes:
        target: T0, the latency aimed at, in the unit of the latencies; above 0.
        beta: What a whole target of distance is worth in units of quality; below 0.

    Raises:
        ValueError: A target not above 0, or a beta not below 0.

    Example:
        >>> reward = AbsoluteReward(target=100)
        >>> round(reward(0.25, 120), 6), round(reward(0.25, 80), 6)
        (0.23, 0.23)
    """

    target: float
    beta: float = -0.1

    def __post_init__(self) -> None:
        if not (self.target > 0 and math.isfinite(self.target)):
            raise ValueError(f"target must be above 0, got {self.target}")
        if not (self.beta < 0 and math.isfinite(self.beta)):
            raise ValueError(
                f"beta must be below 0, got {self.beta}: at 0 or above the target would not matter"
            )

    def __call__(self, quality: float | Tensor, latency: float | Tensor) -> float | Tensor:
        """Rates networks.

        Args:
            quality: Accuracies or average precisions, shares in [0, 1].
            latency: Their latencies, above 0, in the unit of the target; the shapes broadcast.

        Returns:
            A number for two numbers; otherwise float64 of the common shape.

        Raises:
            ValueError: A quality outside [0, 1], as per cent would be, or a latency not above 0.
        """
        share = torch.as_tensor(quality, dtype=torch.float64)
        time = torch.as_tensor(latency, dtype=torch.float64)
        _check("quality", share, (share >= 0) & (share <= 1), "a share in [0, 1]")
        _check("latency", time, (time > 0) & time.isfinite(), "above 0")
        rewards = share + self.beta * (time / self.target - 1).abs()
        both_numbers = all(isinstance(value, int | float) for value in (quality, latency))
        return rewards.item() if both_numbers else rewards


def _check(name: str, values: Tensor, good: Tensor, wanted: str) -> None:
    """Raises a ValueError that names the first value that is not good."""
    if not good.all():
        raise ValueError(f"{name} must be {wanted}, got {values[~good].flatten()[0].item():g}")
