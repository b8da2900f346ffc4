"""ExecuTorch with the XNNPACK delegate, the kernels that a phone runs (chapter 6).

Two steps lie between a module and a program: `torch.export` records the operators, and the lowering
hands those that XNNPACK knows over to it and folds batch norm. The second takes about ten seconds
for a whole network, so programs are kept on disk (`mnv3lib.measure.program_cache`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib.metadata import version

import torch
from torch import Tensor, nn

from mnv3lib.measure.bound import Bind, BoundCall
from mnv3lib.measure.program_cache import cached_program, content_key
from mnv3lib.measure.silence import hushed

__all__ = ["NAME", "PACKAGE", "compile_program", "lower", "thread_count"]

NAME = "executorch"
PACKAGE = "executorch"


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


def compile_program(model: nn.Module, example: Tensor, threads: int) -> Bind:
    """Lower a model and load the program.

    Args:
        model: A module in evaluation mode, from one tensor to one tensor.
        example: An input; only its shape matters.
        threads: Not needed here: `thread_count` sets it for the process.

    Returns:
        A function that ties an input to the program.
    """
    program = lower(model, example)
    with hushed():
        from executorch.extension.pybindings.portable_lib import _load_for_executorch_from_buffer

        loaded = _load_for_executorch_from_buffer(program)

    def bind(x: Tensor) -> BoundCall:
        source = x.detach().contiguous()

        def step(_keep_alive: bytes = program) -> Tensor:
            return loaded.forward((source,))[0]

        return BoundCall(step, source)

    return bind


@contextlib.contextmanager
def thread_count(threads: int) -> Iterator[None]:
    """Let ExecuTorch's pool have this many threads, and put the old number back afterwards.

    A program takes the pool that it finds when it first runs, so compile and run it in one such
    context.
    """
    with hushed():
        from executorch.extension.pybindings import portable_lib as runtime

        before = runtime._threadpool_get_thread_count()  # makes the pool if there is none
    _resize_pool(runtime, before, threads)
    try:
        yield
    finally:
        _resize_pool(runtime, threads, before)


def _resize_pool(runtime: object, current: int, wanted: int) -> None:
    """Replace the pool of threads unless it has the wanted size already."""
    if current != wanted:
        with hushed():
            runtime._unsafe_reset_threadpool(wanted)
