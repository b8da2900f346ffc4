"""What the papers claim beside what this repository finds: claims, their answers, verdicts.

Shown on the scoreboard page.
"""

from mnv3lib.ledger.claims import Answer, Claim, ClaimError, Paper, load_claims, load_papers
from mnv3lib.ledger.scoreboard import by_paper, contradictions, on_runtimes, totals
from mnv3lib.ledger.trends import reach
from mnv3lib.ledger.verdicts import Judgement, Verdict, judge, judge_all

__all__ = [
    "Answer",
    "Claim",
    "ClaimError",
    "Judgement",
    "Paper",
    "Verdict",
    "by_paper",
    "contradictions",
    "judge",
    "judge_all",
    "load_claims",
    "load_papers",
    "on_runtimes",
    "reach",
    "totals",
]
