"""The finished parts of an unfinished recording, so that an interrupted command goes on.

Used by the recorders of chapter 6. A draft lies in the cache folder under a name that depends on
the protocol and on the machine: what was measured under another one is not taken over.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from tqdm import tqdm

from mnv3lib.executors import Executor
from mnv3lib.files import write_atomically
from mnv3lib.measure.machine import describe_machine
from mnv3lib.measure.program_cache import content_key
from mnv3lib.paths import cache_dir

__all__ = ["Draft"]


class Draft:
    """Parts of a run, kept on disk as soon as they are measured.

    Args:
        name: Name of the run.
        protocol: Everything that decides its numbers, ready for JSON.

    Attributes:
        parts: What is measured already, by name.
        duration_s: Time that it took, over all starts of the command, in seconds.
        started: When the first of those starts was.
    """

    def __init__(self, name: str, protocol: Mapping[str, Any]) -> None:
        about = json.dumps([name, dict(protocol), describe_machine()], sort_keys=True)
        self._path = cache_dir() / f"{content_key([about], {})}.draft.json"
        self.parts: dict[str, Any] = {}
        self.duration_s = 0.0
        self.started = datetime.now(UTC)
        if self._path.is_file():
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            self.parts, self.duration_s = kept["parts"], kept["duration_s"]
            self.started = datetime.fromisoformat(kept["started"])

    def part(self, name: str, measure: Callable[[], Any]) -> Any:
        """Returns a part: the kept one, or one measured now and kept.

        Args:
            name: The part's name.
            measure: Measures it; the result must be ready for JSON.
        """
        if name not in self.parts:
            start = perf_counter()
            self.parts[name] = measure()
            self.duration_s += perf_counter() - start
            self._keep()
        return self.parts[name]

    def each(
        self, items: Mapping[str, Any], measure: Callable[[Any], Any], executor: Executor
    ) -> dict[str, Any]:
        """Returns parts that do not need each other: the kept ones, the others measured now.

        Args:
            items: What to measure, by the name of the part.
            measure: Measures one; the result must be ready for JSON.
            executor: Where they are measured.
        """
        missing = [name for name in items if name not in self.parts]
        done = executor.map(measure, [items[name] for name in missing])
        start = perf_counter()
        for index, result in tqdm(done, total=len(missing), delay=2, disable=None, leave=False):
            self.parts[missing[index]] = result
            now = perf_counter()
            self.duration_s += now - start
            start = now
            self._keep()
        return {name: self.parts[name] for name in items}

    def discard(self) -> None:
        """Removes the draft, once the run is written."""
        self._path.unlink(missing_ok=True)

    def _keep(self) -> None:
        content = {
            "parts": self.parts,
            "duration_s": self.duration_s,
            "started": self.started.isoformat(),
        }
        write_atomically(self._path, json.dumps(content).encode())
