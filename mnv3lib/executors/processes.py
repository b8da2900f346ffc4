"""Several processes on this machine (chapter 8).

Each worker is a process of its own with a pipe of its own. A library would be shorter, but in
`concurrent.futures` and in loky one dead worker breaks the whole pool: every unfinished item is
lost with it, and nobody can say which of them was at fault. With one pipe each, the pipe that
breaks names the item; the other workers do not notice.
"""

import atexit
import multiprocessing
import pickle
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from mnv3lib.executors.crew import (
    ONE_THREAD,
    Crew,
    Outcome,
    WorkerLost,
    attempt,
    environment,
    portable,
)

__all__ = ["Processes"]

_PATIENCE_S = 5  # for a worker that has nothing to do any more to leave by itself


class Processes(Crew):
    """Computes the items in several processes on this machine, each with one thread.

    The processes start afresh ("spawn"), as PyTorch's threads do not survive a fork; a worker
    computes one item after the other, so it imports PyTorch once.

    Args:
        workers: Processes.
        retries: How often an item is given to another worker after one has died over it.

    Raises:
        ValueError: Fewer than one worker, or retries below 0.
    """

    def __init__(self, workers: int, retries: int = 2) -> None:
        super().__init__(workers, retries)
        self._idle: list[_Worker] = []

    def _start(self) -> None:
        """Nothing to do: a process is started when the first item is there for it."""

    def _begin(self, function: Callable, item: Any) -> Any:
        message = pickle.dumps((function, item))  # before a worker is taken: it may fail
        while self._idle:
            worker = self._idle.pop()
            if worker.process.is_alive():
                break
            worker.stop()
        else:
            worker = _Worker()
        worker.send(message)
        return worker

    def _wait(self, running: Iterable[Any]) -> Any:
        by_connection = {worker.connection: worker for worker in running}
        return by_connection[wait(by_connection)[0]]

    def _finish(self, handle: Any) -> Outcome:
        try:
            outcome = handle.receive()
        except WorkerLost:
            handle.stop()
            raise
        self._idle.append(handle)
        return outcome

    def _give_up(self, handle: Any) -> None:
        handle.stop()

    def _stop(self) -> None:
        for worker in self._idle:
            worker.connection.close()  # all of them are told before the first is waited for
        while self._idle:
            self._idle.pop().stop(patience_s=_PATIENCE_S)


class _Worker:
    """A process that computes items, and this side of the pipe to it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs,), name="mnv3lib worker")
        with environment(**ONE_THREAD), _interrupts_later():
            self.process.start()
        theirs.close()  # so that the pipe breaks when the worker dies
        # At its exit, Python waits for processes; one that is busy for hours must not hold it.
        atexit.register(self.process.kill)

    def send(self, message: bytes) -> None:
        with suppress(OSError):  # it is dead: that is noticed when it is asked for the outcome
            self.connection.send_bytes(message)

    def receive(self) -> Outcome:
        try:
            message = self.connection.recv_bytes()
        except (EOFError, OSError) as error:
            self.process.join(_PATIENCE_S)
            raise WorkerLost(_describe(self.process.exitcode)) from error
        return pickle.loads(message)

    def stop(self, patience_s: float = 0) -> None:
        self.connection.close()
        self.process.join(patience_s)
        self.process.kill()
        self.process.join()
        atexit.unregister(self.process.kill)
        self.process.close()


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Keeps Ctrl-C waiting, here until the end of the block.

    A process that is started meanwhile inherits this, so that it says nothing of an interruption
    while it is not yet ready to ignore it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection) -> None:
    """What a worker does until the pipe breaks: the other side has closed it, or is dead."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the caller, who stops us
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_follow_caller, daemon=True).start()
    with suppress(EOFError, OSError):
        while True:
            connection.send_bytes(_answer(connection.recv_bytes()))


def _follow_caller() -> None:
    """Ends this process, busy or not, once the caller has been killed; a training saves itself."""
    wait([multiprocessing.parent_process().sentinel])
    signal.raise_signal(signal.SIGTERM)


def _answer(message: bytes) -> bytes:
    # Bytes, because `Connection.send` would share tensors instead of copying them: what a worker
    # has sent must not depend on the worker any more.
    try:
        return pickle.dumps(attempt(*pickle.loads(message)))
    except Exception as error:  # the function cannot be imported, or its result not be copied
        return pickle.dumps((None, portable(error)))


def _describe(exitcode: int | None) -> str:
    """How a process ended, in words."""
    if exitcode is not None and exitcode < 0:
        return f"killed by {signal.Signals(-exitcode).name}"
    return f"exit code {exitcode}"
