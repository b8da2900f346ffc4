"""Workers that may die: who computes which item, and who computes it next (chapter 8).

What starts and stops a worker is the business of :mod:`mnv3lib.executors.processes` and
:mod:`mnv3lib.executors.ray_workers`; this module decides what happens to the items.
"""

import os
import pickle
import reprlib
import traceback
from abc import abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from mnv3lib.executors.in_process import Executor

__all__ = [
    "ONE_THREAD",
    "Crew",
    "Outcome",
    "WorkerDiedError",
    "WorkerLost",
    "attempt",
    "environment",
    "portable",
]

T = TypeVar("T")
R = TypeVar("R")

Outcome = tuple[Any, BaseException | None]
"""What a worker sends back: a result, or the exception that the function raised."""

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
"""Environment in which PyTorch and NumPy start with one thread: the workers share the cores."""


class WorkerDiedError(RuntimeError):
    """An item has cost so many workers their lives that nobody gets it any more."""


class WorkerLost(Exception):
    """A worker is gone before it has computed its item; the message says how it went."""


class Crew(Executor):
    """An executor whose items are computed by workers outside of this process.

    Args:
        workers: Items at once.
        retries: How often an item is given to another worker after one has died over it.

    Raises:
        ValueError: Fewer than one worker, or retries below 0.
    """

    _users = 0  # `with` blocks and calls of `map` that are under way

    def __init__(self, workers: int, retries: int = 2) -> None:
        self.workers = _at_least(1, "workers", workers)
        self.retries = _at_least(0, "retries", retries)

    def __enter__(self) -> Self:
        if self._users == 0:
            self._start()
        self._users += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._users -= 1
        if self._users == 0:
            self._stop()

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[int, R]]:
        """Computes the function of each item; see :meth:`mnv3lib.executors.Executor.map`."""
        with self:
            yield from self._results(function, items)

    def _results(self, function: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[int, R]]:
        waiting, deaths, failure = deque(range(len(items))), Counter(), None
        running: dict[Any, int] = {}
        try:
            while waiting or running:
                self._fill(running, waiting, function, items)
                handle = self._wait(running)
                index = running.pop(handle)
                try:
                    result, error = self._finish(handle)
                except WorkerLost as lost:
                    deaths[index] += 1
                    waiting.appendleft(index)
                    if failure is None and deaths[index] > self.retries:
                        failure = _died(index, items[index], deaths[index], lost)
                    if failure is not None:
                        waiting.clear()  # what the others have in hand is still finished
                    continue
                if error is not None:
                    raise error
                yield index, result  # before the next begins: whatever that does, it is not lost
        finally:
            for handle in running:
                self._give_up(handle)
        if failure is not None:
            raise failure

    def _fill(
        self,
        running: dict[Any, int],
        waiting: deque[int],
        function: Callable[[T], R],
        items: Sequence[T],
    ) -> None:
        """Begins with the next items, one for each worker that has none."""
        while waiting and len(running) < self.workers:
            index = waiting.popleft()
            running[self._begin(function, items[index])] = index

    @abstractmethod
    def _start(self) -> None:
        """Gets ready for workers."""

    @abstractmethod
    def _begin(self, function: Callable, item: Any) -> Any:
        """Gives an item to a worker; returns a handle, hashable, of what is going on."""

    @abstractmethod
    def _wait(self, running: Iterable[Any]) -> Any:
        """Waits until one of the handles is done, and returns it."""

    @abstractmethod
    def _finish(self, handle: Any) -> Outcome:
        """What came out, or raises `WorkerLost`."""

    @abstractmethod
    def _give_up(self, handle: Any) -> None:
        """Ends what is still going on."""

    @abstractmethod
    def _stop(self) -> None:
        """Leaves no worker behind."""


def attempt(function: Callable[[T], R], item: T) -> Outcome:
    """Computes an item, in a worker.

    An exception is sent back like a result: it says something about the item, and nothing about
    the worker, who goes on.
    """
    try:
        return function(item), None
    except BaseException as error:  # SystemExit, too, belongs to the caller
        return None, portable(error)


def portable(error: BaseException) -> BaseException:
    """The exception with the worker's traceback as a note, for pickling drops the traceback.

    An exception that pickle cannot copy, for instance one whose ``__init__`` wants more than the
    message, becomes a RuntimeError that names it.
    """
    note = "In the worker:\n" + "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(note)
    return error


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Environment variables for the processes that are started in this context."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _died(index: int, item: Any, times: int, lost: WorkerLost) -> WorkerDiedError:
    often = "once" if times == 1 else f"{times} times"
    return WorkerDiedError(
        f"item {index}, {reprlib.repr(item)}: its worker died {often} ({lost}); if memory ran "
        "out, use fewer workers or let each need less memory"
    )


def _at_least(least: int, name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
    return value
