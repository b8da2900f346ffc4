"""Programs in files: what ``mnv3 export`` wrote is opened and checked (chapter 12).

A file ``net.onnx`` or ``net.pte`` stands beside its card ``net.onnx.json``, which names its
checksum: a runtime may compute rubbish with a damaged program without a word. The suffix tells the
runtime. How long they take is the matter of :mod:`mnv3lib.measure.program_latency`.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from mnv3lib.measure import runtime_executorch, runtime_onnxruntime
from mnv3lib.measure.bound import LoadedProgram
from mnv3lib.measure.runtimes import check_threads, find_runtime
from mnv3lib.measure.silence import hushed

__all__ = [
    "PROGRAMS",
    "ProgramFile",
    "card_path",
    "load_bytes",
    "open_program",
    "read_checked",
    "runtime_of",
]

PROGRAMS: dict[str, tuple[str, Callable[[bytes, int], LoadedProgram]]] = {
    ".onnx": (runtime_onnxruntime.NAME, runtime_onnxruntime.load_program),
    ".pte": (runtime_executorch.NAME, runtime_executorch.load_program),
}
"""Runtime and loader by suffix."""


@dataclass(frozen=True)
class ProgramFile:
    """A program out of a file, ready to run.

    Attributes:
        name: The file's name, without its folder.
        runtime: Name of the runtime that it is for.
        card: What its card says.
        program: The loaded program.
    """

    name: str
    runtime: str
    card: dict[str, Any] = field(repr=False)
    program: LoadedProgram

    @property
    def max_difference(self) -> float:
        """Largest absolute difference from the float network in eager mode, from the card."""
        return self.card["agreement"]["max_difference"]

    def run(self, x: Tensor) -> Tensor:
        """Runs once.

        Args:
            x: float32 of the shape of the program's input.

        Returns:
            The output, in memory of its own.

        Raises:
            ValueError: An input of another shape or type.
        """
        return self.program.bind(x)().clone()


def card_path(path: Path) -> Path:
    """Where the card of a file lies: beside it, with ``.json`` behind its whole name."""
    return path.with_name(f"{path.name}.json")


def runtime_of(path: Path) -> str:
    """The runtime that a file is for, from its suffix.

    Raises:
        ValueError: No runtime opens files with this suffix.
    """
    if path.suffix not in PROGRAMS:
        known = " or ".join(f"{suffix} ({runtime})" for suffix, (runtime, _) in PROGRAMS.items())
        raise ValueError(f"{path} ends in {path.suffix!r}: a program ends in {known}")
    return PROGRAMS[path.suffix][0]


def read_checked(path: Path) -> tuple[bytes, dict[str, Any]]:
    """Reads a file and its card.

    Returns:
        The file's content and what the card says.

    Raises:
        FileNotFoundError: There is no such file, or no card beside it.
        ValueError: The suffix is none of a program, the card cannot be read, or the file is not
            the one that the card describes.
    """
    runtime_of(path)
    for needed in (path, card_path(path)):
        if not needed.is_file():
            raise FileNotFoundError(
                f"no file {needed}; 'mnv3 export' writes a program together with its card"
            )
    try:
        card = json.loads(card_path(path).read_text(encoding="utf-8"))
        checksum = card["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{card_path(path)} is no card of a program; export it again") from error
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != checksum:
        raise ValueError(
            f"{path} is damaged or was replaced: its checksum is not the one on its card; export "
            "it again"
        )
    return content, card


def load_bytes(content: bytes, suffix: str, *, threads: int = 1, name: str = "it") -> LoadedProgram:
    """Loads a program.

    Args:
        content: The bytes of the file.
        suffix: A key of :data:`PROGRAMS`.
        threads: Threads to compute with.
        name: What to call it in an error.

    Raises:
        MissingRuntimeError: The runtime's package is not installed.
        ValueError: The bytes are no program of this runtime, or use what it does not have.
    """
    runtime, load = PROGRAMS[suffix]
    find_runtime(runtime)
    try:
        with hushed():
            return load(content, threads)
    except Exception as error:  # each runtime has its own
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{runtime} cannot open {name}: it is damaged, not in the format that its suffix says, "
            f"or has an operator that the runtime lacks ({reason})"
        ) from error


def open_program(path: Path, *, threads: int = 1) -> ProgramFile:
    """Opens a file that ``mnv3 export`` wrote.

    Args:
        path: The file; its card lies beside it.
        threads: Threads to compute with. ExecuTorch has one pool for all programs: run the program
            inside ``RUNTIMES["executorch"].threads(threads)``.

    Raises:
        FileNotFoundError: There is no such file, or no card beside it.
        ValueError: It is damaged, or no program.
        MissingRuntimeError: The runtime's package is not installed.

    Example:
        >>> program = open_program(Path("net.onnx"))  # doctest: +SKIP
        >>> program.run(torch.zeros(1, 3, 224, 224)).shape  # doctest: +SKIP
        torch.Size([1, 1000])
    """
    content, card = read_checked(path)
    program = load_bytes(content, path.suffix, threads=check_threads(threads), name=str(path))
    return ProgramFile(path.name, runtime_of(path), card, program)
