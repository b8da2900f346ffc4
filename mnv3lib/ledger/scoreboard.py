"""The scoreboard: judgements counted by paper, and ratios on the other runtimes.

Shown on the scoreboard page.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from mnv3lib.ledger.claims import Answer, Claim, ClaimError
from mnv3lib.ledger.verdicts import Judgement, Verdict, judge
from mnv3lib.measure.runtimes import RUNTIMES
from mnv3lib.runs import read_run

__all__ = ["by_paper", "contradictions", "on_runtimes", "totals"]


def totals(judgements: Iterable[Judgement]) -> dict[Verdict, int]:
    """How many claims got each verdict; all verdicts are there, in their order."""
    counted = Counter(judgement.verdict for judgement in judgements)
    return {verdict: counted[verdict] for verdict in Verdict}


def by_paper(judgements: Iterable[Judgement]) -> dict[str, list[Judgement]]:
    """Judgements grouped by the short name of the paper."""
    groups: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        groups.setdefault(judgement.claim.paper, []).append(judgement)
    return groups


def contradictions(judgements: Iterable[Judgement]) -> dict[str, str]:
    """What is wrong with entries of the ledger themselves, by claim."""
    return {j.claim.key: j.contradiction for j in judgements if j.contradiction}


def on_runtimes(claim: Claim, runtimes: Iterable[str]) -> dict[str, Judgement]:
    """The same ratio, read from the runs on other runtimes.

    Args:
        claim: A claim that a run named ``...-<runtime>`` answers, or a metric of a run that begins
            with one of the runtimes, ``<runtime>....``, or a run of any other name, which is one
            of the runtime in its configuration.
        runtimes: Names of runtimes.

    Returns:
        A judgement a runtime; "not run" where no run is recorded.

    Raises:
        ClaimError: No recorded run answers the claim.
    """
    if claim.answer is None or not claim.answer.run:
        raise ClaimError(f"{claim.key} is not answered by a recorded run")
    names = list(runtimes)
    return {name: judge(replace(claim, answer=_moved(claim.answer, name, names))) for name in names}


def _moved(answer: Answer, runtime: str, runtimes: Iterable[str]) -> Answer:
    """The answer that another runtime gives."""
    measured, _, metric = answer.metric.partition(".")
    if measured in runtimes:
        return replace(answer, metric=f"{runtime}.{metric}")
    stem, _, last = answer.run.rpartition("-")
    if last in RUNTIMES:
        return replace(answer, run=f"{stem}-{runtime}")
    own = runtime == _runtime_of(answer.run)
    return answer if own else replace(answer, run=f"{answer.run}-{runtime}")


def _runtime_of(run: str) -> str:
    """The runtime of a run whose name tells none; empty if it is of none, or not recorded."""
    try:
        return read_run(run).config.get("runtime", "")
    except FileNotFoundError:
        return ""
