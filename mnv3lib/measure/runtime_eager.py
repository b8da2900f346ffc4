"""PyTorch itself as a runtime: the model as given, in inference mode (chapter 6)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from mnv3lib.measure.bound import Bind, BoundCall

__all__ = ["NAME", "PACKAGE", "compile_program", "memory_format", "thread_count"]

NAME = "eager"
PACKAGE = "torch"


def compile_program(model: nn.Module, example: Tensor, threads: int) -> Bind:
    """Wrap a model in evaluation mode; nothing is compiled.

    Args:
        model: The module to run.
        example: Not needed here: eager takes any shape.
        threads: Not needed here: `thread_count` sets it for the process.

    Returns:
        A function that takes an input to the model's memory layout.
    """
    layout = memory_format(model)

    def bind(x: Tensor) -> BoundCall:
        source = x.contiguous(memory_format=layout) if x.ndim == 4 else x.contiguous()

        def step() -> Tensor:
            with torch.inference_mode():
                return model(source)

        return BoundCall(step, source)

    return bind


def memory_format(model: nn.Module) -> torch.memory_format:
    """Return the layout of a model's convolution weights: channels_last, or contiguous.

    A weight of one channel or of one pixel lies the same way in both layouts and decides nothing.
    """
    for parameter in model.parameters():
        if parameter.ndim == 4 and not parameter.is_contiguous():
            return torch.channels_last
    return torch.contiguous_format


@contextlib.contextmanager
def thread_count(threads: int) -> Iterator[None]:
    """Let PyTorch compute with this many threads, and put the old number back afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
