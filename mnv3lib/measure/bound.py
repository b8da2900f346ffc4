"""A compiled model together with one input: the thing that is timed (chapter 6)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Bind", "BoundCall", "LoadedProgram"]


@dataclass(frozen=True)
class BoundCall:
    """A call without arguments that does a runtime's work and nothing else.

    Attributes:
        call: Runs the program on the input.
        source: The input in the runtime's own layout; the call reads this very memory.
    """

    call: Callable[[], Tensor]
    source: Tensor

    def __call__(self) -> Tensor:
        """Runs once and returns the output, which the next run may overwrite."""
        return self.call()

    def touch(self) -> None:
        """Writes the input anew, so that it lies in the cache.

        A row inside a network finds its input there, because the row before has just written it.
        """
        with torch.inference_mode():
            self.source.mul_(1.0)


Bind = Callable[[Tensor], BoundCall]
"""Takes an input to the runtime's own layout and ties it to the compiled program."""


@dataclass(frozen=True)
class LoadedProgram:
    """A program that was compiled before, from one float32 tensor to one float32 tensor.

    Attributes:
        input_shape: Shape of the only input that it takes.
        output_shape: Shape of what it returns.
        tie: Ties an input of that shape to it, unchecked.
    """

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    tie: Bind

    def bind(self, x: Tensor) -> BoundCall:
        """Ties an input to the program.

        Raises:
            ValueError: An input of another shape or type, of which a runtime might read what lies
                behind it in memory.
        """
        if tuple(x.shape) != self.input_shape or x.dtype != torch.float32:
            raise ValueError(
                f"the program takes float32 {self.input_shape}, got "
                f"{str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}"
            )
        return self.tie(x)
