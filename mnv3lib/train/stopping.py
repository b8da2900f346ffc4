"""Stopping between two steps: on SIGTERM and on Ctrl-C, when a checkpoint can still be written.

Clusters announce the end of a job with SIGTERM. The signal only leaves a note here; the loop reads
it after the step that is under way. Taught in chapter 7 (training).
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["StopNote", "Stopped", "noting_signals"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(Exception):
    """A run that was asked to stop, after its checkpoint was written."""


class StopNote:
    """Whether a stop was asked for.

    Attributes:
        asked: True from the first signal on.
    """

    def __init__(self) -> None:
        self.asked = False

    def take(self, number: int, frame: FrameType | None) -> None:
        """Notes the signal; the second one of a kind does what it does without us."""
        self.asked = True
        default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, default)


@contextmanager
def noting_signals() -> Iterator[StopNote]:
    """Notes SIGTERM and Ctrl-C for the length of the block, then restores what was there.

    Only the main thread may set handlers; in another one nothing is noted.
    """
    note = StopNote()
    if threading.current_thread() is not threading.main_thread():
        yield note
        return
    before = {number: signal.signal(number, note.take) for number in _SIGNALS}
    try:
        yield note
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
