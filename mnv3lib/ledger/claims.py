"""Claims: what a paper says, as typed entries that are read from ``data/claims/*.yaml``.

One file a paper. An entry holds the number as the paper prints it and how to answer it, never our
own number: that is computed, or read from a recorded run, each time it is shown. Four kinds:

=========  =========================================================================
kind       what answers it
=========  =========================================================================
exact      a count or an identity, computed live; must match to the printed precision
ratio      two measurements side by side, from a recorded run
trend      a small experiment with at least three seeds, from a recorded run
cluster    training at ImageNet scale: not run here
=========  =========================================================================

Shown on the scoreboard page.
"""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

import yaml

from mnv3lib.ledger.fields import Kind, check_entry
from mnv3lib.paths import data_root

__all__ = ["Answer", "Claim", "ClaimError", "Kind", "Paper", "load_claims", "load_papers"]


class ClaimError(ValueError):
    """An entry of the ledger that is incomplete, contradicts itself, or cannot be answered."""


@dataclass(frozen=True)
class Answer:
    """Where our number comes from: a function, or a recorded run.

    Attributes:
        call: ``module:function`` of this package, computed live; empty for a run.
        args: Keyword arguments of the function.
        run: Name of a file in ``data/runs/``, without suffix; empty for a function.
        metric: Path into the run's metrics, keys joined by dots. Where it meets a list of tables,
            such as one a seed, it goes on in each of them.
        less: Is subtracted first; 0.5 turns the share that guessing gets right into 0.
        per: The number is divided by this; 1,000,000 turns MACs into millions.
        cut: If above 0, digits below this unit are cut off, where a table rounded towards zero.
    """

    call: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    run: str = ""
    metric: str = ""
    less: float = 0
    per: float = 1
    cut: float = 0


@dataclass(frozen=True)
class Claim:
    """One statement of a paper that has a number.

    Attributes:
        id: Name, unique in its paper.
        paper: Short name of the paper, that of its file.
        claim: The statement, in a sentence of ours.
        value: The number as the paper prints it.
        unit: Its unit.
        where: Table or section.
        version: Version of the paper that prints it.
        kind: ``exact``, ``ratio``, ``trend`` or ``cluster``.
        tolerance: Largest distance from `value` that still reproduces it, in `unit`. For a
            printed count half a unit of the last printed digit.
        answer: Where our number comes from; None if nothing answers it yet.
        explanation: Why ours differs, or for a measurement, why it may.
        explained_by: Another reading of the claim, which gives the printed number.
        not_run: Why nothing answers it.
    """

    id: str
    paper: str
    claim: str
    value: float
    unit: str
    where: str
    version: str
    kind: Kind
    tolerance: float = 0
    answer: Answer | None = None
    explanation: str = ""
    explained_by: Answer | None = None
    not_run: str = ""

    @property
    def key(self) -> str:
        """Paper and id, unique in the ledger: ``mobilenetv3/large-madds``."""
        return f"{self.paper}/{self.id}"


@dataclass(frozen=True)
class Paper:
    """A paper and its claims, in the order of its file.

    Attributes:
        name: Short name, that of the file.
        title: Title of the paper.
        source: Where it was published.
        cite: Key of the book's bibliography.
        version: Version that is quoted, unless a claim names another.
        claims: Its claims.
    """

    name: str
    title: str
    source: str
    cite: str
    version: str
    claims: tuple[Claim, ...]


def load_papers(folder: Path | None = None) -> list[Paper]:
    """Reads all claims.

    Args:
        folder: Folder of the YAML files; the project's own ``claims/`` when not given.

    Returns:
        The papers, sorted by name.

    Raises:
        ClaimError: A file is no valid ledger; the message names file, claim and key.
        FileNotFoundError: The folder holds no claims.
    """
    folder = data_root() / "claims" if folder is None else folder
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise FileNotFoundError(f"no claims (*.yaml) in {folder}; give the folder that holds them")
    return [_read_paper(file) for file in files]


