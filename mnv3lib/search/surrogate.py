"""A surrogate: from a few hundred trained networks to the accuracy of all others (chapter 8).

No one trains every network of a space to compare searchers. The accuracy of a network is close to a
sum: what each option adds by itself (*main effects*), and what two options add by being together
(*interactions*). Ridge regression finds both from the networks that were trained::

    minimise |y - a - F w|^2 + penalty |w|^2,

F being the one-hot vectors and the products of their columns, each less its mean, so that the
intercept a is free. A single decomposition of F solves it for every penalty, and also says how
well each network would be predicted if it were left out, without leaving any out. The penalty
with the smallest such error is taken.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from mnv3lib.search.encoding import one_hot
from mnv3lib.search.space import Space

__all__ = ["PENALTIES", "Surrogate", "cross_validate"]

PENALTIES = tuple(10 ** (half / 2) for half in range(-6, 9))  # 0.001 to 10,000, two a decade


@dataclass(frozen=True, eq=False)
class Surrogate:
    """Predicts a number for each point of a space.

    Attributes:
        space: The space, whose choices have W options in all.
        intercept: The prediction without any effect.
        effects: What each option adds, float64 (W,).
        interactions: What each pair of options adds, float64 (W, W), above the diagonal; 0 for
            two options of one choice.
        penalty: The penalty that was taken, one of ``PENALTIES``.
        loo_rmse: Root of the mean squared error of each network's prediction from all others, at
            this penalty. Taking the smallest makes it a little too good; see
            :func:`cross_validate`.
    """

    space: Space
    intercept: float
    effects: Tensor = field(repr=False)
    interactions: Tensor = field(repr=False)
    penalty: float
    loo_rmse: float

    @classmethod
    def fit(cls, space: Space, codes: Tensor, targets: Tensor) -> "Surrogate":
        """Learns from networks.

        Args:
            space: The space.
            codes: At least two of its points, each once, int64 (M, D).
            targets: What to predict, float64 (M,).

        Raises:
            ValueError: Fewer than two points, other shapes, a target that is not finite, or codes
                that are not of the space.
        """
        _check_targets(codes, targets, at_least=2)
        pairs = _pairs(space)
        features = _features(space, codes, pairs)
        solutions, loo_mse = _ridge(features, targets)
        best = int(loo_mse.argmin())
        weights = solutions[best]
        width = sum(space.sizes)
        interactions = torch.zeros(width, width, dtype=torch.float64)
        interactions[pairs[0], pairs[1]] = weights[width:]
        return cls(
            space,
            intercept=(targets.mean() - features.mean(0) @ weights).item(),
            effects=weights[:width],
            interactions=interactions,
            penalty=PENALTIES[best],
            loo_rmse=loo_mse[best].sqrt().item(),
        )

    def __call__(self, codes: Tensor) -> Tensor:
        """Predictions for codes, int64 (N, D): float64 (N,).

        Raises:
            ValueError: The codes are not of the space.
        """
        options = one_hot(self.space, codes).to(torch.float64)  # (N, W)
        together = ((options @ self.interactions) * options).sum(1)
        return self.intercept + options @ self.effects + together


def cross_validate(
    space: Space, codes: Tensor, targets: Tensor, *, folds: int = 10, generator: torch.Generator
) -> Tensor:
    """Predicts each network by a surrogate that has not seen it.

    Penalties are chosen without the networks that are predicted, so the errors are honest.

    Args:
        space: The space.
        codes: Points, each once, int64 (M, D).
        targets: What to predict, float64 (M,).
        folds: Parts that are left out in turn, from 2 to M; at least two networks must remain.
        generator: Decides which network is in which part.

    Returns:
        Predictions, float64 (M,).

    Raises:
        ValueError: Another number of folds; or see :meth:`Surrogate.fit`.
    """
    _check_targets(codes, targets, at_least=3)
    if not 2 <= folds <= len(codes):
        raise ValueError(
            f"{len(codes)} networks can be cut into 2 to {len(codes)} folds, not {folds}"
        )
    fold = torch.randperm(len(codes), generator=generator) % folds
    predictions = torch.empty(len(codes), dtype=torch.float64)
    for left_out in (fold == number for number in range(folds)):
        surrogate = Surrogate.fit(space, codes[~left_out], targets[~left_out])
        predictions[left_out] = surrogate(codes[left_out])
    return predictions


def _pairs(space: Space) -> Tensor:
    """Pairs of columns of a one-hot vector that are not constant on the space, int64 (2, P).

    A choice with a single option is constant, and so is the product of two options of one choice.
    """
    choice = torch.repeat_interleave(torch.tensor(space.sizes))  # of each column
    open_column = torch.tensor(space.sizes)[choice] > 1
    rows, columns = torch.triu_indices(len(choice), len(choice), offset=1)
    kept = open_column[rows] & open_column[columns] & (choice[rows] != choice[columns])
    return torch.stack([rows[kept], columns[kept]])


def _features(space: Space, codes: Tensor, pairs: Tensor) -> Tensor:
    """One-hot vectors and products of their columns, float64 (M, W + P)."""
    options = one_hot(space, codes).to(torch.float64)
    return torch.cat([options, options[:, pairs[0]] * options[:, pairs[1]]], dim=1)


def _ridge(features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Solves for every penalty at once.

    With F = U S V^T of centred features, the fit is U diag(k) U^T y with k = S^2 / (S^2 +
    penalty); its diagonal, and 1 / M for the mean, say how much of a prediction a network owes to
    itself. The error without it is the error with it, divided by what is left.

    Returns:
        Weights, (penalties, features), and mean squared leave-one-out errors, (penalties,).
    """
    centred = targets - targets.mean()
    u, s, vt = torch.linalg.svd(features - features.mean(0), full_matrices=False)
    penalties = torch.tensor(PENALTIES, dtype=torch.float64)[:, None]  # (K, 1)
    kept = s**2 / (s**2 + penalties)  # (K, rank)
    along = u.T @ centred  # (rank,)
    own_share = 1 / len(targets) + kept @ (u**2).T  # (K, M)
    errors = (centred - (kept * along) @ u.T) / (1 - own_share)
    weights = (s / (s**2 + penalties) * along) @ vt
    return weights, (errors**2).mean(1)


def _check_targets(codes: Tensor, targets: Tensor, *, at_least: int) -> None:
    if targets.dtype != torch.float64 or targets.shape != (len(codes),):
        raise ValueError(
            f"{len(codes)} points need float64 targets of shape ({len(codes)},), got "
            f"{targets.dtype} of shape {tuple(targets.shape)}"
        )
    if len(codes) < at_least:
        raise ValueError(f"need at least {at_least} trained networks, got {len(codes)}")
    bad = ~targets.isfinite()
    if bad.any():
        first = int(bad.nonzero()[0])
        raise ValueError(f"target {first} is {targets[first].item()}: leave that network out")
