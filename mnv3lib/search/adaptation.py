"""What a run of NetAdapt is made of: settings, trials, steps, and which trial wins (chapter 9).

Two rules choose among the proposals of a step. NetAdapt (arXiv 1804.03230) keeps the most accurate
one. MobileNetV3 (arXiv 1905.02244, final version, section 4.2) keeps the one that maximises::

    (accuracy of the proposal - accuracy before) / |latency of the proposal - latency before|,

the least accuracy lost for each millisecond saved. NetAdapt's public code does this, too: it
minimises (drop of accuracy + 1e-6) / (drop of latency + 1e-5). Mind the sign: where the accuracy
rises, the same ratio prefers the *smallest* cut.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mnv3lib.models import Network, NetworkSpec
from mnv3lib.search.carry_over import Keep
from mnv3lib.search.cut_schedule import CutSchedule

__all__ = ["AdaptSettings", "Adaptation", "Rule", "Step", "Trial", "select"]

Rule = Literal["accuracy", "ratio"]


@dataclass(frozen=True)
class AdaptSettings:
    """What decides the course of a run, besides network, latency and training.

    Attributes:
        cuts: How much each step saves.
        rule: ``"ratio"`` (MobileNetV3) or ``"accuracy"`` (NetAdapt).
        keep: Which channels stay, ``"truncation"`` or ``"l2"``.
        divisor: Widths are multiples of this.
        smallest_share: No width falls below this share of the one at the start.

    Raises:
        ValueError: A rule of another name.
    """

    cuts: CutSchedule = field(default_factory=CutSchedule)
    rule: Rule = "ratio"
    keep: Keep = "truncation"
    divisor: int = 8
    smallest_share: float = 0.0

    def __post_init__(self) -> None:
        for name, known in (("rule", _SCORES), ("keep", ("truncation", "l2"))):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"unknown {name} {getattr(self, name)!r}; choose one of "
                    f"{', '.join(map(repr, known))}"
                )


@dataclass(frozen=True)
class Trial:
    """A proposal after its short training.

    Attributes:
        group: Index of the group that shrinks.
        width: The group's new width, in channels.
        latency_ms: Latency of the proposal.
        accuracy: Its accuracy, a share.
    """

    group: int
    width: int
    latency_ms: float
    accuracy: float


@dataclass(frozen=True)
class Step:
    """One step: all trials, and the one that was kept.

    Attributes:
        number: 1 for the first.
        cut_ms: What each proposal had to save at least.
        width_before: Width of the kept trial's group before, in channels.
        kept: The trial that was kept.
        trials: All of them, in the order of the groups.
    """

    number: int
    cut_ms: float
    width_before: int
    kept: Trial
    trials: tuple[Trial, ...] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Adaptation:
    """A run of NetAdapt, finished or under way.

    Attributes:
        start: The table at the start.
        start_ms: Its latency.
        start_accuracy: Its accuracy, a share.
        network: The present network, after the short trainings only: train it anew.
        steps: The steps so far.
    """

    start: NetworkSpec = field(repr=False)
    start_ms: float
    start_accuracy: float
    network: Network = field(repr=False)
    steps: tuple[Step, ...] = ()

    @property
    def latency_ms(self) -> float:
        """Latency of the present network."""
        return self.steps[-1].kept.latency_ms if self.steps else self.start_ms

    @property
    def accuracy(self) -> float:
        """Accuracy of the present network, a share."""
        return self.steps[-1].kept.accuracy if self.steps else self.start_accuracy


def select(trials: Sequence[Trial], rule: Rule, *, accuracy: float, latency_ms: float) -> int:
    """Chooses among the trials of a step.

    Args:
        trials: The trials, in the order of the groups.
        rule: ``"accuracy"`` or ``"ratio"``.
        accuracy: Accuracy of the network before, a share.
        latency_ms: Latency of the network before.

    Returns:
        Index of the chosen trial; of equally good ones the first.

    Raises:
        ValueError: No trials, or an accuracy that is no number.

    Example:
        >>> trials = [Trial(0, 8, 9.0, 0.70), Trial(1, 8, 6.0, 0.65)]  # saved 1 ms and 4 ms
        >>> before = {"accuracy": 0.72, "latency_ms": 10.0}
        >>> select(trials, "accuracy", **before), select(trials, "ratio", **before)
        (0, 1)
    """
    if not trials:
        raise ValueError("no trials to choose from")
    for trial in trials:
        if not math.isfinite(trial.accuracy):
            raise ValueError(
                f"the accuracy of the trial of group {trial.group} is {trial.accuracy}: its "
                "training went wrong; lower its learning rate"
            )
    scores = [_SCORES[rule](trial, accuracy, latency_ms) for trial in trials]
    return scores.index(max(scores))


_SCORES: dict[str, Callable[[Trial, float, float], float]] = {
    "accuracy": lambda trial, accuracy, latency_ms: trial.accuracy,
    "ratio": lambda trial, accuracy, latency_ms: (
        (trial.accuracy - accuracy) / abs(trial.latency_ms - latency_ms)
    ),
}
