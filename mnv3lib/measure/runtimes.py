"""One interface to three ways of running a network on a CPU (chapter 6).

=============  ====================================================================
runtime        what runs
=============  ====================================================================
eager          PyTorch, one operator after the other, the model exactly as given
onnxruntime    ONNX Runtime's CPU kernels after all of its graph optimisations
executorch     ExecuTorch with the XNNPACK delegate, the kernels that a phone runs
=============  ====================================================================

`compile_model` turns a module into a `Session` and compares the session's output with the module's
own before it hands the session out: a fast wrong answer is an error, not a measurement.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mnv3lib.measure import runtime_eager, runtime_executorch, runtime_onnxruntime
from mnv3lib.measure.bound import Bind

__all__ = [
    "RUNTIMES",
    "TOLERANCE",
    "MissingRuntimeError",
    "Runtime",
    "Session",
    "WrongOutputError",
    "check_threads",
    "compile_model",
    "find_runtime",
]

TOLERANCE = 1e-4
"""Largest allowed difference from eager, as a fraction of the largest output.

Runtimes add the same 32-bit numbers in another order; over the 60 layers of a network the rounding
errors of 6e-8 grow to a few 1e-6. A wrong padding or a missing activation is off by far more.
"""


class MissingRuntimeError(ImportError):
    """A runtime is asked for whose package is not installed."""


class WrongOutputError(ValueError):
    """A runtime computes something else than the model does."""


@dataclass(frozen=True)
class Runtime:
    """A way of running networks.

    Attributes:
        name: Its name in `RUNTIMES`.
        package: The package that must be importable; its version is the runtime's version.
        compile: From (model, example, threads) to a `Bind`.
        threads: A context in which the runtime uses that many threads.
    """

    name: str
    package: str
    compile: Callable[[nn.Module, Tensor, int], Bind]
    threads: Callable[[int], AbstractContextManager[None]]


@dataclass(frozen=True)
class Session:
    """A compiled model, ready to run.

    Attributes:
        runtime: Name of the runtime.
        threads: Threads that it was compiled for.
        max_difference: Largest absolute difference from eager on the example.
        bind: Ties an input to the program; the call that it returns is what is timed.
    """

    runtime: str
    threads: int
    max_difference: float
    bind: Bind

    def run(self, x: Tensor) -> Tensor:
        """Run once.

        Args:
            x: Input of the example's shape.

        Returns:
            The model's output.
        """
        return self.bind(x)()


RUNTIMES: dict[str, Runtime] = {
    module.NAME: Runtime(module.NAME, module.PACKAGE, module.compile_program, module.thread_count)
    for module in (runtime_eager, runtime_onnxruntime, runtime_executorch)
}


def find_runtime(name: str) -> Runtime:
    """Return a runtime by name.

    Args:
        name: A key of `RUNTIMES`.

    Raises:
        ValueError: There is no such runtime.
        MissingRuntimeError: Its package is not installed.
    """
    if name not in RUNTIMES:
        raise ValueError(f"unknown runtime {name!r}: choose one of {', '.join(RUNTIMES)}")
    runtime = RUNTIMES[name]
    if importlib.util.find_spec(runtime.package) is None:
        raise MissingRuntimeError(
            f"the runtime {name!r} needs the package {runtime.package!r}, which is not installed: "
            'pip install "mnv3lib[deploy]"'
        )
    return runtime


def check_threads(threads: int) -> int:
    """Return the number of threads, or raise a ValueError if it is not a positive integer."""
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise ValueError(f"threads must be an integer of at least 1, got {threads!r}")
    return threads


def compile_model(
    model: nn.Module, example: Tensor, *, runtime: str = "eager", threads: int = 1
) -> Session:
    """Compile a model for a runtime and check its output against eager.

    The model is left alone: the session holds a copy in evaluation mode, with batch norm and
    memory layout as they are in eager mode, and as the runtime's own optimiser wants them (batch
    norm folded in both cases) elsewhere.

    Args:
        model: A module from one tensor to one tensor.
        example: An input, for instance (1, 3, H, W); the session takes inputs of this shape.
        runtime: "eager", "onnxruntime" or "executorch".
        threads: Threads to compute with.

    Returns:
        The session.

    Raises:
        ValueError: Unknown runtime, fewer than one thread, or a model that is not a module.
        MissingRuntimeError: The runtime's package is not installed.
        WrongOutputError: The output is further from eager's than `TOLERANCE` allows.

    Example:
        >>> session = compile_model(nn.Flatten(), torch.ones(1, 2, 2), runtime="eager")
        >>> session.run(torch.zeros(1, 2, 2)).shape
        torch.Size([1, 4])
    """
    found = find_runtime(runtime)
    check_threads(threads)
    if not isinstance(model, nn.Module):
        raise ValueError(f"a model must be a torch.nn.Module, got {type(model).__name__}")
    frozen = copy.deepcopy(model).eval()
    with torch.inference_mode():
        expected = frozen(example)
    with found.threads(threads):
        bind = found.compile(frozen, example, threads)
        difference = _checked_difference(bind(example)(), expected, runtime)
    return Session(runtime, threads, difference, bind)


def _checked_difference(output: Tensor, expected: Tensor, runtime: str) -> float:
    """Return the largest difference, or raise if it is beyond the tolerance."""
    if output.shape != expected.shape:
        raise WrongOutputError(
            f"{runtime} returns shape {tuple(output.shape)} where eager returns "
            f"{tuple(expected.shape)}: report the model, it is exported wrongly"
        )
    difference = (output - expected).abs().max().item()
    allowed = TOLERANCE * max(expected.abs().max().item(), torch.finfo(torch.float32).tiny)
    if not difference <= allowed:  # also true for NaN
        raise WrongOutputError(
            f"{runtime} differs from eager by {difference:.3g}, more than the {allowed:.3g} that "
            f"rounding explains: check the model for NaN and for code that depends on its input"
        )
    return difference