def load_claims(paper: str | None = None, folder: Path | None = None) -> list[Claim]:
    """Reads the claims of all papers, or of one.

    Args:
        paper: Short name of a paper, such as ``mobilenetv3``; all when not given.
        folder: As in `load_papers`.

    Raises:
        ValueError: There is no such paper, or a file is no valid ledger.
        FileNotFoundError: The folder holds no claims.
    """
    papers = {entry.name: entry for entry in load_papers(folder)}
    if paper is not None and paper not in papers:
        raise ValueError(f"unknown paper {paper!r}: choose one of {', '.join(papers)}")
    chosen = papers.values() if paper is None else [papers[paper]]
    return [claim for entry in chosen for claim in entry.claims]


def _read_paper(file: Path) -> Paper:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ClaimError(f"{file.name} is not YAML: {error}") from error
    # `common` only holds texts that several claims share by YAML's anchors.
    head = ("title", "source", "cite", "version", "claims")
    _complain(file.name, check_entry(content, required=head, allowed=(*head, "common")))
    common = {"paper": file.stem, "version": content["version"]}
    claims = tuple(_read_claims(file, content["claims"], common))
    return Paper(file.stem, *(content[key] for key in head[:-1]), claims)


def _read_claims(file: Path, entries: list[dict], common: dict[str, str]) -> Iterator[Claim]:
    seen: set[str] = set()
    own = tuple(f.name for f in fields(Claim) if f.name != "paper")
    required = tuple(f.name for f in fields(Claim) if f.default is MISSING and f.name in own)
    for position, entry in enumerate(entries or [], start=1):
        name = entry.get("id") if isinstance(entry, dict) else None
        place = f"{file.name}, claim {name or f'number {position}'}"
        filled = {**common, **entry} if isinstance(entry, dict) else entry
        allowed = (*own, "paper")
        _complain(place, check_entry(filled, required=required, allowed=allowed))
        _complain(place, [f"the id {name!r} is taken"] if name in seen else [])
        seen.add(name)
        for key in ("answer", "explained_by"):
            if key in filled:
                filled[key] = _read_answer(place, filled[key])
        claim = Claim(**filled)
        _complain(place, list(_contradictions(claim)))
        yield claim


def _read_answer(place: str, entry: dict) -> Answer:
    allowed = tuple(f.name for f in fields(Answer))
    _complain(place, check_entry(entry, required=(), allowed=allowed))
    answer = Answer(**entry)
    if bool(answer.call) == bool(answer.run) or bool(answer.run) != bool(answer.metric):
        raise ClaimError(f"{place}: an answer is either a call, or a run with a metric")
    if not answer.per > 0 or answer.cut < 0:
        raise ClaimError(f"{place}: per must be above 0 and cut not below")
    return answer


def _contradictions(claim: Claim) -> Iterator[str]:
    """What the parts of a claim do not allow together."""
    if claim.kind not in get_args(Kind):
        yield f"unknown kind {claim.kind!r}, choose one of {', '.join(get_args(Kind))}"
    if claim.tolerance < 0:
        yield f"tolerance must not be negative, got {claim.tolerance}"
    if (claim.answer is None) != bool(claim.not_run):
        yield "it needs either an answer or the reason in not_run"
    if claim.kind == "cluster" and claim.answer is not None:
        yield "a cluster claim is not run here, so it has no answer"
    if claim.kind == "ratio" and claim.answer is not None and not claim.explanation:
        yield "a ratio depends on the machine: say in explanation why it may differ"
    if claim.explained_by is not None and not claim.explanation:
        yield "explained_by needs the explanation in words"
    if claim.answer is not None and claim.kind != "exact" and claim.answer.call:
        yield f"a {claim.kind} claim is answered by a recorded run, not by a call"


def _complain(place: str, problems: list[str]) -> None:
    if problems:
        raise ClaimError(f"{place}: {'; '.join(problems)}")
