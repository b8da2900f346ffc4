"""The tiny formula: how to shrink a network by resolution, depth and width.

EfficientNet enlarges B0 by one number, phi, that moves all three axes in fixed proportions (the
*giant formula*); with a negative phi it shrinks. TinyNets let measurements choose instead: train
many twists of the base, keep those that no other beats, and fit resolution and depth over the share
of the base's multiply-adds by Gaussian-process regression. Width takes what the budget leaves.

Source: arXiv 2010.14819. Its text names the steps but, as far as we could read it, not the kernel
and not how the front is chosen: here a squared exponential over the logarithm of the share, and the
networks that none dominates. The width is solved on the rounded network, see
:mod:`mnv3lib.search.twist_costs`.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Kernel

from mnv3lib.models.tinynet import B0, Base, Twist
from mnv3lib.search.pareto import pareto_front
from mnv3lib.search.twist_costs import macs_of, solve_width

__all__ = ["Prediction", "TinyFormula", "TrainedTwist", "frontier"]


@dataclass(frozen=True)
class TrainedTwist:
    """A twist that has been trained.

    Attributes:
        twist: The three factors.
        macs: Multiply-adds of its network.
        accuracy: What it reached, a share.
    """

    twist: Twist
    macs: int
    accuracy: float


def frontier(trained: Sequence[TrainedTwist]) -> list[TrainedTwist]:
    """The twists that no other beats in accuracy and multiply-adds, from the cheapest.

    Args:
        trained: Twists of one base, trained alike.
    """
    accuracy = torch.tensor([t.accuracy for t in trained], dtype=torch.float64)
    macs = torch.tensor([t.macs for t in trained], dtype=torch.float64)
    return [trained[index] for index in pareto_front(accuracy, macs).tolist()]


@dataclass(frozen=True)
class Prediction:
    """What the regression says for one share.

    Attributes:
        resolution: Factor of the image's side.
        depth: Factor of the blocks.
        resolution_sd: Standard deviation of the first.
        depth_sd: Standard deviation of the second.
    """

    resolution: float
    depth: float
    resolution_sd: float
    depth_sd: float


class TinyFormula:
    """Resolution and depth over the share of the base's cost, by Gaussian-process regression.

    Args:
        twists: Twists of the front.
        shares: Their multiply-adds over the base's.
        kernel: Covariance over the natural logarithm of the share; a squared exponential whose
            height and length are fitted by marginal likelihood when not given.
        noise: Variance of the noise on both numbers.

    Raises:
        ValueError: Fewer than two twists, or not one share above 0 for each.
    """

    def __init__(
        self,
        twists: Sequence[Twist],
        shares: Sequence[float],
        *,
        kernel: Kernel | None = None,
        noise: float = 1e-4,
    ) -> None:
        if len(twists) != len(shares) or len(twists) < 2 or min(shares) <= 0:
            raise ValueError(
                f"need a share above 0 for each of at least two twists, got {len(twists)} twists "
                f"and the shares {list(shares)}"
            )
        x = np.log(np.asarray(shares, dtype=float))[:, None]  # (N, 1)
        y = np.array([[twist.resolution, twist.depth] for twist in twists])  # (N, 2)
        self._mean = y.mean(0)
        free = ConstantKernel(0.1, (1e-4, 1e2)) * RBF(1.0, (0.3, 10.0))
        with warnings.catch_warnings():
            # A front of few points may say nothing about a height or a length, which then ends at
            # its bound; the standard deviations of the predictions tell.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._fits = [
                GaussianProcessRegressor(kernel or free, alpha=noise).fit(x, column)
                for column in (y - self._mean).T
            ]

    def predict(self, share: float) -> Prediction:
        """Resolution and depth at a share of the base's cost.

        Args:
            share: Multiply-adds over the base's.
        """
        x = np.log([[share]])
        found = [fit.predict(x, return_std=True) for fit in self._fits]
        means = [
            float(middle + mean[0]) for (mean, _), middle in zip(found, self._mean, strict=True)
        ]
        return Prediction(*means, *(float(std[0]) for _, std in found))

    def twist(self, budget: float, base: Base = B0, *, step: float = 0.005) -> Twist:
        """The twist for a budget: resolution and depth as fitted, the width that is left.

        Images do not become larger than the base's.

        Args:
            budget: Multiply-adds.
            base: What is twisted.
            step: Distance of the widths that are tried.

        Raises:
            ValueError: The fitted resolution and depth alone cost more.
        """
        found = self.predict(budget / macs_of(Twist(), base))
        resolution = min(found.resolution, 1.0)
        width = solve_width(budget, resolution, found.depth, base, step=step)
        return Twist(resolution, width, found.depth)
