"""Recorded runs: measurements that take too long for a page, kept with all that made them.

A run is one JSON file under ``data/runs``, written by the code that ran and never by hand: the
command, its configuration, the seeds, the commit, the machine in words, when it started, how long
it took, and the metrics as series or numbers. A page reads it back with :func:`read_run`, shows
the command, and repeats the same thing smaller in its own cells. First read in chapter 5.
"""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from mnv3lib.files import write_atomically
from mnv3lib.measure.machine import describe_machine
from mnv3lib.paths import data_root

__all__ = ["RecordedRun", "find_run", "read_run", "run_names", "run_path", "write_run"]

_NAME = re.compile(r"[a-z0-9]+([-_.][a-z0-9]+)*")
_ABSOLUTE_PATH = re.compile(r"(?<![\w:/.])/[\w.-]+/|(?<!\w)[A-Za-z]:\\")


@dataclass(frozen=True)
class RecordedRun:
    """A measurement and its circumstances.

    Attributes:
        name: The file's name without its suffix.
        command: What to type to repeat it.
        config: The options that decide the result, ready for JSON.
        seeds: Seeds, one for each repetition.
        commit: Git commit of the code, with ``+changes`` if the tree differed from it; empty
            outside a checkout.
        machine: See :func:`mnv3lib.measure.machine.describe_machine`.
        started: Start, ISO 8601 with the offset from UTC, to the second.
        duration_s: Duration in seconds.
        metrics: Numbers, or series of them, by name.
    """

    name: str
    command: str
    config: dict[str, Any]
    seeds: list[int]
    commit: str
    machine: dict[str, Any]
    started: str
    duration_s: float
    metrics: dict[str, Any] = field(repr=False)


def write_run(
    name: str,
    *,
    command: str,
    config: Mapping[str, Any],
    seeds: Sequence[int],
    metrics: Mapping[str, Any],
    started: datetime,
    duration_s: float,
    path: Path | None = None,
) -> RecordedRun:
    """Writes a run; commit and machine are found out here.

    Args:
        name: Lower-case words joined by ``-``, ``_`` or ``.``; the file's name.
        command: What to type to repeat it, with paths relative to the repository.
        config: The options that decide the result.
        seeds: Seeds, one for each repetition; empty if nothing is random.
        metrics: Numbers, or series of them, by name.
        started: Start, with a time zone.
        duration_s: Duration in seconds.
        path: Where to write; ``data/runs/NAME.json`` when not given.

    Returns:
        The run as written.

    Raises:
        ValueError: A name that is no file name, a start without a time zone, something that
            JSON cannot hold (NaN included), or an absolute path of this machine.
    """
    if started.tzinfo is None:
        raise ValueError("started has no time zone: use datetime.now(timezone.utc)")
    run = RecordedRun(
        name=_checked_name(name),
        command=command,
        config=dict(config),
        seeds=list(seeds),
        commit=_commit(),
        machine=describe_machine(),
        started=started.isoformat(timespec="seconds"),
        duration_s=round(duration_s, 1),
        metrics=dict(metrics),
    )
    write_atomically(path or run_path(name), _to_json(run).encode())
    return run


def read_run(name: str, *, path: Path | None = None) -> RecordedRun:
    """Reads a run.

    Args:
        name: The run's name.
        path: Where it lies; ``data/runs/NAME.json`` when not given.

    Raises:
        FileNotFoundError: There is no such run.
        ValueError: The file is no run.
    """
    path = path or run_path(name)
    if not path.is_file():
        known = ", ".join(run_names()) or "none yet"
        raise FileNotFoundError(f"no recorded run {name!r}: recorded are {known}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return RecordedRun(**content)
    except (json.JSONDecodeError, TypeError) as error:
        wanted = ", ".join(f.name for f in fields(RecordedRun))
        raise ValueError(
            f"{path.name} is not a recorded run (an object with {wanted}): {error}; record it again"
        ) from error


def find_run(name: str) -> RecordedRun:
    """Reads a run of the project by its name, or one of your own by its path, ``FILE.json``.

    Raises:
        FileNotFoundError: There is no such run.
        ValueError: The file is no run.
    """
    return read_run(name, path=Path(name) if name.endswith(".json") else None)


def run_path(name: str) -> Path:
    """Where the run of that name lies, whether it is there or not."""
    return data_root() / "runs" / f"{_checked_name(name)}.json"


def run_names() -> list[str]:
    """The names of all recorded runs, sorted."""
    return sorted(path.stem for path in (data_root() / "runs").glob("*.json"))


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"a run's name is lower-case words joined by '-', '_' or '.', got {name!r}"
        )
    return name


def _to_json(run: RecordedRun) -> str:
    text = json.dumps(asdict(run), indent=1, allow_nan=False) + "\n"
    found = _ABSOLUTE_PATH.search(json.dumps([run.command, run.config]))
    if found:
        raise ValueError(
            f"the run {run.name!r} names the absolute path {found.group()!r}: "
            "use paths relative to the repository, so that others can repeat it"
        )
    return text


def _commit() -> str:
    """The commit of the code, or an empty string outside a checkout."""
    root = Path(__file__).resolve().parents[1]
    commit = _git(root, "rev-parse", "HEAD")
    if not commit:
        return ""
    return commit + ("+changes" if _git(root, "status", "--porcelain", "--", "mnv3lib") else "")


def _git(root: Path, *arguments: str) -> str:
    """What git prints, or an empty string if there is no git or no repository."""
    command = ["git", "-C", str(root), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
