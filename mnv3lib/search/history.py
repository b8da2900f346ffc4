"""One search for all searchers: ask for points, evaluate them, tell the rewards (chapter 8).

A *searcher* proposes points and learns from their rewards; an *evaluator* says how accurate and
how fast points are, by training them, by a table of trained networks or by a formula;
:class:`mnv3lib.search.reward.Reward` makes one number of the two. :func:`run_search` leads them
through a budget of evaluations and keeps the :class:`History`, so that every searcher is compared
with the same loop. Keeping results on disk is the evaluator's business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

__all__ = [
    "Evaluation",
    "Evaluator",
    "History",
    "RewardFunction",
    "Searcher",
    "check_told",
    "run_search",
]


class Evaluation(NamedTuple):
    """What an evaluator says about N points.

    Attributes:
        accuracy: Accuracies as shares in [0, 1], float64 (N,).
        latency_ms: Latencies in milliseconds, float64 (N,).
    """

    accuracy: Tensor
    latency_ms: Tensor


Evaluator = Callable[[Tensor], Evaluation]
RewardFunction = Callable[[Tensor, Tensor], Tensor]
"""From accuracies and latencies to one number each, such as a ``Reward``."""


class Searcher(Protocol):
    """Proposes points of a space, and learns from their rewards."""

    def ask(self, count: int) -> Tensor:
        """Proposes points: codes, int64 (count, D)."""

    def tell(self, codes: Tensor, rewards: Tensor) -> None:
        """Learns the rewards, float64 (N,), of proposed points, int64 (N, D)."""


@dataclass(frozen=True, eq=False)
class History:
    """All evaluations of a search, in their order.

    Attributes:
        codes: The points, int64 (N, D).
        accuracy: Their accuracies as shares, float64 (N,).
        latency_ms: Their latencies in milliseconds, float64 (N,).
        rewards: Their rewards, float64 (N,).
    """

    codes: Tensor
    accuracy: Tensor
    latency_ms: Tensor
    rewards: Tensor

    @property
    def best(self) -> int:
        """Index of the highest reward, of the first one if several are equal."""
        return int((self.rewards == self.rewards.max()).nonzero()[0])

    @property
    def best_so_far(self) -> Tensor:
        """After each evaluation, the highest reward up to then, float64 (N,)."""
        return self.rewards.cummax(0).values


def run_search(
    searcher: Searcher,
    evaluate: Evaluator,
    reward: RewardFunction,
    *,
    budget: int,
    batch: int,
    on_batch: Callable[[History], None] | None = None,
) -> History:
    """Searches until the budget is spent.

    The result depends on the seed of the searcher alone, if the evaluator always says the same
    about the same points. A point that is proposed again is evaluated again and counts again.

    Args:
        searcher: Proposes points; it goes on from what it has been told before.
        evaluate: Accuracy and latency of codes.
        reward: Makes one number of the two.
        budget: Evaluations in all, at least `batch`.
        batch: Evaluations between two lessons of the searcher, at least 1; the last batch is
            smaller if the budget leaves less.
        on_batch: Called after each batch with that batch's own part of the history, for a
            progress bar or a live picture.

    Returns:
        The history of exactly `budget` evaluations.

    Raises:
        ValueError: Budget or batch out of range, or an evaluation that is not one finite accuracy
            in [0, 1] and one latency above 0 for each candidate.
    """
    if not 1 <= batch <= budget:
        raise ValueError(f"need 1 <= batch <= budget, got batch {batch} and budget {budget}")
    parts = []
    for done in range(0, budget, batch):
        codes = searcher.ask(min(batch, budget - done))
        accuracy, latency_ms = _checked(evaluate(codes), codes)
        part = History(codes, accuracy, latency_ms, reward(accuracy, latency_ms))
        searcher.tell(codes, part.rewards)
        parts.append(part)
        if on_batch is not None:
            on_batch(part)
    return _join(parts)


def check_told(codes: Tensor, rewards: Tensor) -> None:
    """Checks what a searcher is told: one finite reward for each code.

    Raises:
        ValueError: Another shape, or a reward that is not finite; the message names the candidate.
    """
    _check_values("reward", rewards, codes)


def _checked(evaluation: Evaluation, codes: Tensor) -> Evaluation:
    """The evaluation as float64, if it is one number of each kind for each candidate."""
    doubles = Evaluation(*(torch.as_tensor(values, dtype=torch.float64) for values in evaluation))
    for name, values in zip(("accuracy", "latency"), doubles, strict=True):
        _check_values(name, values, codes)
    return doubles


def _check_values(name: str, values: Tensor, codes: Tensor) -> None:
    if values.shape != (len(codes),):
        raise ValueError(
            f"{len(codes)} candidates need one {name} each, got the shape {tuple(values.shape)}"
        )
    bad = ~values.isfinite()
    if bad.any():
        first = int(bad.nonzero()[0])
        raise ValueError(
            f"the {name} of candidate {codes[first].tolist()} is {values[first].item()}; it must "
            "be finite: look at how that candidate was evaluated"
        )


def _join(parts: list[History]) -> History:
    fields = zip(*(vars(part).values() for part in parts), strict=True)
    return History(*map(torch.cat, fields))
