"""The folder of a search: whose it is, and what a signal leaves there (chapters 8 and 9).

A search writes down everything that took long as soon as it is finished, so it can be stopped at
any moment. ``search.json`` says which search a folder belongs to: one that goes on there must be
the same, else the results of two would be mixed.
"""

import json
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from mnv3lib.files import write_atomically
from mnv3lib.models import NetworkSpec
from mnv3lib.models.tables import to_table
from mnv3lib.train.stopping import Stopped

__all__ = ["claim_folder", "stoppable", "without_folders", "write_network"]

_SUFFIXES = (".toml", ".json", ".safetensors")


def claim_folder(folder: Path, identity: Mapping[str, Any], *, resume: bool) -> None:
    """Writes down whose a folder is, or checks that it is ours.

    Args:
        folder: The folder.
        identity: What must be the same for a search to go on, ready for JSON.
        resume: Whether a search that the folder holds may go on.

    Raises:
        FileExistsError: The folder holds a search, and `resume` is not asked for.
        ValueError: It holds another search; the message names the first difference.
    """
    path = folder / "search.json"
    ours = _flat(json.loads(json.dumps(identity)))
    if not path.is_file():
        write_atomically(path, json.dumps(identity, indent=1).encode())
        return
    if not resume:
        raise FileExistsError(f"{folder} already holds a run: resume it, or choose another folder")
    theirs = _flat(json.loads(path.read_text(encoding="utf-8")))
    for key in [*ours, *theirs]:
        if ours.get(key) != theirs.get(key):
            raise ValueError(
                f"{folder} holds a search with {key} {theirs.get(key)!r}, now it is "
                f"{ours.get(key)!r}: resume it as it was started, or choose another folder"
            )


@contextmanager
def stoppable(folder: Path) -> Iterator[None]:
    """Lets SIGTERM and Ctrl-C end the block at once.

    Only the main thread may set handlers; in another one the signals do what they do without us.

    Raises:
        Stopped: A signal came; the message says how to go on.
    """
    main = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGTERM, signal.SIGINT) if main else ()
    before = {number: signal.signal(number, _stop) for number in numbers}
    try:
        yield
    except Stopped as stopped:
        raise Stopped(
            f"stopped; what is finished lies in {folder}, and --resume goes on from there"
        ) from stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def write_network(folder: Path, spec: NetworkSpec) -> None:
    """Writes ``network.json``, a table as a recipe's ``model.table`` takes it."""
    write_atomically(
        folder / "network.json", (json.dumps(to_table(spec), indent=1) + "\n").encode()
    )


def without_folders(content: Any) -> Any:
    """For the record: files of one's own by their names alone, wherever they stand in `content`."""
    if isinstance(content, Mapping):
        return {key: without_folders(value) for key, value in content.items()}
    if isinstance(content, str) and content.endswith(_SUFFIXES):
        return Path(content).name
    return content


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(signal.Signals(number).name)


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        nested = isinstance(value, Mapping)
        found |= _flat(value, f"{prefix}{key}.") if nested else {prefix + key: value}
    return found
