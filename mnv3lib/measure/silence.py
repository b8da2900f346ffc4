"""Keep exporters quiet, and keep what they said in case they fail.

The exporters of ONNX and ExecuTorch talk on every channel there is: Python warnings, logging,
Python's standard streams, and C++ code that writes straight to file descriptors 1 and 2. Their
chatter names files of the machine they run on, which has no place in a notebook. `hushed` closes
all four channels for the length of a ``with`` block and, if the block fails, adds the last lines of
what was said to the exception.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from typing import IO

__all__ = ["hushed"]

_KEPT_CHARACTERS = 2000


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Silence warnings, logging, Python streams and file descriptors 1 and 2.

    Raises:
        Exception: What the block raises, with the end of the silenced text as a note.

    Example:
        >>> with hushed():
        ...     print("nobody sees this")
    """
    before = logging.root.manager.disable
    with tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace") as sink:
        logging.disable(logging.CRITICAL)
        try:
            with warnings.catch_warnings(), _streams_into(sink), _descriptors_into(sink):
                warnings.simplefilter("ignore")
                yield
        except Exception as error:
            said = _end_of(sink)
            if said:
                error.add_note(f"What the silenced code said last:\n{said}")
            raise
        finally:
            logging.disable(before)


@contextlib.contextmanager
def _streams_into(sink: IO[str]) -> Iterator[None]:
    """Send Python's own streams to the sink."""
    with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
        yield


@contextlib.contextmanager
def _descriptors_into(sink: IO[str]) -> Iterator[None]:
    """Send file descriptors 1 and 2, to which C++ code writes, to the sink."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None and not stream.closed:
            stream.flush()
    _flush_c_streams()
    saved = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
    try:
        for descriptor, _ in saved:
            os.dup2(sink.fileno(), descriptor)
        yield
    finally:
        sink.flush()
        _flush_c_streams()
        for descriptor, copy in saved:
            os.dup2(copy, descriptor)
            os.close(copy)


def _flush_c_streams() -> None:
    """Empty the buffers of C's own streams, which would otherwise reach the reader at exit."""
    if os.name == "posix":
        ctypes.CDLL(None).fflush(None)


def _end_of(sink: IO[str]) -> str:
    """Return the last characters that were written to the sink."""
    sink.seek(0)
    return sink.read()[-_KEPT_CHARACTERS:].strip()
