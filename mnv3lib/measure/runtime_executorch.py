"""ExecuTorch with the XNNPACK delegate, the kernels that a phone runs (chapter 6).

Two steps lie between a module and a program: `torch.export` records the operators, and the lowering
hands those that XNNPACK knows over to it and folds batch norm. The second takes about ten seconds
for a whole network, so programs are kept on disk (`mnv3lib.measure.program_cache`).
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn

from mnv3lib.measure.bound import Bind, BoundCall, LoadedProgram
from mnv3lib.measure.program_cache import cached_program, content_key
from mnv3lib.measure.silence import hushed

__all__ = ["NAME", "PACKAGE", "compile_program", "load_program", "lower", "thread_count"]

NAME = "executorch"
PACKAGE = "executorch"

_FLOAT32 = 6  # the number of this type in ExecuTorch's programs


class _Root(nn.Module):
    """Gives every parameter a name that starts with a letter, as XNNPACK's lowering demands."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Run the network inside."""
        return self.network(x)


def lower(model: nn.Module, example: Tensor) -> bytes:
    """Return a module in evaluation mode as an ExecuTorch program, from the cache if it is there.

    Args:
        model: A module from one tensor to one tensor.
        example: An input; its shape is fixed in the program.
    """
    root = _Root(model.to(memory_format=torch.contiguous_format)).eval()
    with hushed():
        exported = torch.export.export(root, (example.contiguous(),))
        versions = f"executorch {version('executorch')}, torch {torch.__version__}"
        graph = f"{exported.graph}\n{exported.graph_signature}\n{tuple(example.shape)}"
        key = content_key([versions, graph], exported.state_dict)
        return cached_program(key, ".pte", lambda: _to_program(exported))


def _to_program(exported: torch.export.ExportedProgram) -> bytes:
    """Lower an exported module to XNNPACK."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.backends.xnnpack.utils.configs import get_xnnpack_edge_compile_config
    from executorch.exir import to_edge_transform_and_lower

    edge = to_edge_transform_and_lower(
        exported,
        partitioner=[XnnpackPartitioner()],
        compile_config=get_xnnpack_edge_compile_config(),
    )
    return bytes(edge.to_executorch().buffer)


class _Program:
    """A program that is loaded when it first runs, and again after the thread pool has changed.

    A loaded program keeps the address of the pool that it found. Replacing the pool under it would
    let it compute with freed memory, so every program is unloaded first.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._loaded: Any = None
        _PROGRAMS.add(self)

    def __call__(self, x: Tensor) -> Tensor:
        """Runs the program on an input of its example's shape."""
        return self.load().forward((x,))[0]

    def load(self) -> Any:
        """The loaded program."""
        if self._loaded is None:
            with hushed():
                self._loaded = _bindings()._load_for_executorch_from_buffer(self._content)
        return self._loaded

    def unload(self) -> None:
        """Gives the program's memory back; its bytes stay."""
        self._loaded = None


_PROGRAMS: weakref.WeakSet[_Program] = weakref.WeakSet()


def compile_program(model: nn.Module, example: Tensor, threads: int) -> Bind:
    """Lowers a model and makes the program ready.

    Args:
        model: A module in evaluation mode, from one tensor to one tensor.
        example: An input; only its shape matters.
        threads: Not needed here: :func:`thread_count` sets it for the process.

    Returns:
        A function that ties an input to the program.
    """
    return _binder(_Program(lower(model, example)))


def load_program(content: bytes, threads: int) -> LoadedProgram:
    """Reads an ExecuTorch program with one input and one output.

    Args:
        content: The bytes of a ``.pte`` file.
        threads: Not needed here: :func:`thread_count` sets it for the process.

    Raises:
        ValueError: The program has several inputs or outputs, or other types than float32.
        RuntimeError: The bytes are no program.
    """
    program = _Program(content)
    about = program.load().method_meta("forward")
    told = f"{about.num_inputs()} inputs and {about.num_outputs()} outputs"
    if (about.num_inputs(), about.num_outputs()) != (1, 1):
        raise ValueError(f"expected one input and one output, the program has {told}")
    source, result = about.input_tensor_meta(0), about.output_tensor_meta(0)
    if (source.dtype(), result.dtype()) != (_FLOAT32, _FLOAT32):
        raise ValueError(f"expected a program from float32 to float32, this one is {about}")
    return LoadedProgram(tuple(source.sizes()), tuple(result.sizes()), _binder(program))


def _binder(program: _Program) -> Bind:
    """What ties inputs to a program."""

    def bind(x: Tensor) -> BoundCall:
        source = x.detach().contiguous()
        return BoundCall(lambda: program(source), source)

    return bind


@contextlib.contextmanager
def thread_count(threads: int) -> Iterator[None]:
    """Lets ExecuTorch's pool have this many threads, and puts the old number back afterwards."""
    with hushed():
        before = _bindings()._threadpool_get_thread_count()  # makes the pool if there is none
    _resize_pool(threads)
    try:
        yield
    finally:
        _resize_pool(before)


def _resize_pool(threads: int) -> None:
    """Replaces the pool of threads unless it has that size already."""
    if _bindings()._threadpool_get_thread_count() == threads:
        return
    for program in list(_PROGRAMS):
        program.unload()
    with hushed():
        _bindings()._unsafe_reset_threadpool(threads)


def _bindings() -> Any:
    """ExecuTorch's Python bindings, imported late because they are slow to load."""
    from executorch.extension.pybindings import portable_lib

    return portable_lib
