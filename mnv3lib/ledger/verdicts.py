"""Verdicts: what becomes of a claim when its answer is at hand.

=======================  =====================================================================
verdict                  when
=======================  =====================================================================
reproduced               our number is within the claim's tolerance of the paper's
reproduced as a trend    at least three seeds agree with the direction, beyond their reach
differs                  it is not; the claim carries the explanation
not run                  nothing answers it yet, or it needs training at ImageNet scale
=======================  =====================================================================

No verdict is typed into the ledger. Shown on the scoreboard page.
"""

import importlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, stdev
from typing import Any

from tqdm import tqdm

from mnv3lib.ledger.claims import Answer, Claim, ClaimError
from mnv3lib.ledger.trends import reach
from mnv3lib.runs import read_run

__all__ = ["FEWEST_SEEDS", "Judgement", "Verdict", "answer_value", "judge", "judge_all"]

FEWEST_SEEDS = 3
_PACKAGE = "mnv3lib."
_SPREAD = ("median", "q1", "q3")
_ROUNDING = 1e-9  # of the tolerance's own arithmetic: 217.5 - 217 may come out above 0.5


class Verdict(StrEnum):
    """What became of a claim."""

    REPRODUCED = "reproduced"
    TREND = "reproduced as a trend"
    DIFFERS = "differs"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Judgement:
    """A claim beside our number.

    Attributes:
        claim: The claim.
        verdict: What became of it.
        ours: Our number, in the claim's unit; None if there is none.
        spread: Lower and upper quartile, or mean less and plus one standard deviation.
        reason: Why it differs or was not run; empty if reproduced.
        reading: What the other reading gives, for a claim that differs and has one.
        contradiction: What is wrong with the entry itself: a difference that nothing explains,
            or an explanation of no difference. Empty if nothing is.
    """

    claim: Claim
    verdict: Verdict
    ours: float | None = None
    spread: tuple[float, float] | None = None
    reason: str = ""
    reading: float | None = None
    contradiction: str = ""


def judge(claim: Claim) -> Judgement:
    """Answers a claim and compares.

    Args:
        claim: An entry of the ledger.

    Raises:
        ClaimError: The entry names a function or a metric that does not exist, or its answer is
            no number.
    """
    if claim.answer is None:
        return Judgement(claim, Verdict.NOT_RUN, reason=claim.not_run)
    try:
        found = answer_value(claim, claim.answer)
    except FileNotFoundError:
        reason = f"the run {claim.answer.run} has not been recorded"
        return Judgement(claim, Verdict.NOT_RUN, reason=reason)
    return _JUDGES[claim.kind](claim, found)


def judge_all(claims: Iterable[Claim], *, progress: bool = True) -> list[Judgement]:
    """Judges claims, with a progress bar once it has taken two seconds."""
    claims = list(claims)
    hidden = None if progress else True  # None: hidden unless it is a terminal
    return [judge(c) for c in tqdm(claims, "claims", delay=2, disable=hidden, leave=False)]


def answer_value(claim: Claim, answer: Answer) -> Any:
    """What a function or a recorded run answers, in the claim's unit.

    Returns:
        A number, a list of numbers (one a seed), or ``{"median", "q1", "q3"}``.

    Raises:
        ClaimError: The function or the metric does not exist.
        FileNotFoundError: The run has not been recorded.
    """
    found = _call(claim, answer) if answer.call else _look_up(claim, answer)
    if isinstance(found, Mapping) and {*_SPREAD} <= {*found} and _are_numbers(*found.values()):
        return {key: (found[key] - answer.less) / answer.per for key in _SPREAD}
    if isinstance(found, list) and _are_numbers(*found):
        return [(value - answer.less) / answer.per for value in found]
    if not _are_numbers(found):
        raise ClaimError(f"{claim.key}: {answer.call or answer.metric} is no number: {found!r}")
    found = (found - answer.less) / answer.per
    # The little more keeps 5.4 / 0.1, which is a hair below 54, from losing a digit.
    return math.floor(found / answer.cut + _ROUNDING) * answer.cut if answer.cut else found


def _are_numbers(*values: object) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _call(claim: Claim, answer: Answer) -> Any:
    module, _, name = answer.call.partition(":")
    if not module.startswith(_PACKAGE):
        raise ClaimError(f"{claim.key}: {answer.call} is not in this package")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ClaimError(f"{claim.key}: there is no {answer.call}: {error}") from error
    return function(**answer.args)


def _look_up(claim: Claim, answer: Answer) -> Any:
    found: Any = read_run(answer.run).metrics
    for key in answer.metric.split("."):
        tables = found if isinstance(found, list) else [found]
        if not tables or not all(isinstance(t, Mapping) and key in t for t in tables):
            raise ClaimError(
                f"{claim.key}: the run {answer.run} has no metric {answer.metric} "
                f"(nothing under {key!r}); record it again"
            )
        found = [t[key] for t in tables] if isinstance(found, list) else found[key]
    return found


def _within(claim: Claim, ours: float) -> bool:
    return abs(ours - claim.value) <= claim.tolerance * (1 + _ROUNDING)


def _judge_exact(claim: Claim, ours: float) -> Judgement:
    if _within(claim, ours):
        slip = "it agrees, but carries an explanation of a difference" if claim.explanation else ""
        return Judgement(claim, Verdict.REPRODUCED, ours, contradiction=slip)
    slip = "" if claim.explanation else "it differs, and nothing explains it"
    reading = None
    if claim.explained_by is not None:
        reading = answer_value(claim, claim.explained_by)
        if not _within(claim, reading):
            slip = f"its other reading gives {reading:g}, which is not the paper's number either"
    return Judgement(
        claim,
        Verdict.DIFFERS,
        ours,
        reason=claim.explanation,
        reading=reading,
        contradiction=slip,
    )


def _judge_ratio(claim: Claim, found: Mapping[str, float] | float) -> Judgement:
    spread = None
    if isinstance(found, Mapping):
        found, spread = found["median"], (found["q1"], found["q3"])
    if _within(claim, found):
        return Judgement(claim, Verdict.REPRODUCED, found, spread)
    return Judgement(claim, Verdict.DIFFERS, found, spread, reason=claim.explanation)


def _judge_trend(claim: Claim, seeds: list[float]) -> Judgement:
    if not isinstance(seeds, list) or len(seeds) < FEWEST_SEEDS:
        raise ClaimError(f"{claim.key}: a trend needs at least {FEWEST_SEEDS} seeds, got {seeds!r}")
    mean, deviation = fmean(seeds), stdev(seeds)
    spread = (mean - deviation, mean + deviation)
    if mean * claim.value > 0 and abs(mean) > reach(seeds):
        return Judgement(claim, Verdict.TREND, mean, spread)
    return Judgement(claim, Verdict.DIFFERS, mean, spread, reason=claim.explanation)


_JUDGES: dict[str, Callable[[Claim, Any], Judgement]] = {
    "exact": _judge_exact,
    "ratio": _judge_ratio,
    "trend": _judge_trend,
}
