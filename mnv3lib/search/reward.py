"""The reward of platform-aware search: accuracy, traded for latency at a chosen rate (chapter 8).

MnasNet (arXiv 1807.11626, section 3) maximises

    ACC(m) * (LAT(m) / TAR) ^ w,  w = alpha if LAT(m) <= TAR, else beta,

a product, so that one number ranks networks on both sides of the target. With alpha = beta = w
the constraint is *soft*: w is how many per cent of accuracy a per cent of latency is worth. With
alpha = 0 and beta = -1 it is *hard*: nothing is won below the target, much lost above.

MobileNetV3 (arXiv 1905.02244, final version, section 4.1) keeps w = -0.07 for Large and takes
w = -0.15 for Small. It calls that the smaller factor; being more negative, it punishes latency
more.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Reward", "indifference_exponent"]


@dataclass(frozen=True)
class Reward:
    """Accuracy times a power of latency over target.

    Attributes:
        target_ms: TAR, the latency aimed at, in the unit of the latencies; above 0.
        alpha: Exponent up to the target, at most 0.
        beta: Exponent beyond it, at most 0.

    Raises:
        ValueError: A target not above 0, or an exponent above 0 or not finite.

    Example:
        >>> reward = Reward.soft(target_ms=75, w=-0.07)
        >>> round(reward(0.75, 150), 4)  # twice the target costs 4.7 per cent of the accuracy
        0.7145
    """

    target_ms: float
    alpha: float
    beta: float

    def __post_init__(self) -> None:
        if not (self.target_ms > 0 and math.isfinite(self.target_ms)):
            raise ValueError(f"target must be above 0, got {self.target_ms}")
        for name in ("alpha", "beta"):
            value = getattr(self, name)
            if not (value <= 0 and math.isfinite(value)):
                raise ValueError(
                    f"{name} must be 0 or below, got {value}: above 0 it would reward slowness"
                )

    @classmethod
    def soft(cls, target_ms: float, w: float = -0.07) -> "Reward":
        """One exponent on both sides; the default is MnasNet's and MobileNetV3-Large's."""
        return cls(target_ms, alpha=w, beta=w)

    @classmethod
    def hard(cls, target_ms: float) -> "Reward":
        """The accuracy within the target, accuracy * TAR / LAT beyond it."""
        return cls(target_ms, alpha=0.0, beta=-1.0)

    def factor(self, latency_ms: float | Tensor) -> float | Tensor:
        """What latency does to accuracy: (LAT / TAR) ^ w.

        Args:
            latency_ms: Latencies of any shape, above 0.

        Returns:
            A number for a number; otherwise float64 of the same shape.

        Raises:
            ValueError: A latency not above 0.
        """
        ratio = torch.as_tensor(latency_ms, dtype=torch.float64) / self.target_ms
        _check("latency", latency_ms, ratio > 0, "above 0")
        factors = torch.where(ratio <= 1, ratio**self.alpha, ratio**self.beta)
        return factors.item() if _is_number(latency_ms) else factors

    def __call__(self, accuracy: float | Tensor, latency_ms: float | Tensor) -> float | Tensor:
        """Rates networks.

        Args:
            accuracy: Accuracies as shares in [0, 1].
            latency_ms: Their latencies; the shapes broadcast.

        Returns:
            A number for two numbers; otherwise float64 of the common shape.

        Raises:
            ValueError: An accuracy outside [0, 1], as per cent would be, or a latency not above 0.
        """
        share = torch.as_tensor(accuracy, dtype=torch.float64)
        _check("accuracy", accuracy, (share >= 0) & (share <= 1), "a share in [0, 1]")
        rewards = share * self.factor(latency_ms)
        return rewards.item() if _is_number(accuracy) and _is_number(latency_ms) else rewards


def indifference_exponent(accuracy_ratio: float, latency_ratio: float) -> float:
    """The w at which so much more latency for so much more accuracy leaves the reward equal.

    Args:
        accuracy_ratio: Accuracy of one network over that of another, above 0.
        latency_ratio: Its latency over that of the other, above 0 and not 1.

    Raises:
        ValueError: Ratios out of range.

    Example:
        >>> round(indifference_exponent(1.05, 2), 7)  # MnasNet rounds it to -0.07
        -0.0703893
    """
    if not (accuracy_ratio > 0 and latency_ratio > 0 and latency_ratio != 1):
        raise ValueError(
            "ratios must be above 0, and that of latency not 1; got "
            f"{accuracy_ratio} and {latency_ratio}"
        )
    return -math.log(accuracy_ratio) / math.log(latency_ratio)


def _is_number(value: float | Tensor) -> bool:
    return isinstance(value, int | float)


def _check(name: str, values: float | Tensor, good: Tensor, wanted: str) -> None:
    """Raises a ValueError that names the first value that is not good."""
    if not good.all():
        first = torch.as_tensor(values)[~good].flatten()[0].item()
        raise ValueError(f"{name} must be {wanted}, got {first:g}")
