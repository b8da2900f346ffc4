"""ONNX Runtime on the CPU (chapter 6).

A module becomes an ONNX graph, and ONNX Runtime optimises the graph when it opens a session: it
folds batch norm, fuses activations into convolutions and lays channels out in blocks.

PyTorch has two exporters. This one is the older, which traces the module: it takes about half a
second for MobileNetV3-Large and 0.03 s for a single row, where the newer takes 3 s and 1 s, and a
latency table has hundreds of rows. The graphs run equally fast.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mnv3lib.measure.bound import Bind, BoundCall, LoadedProgram
from mnv3lib.measure.silence import hushed

if TYPE_CHECKING:
    import onnxruntime

__all__ = [
    "NAME",
    "PACKAGE",
    "compile_program",
    "export_onnx",
    "load_program",
    "open_session",
    "thread_count",
]

NAME = "onnxruntime"
PACKAGE = "onnxruntime"

_INPUT, _OUTPUT = "input", "output"


def export_onnx(model: nn.Module, example: Tensor) -> bytes:
    """Return a module in evaluation mode as the bytes of an ONNX file.

    Args:
        model: A module from one tensor to one tensor.
        example: An input; its shape is fixed in the graph.
    """
    file = io.BytesIO()
    names = {"input_names": [_INPUT], "output_names": [_OUTPUT]}
    with hushed():
        torch.onnx.export(model, (example.contiguous(),), file, dynamo=False, **names)
    return file.getvalue()


def open_session(
    program: bytes, threads: int, *, profile_prefix: str | None = None
) -> onnxruntime.InferenceSession:
    """Open an ONNX file with all graph optimisations.

    Args:
        program: The file's bytes.
        threads: Threads inside an operator; operators run one after the other.
        profile_prefix: If given, the session records each operator's time in a file whose name
            starts like this.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3  # errors only
    if profile_prefix is not None:
        options.enable_profiling = True
        options.profile_file_prefix = profile_prefix
    return onnxruntime.InferenceSession(program, options, providers=["CPUExecutionProvider"])


def compile_program(model: nn.Module, example: Tensor, threads: int) -> Bind:
    """Export a model and open it.

    Args:
        model: A module in evaluation mode, from one tensor to one tensor.
        example: An input; only its shape matters.
        threads: Threads inside an operator.

    Returns:
        What `load_program` binds with.
    """
    return load_program(export_onnx(model, example), threads).bind


def load_program(program: bytes, threads: int) -> LoadedProgram:
    """Open an ONNX file with fixed shapes.

    Args:
        program: The file's bytes.
        threads: Threads inside an operator.

    Returns:
        The program; it binds an input, without a copy if it is contiguous, and a fresh output, and
        a call runs the session between the two.

    Raises:
        ValueError: The graph has several inputs or outputs, other types, or open dimensions.
    """
    session = open_session(program, threads)
    (source_name, input_shape), (result_name, output_shape) = map(
        _only, ("input", "output"), (session.get_inputs(), session.get_outputs())
    )

    def bind(x: Tensor) -> BoundCall:
        source = x.detach().contiguous()
        result = torch.empty(output_shape)
        binding = session.io_binding()
        binding.bind_input(source_name, "cpu", 0, "float32", input_shape, source.data_ptr())
        binding.bind_output(result_name, "cpu", 0, "float32", output_shape, result.data_ptr())

        def step() -> Tensor:
            session.run_with_iobinding(binding)
            return result

        return BoundCall(step, source)

    return LoadedProgram(input_shape, output_shape, bind)


def _only(what: str, values: Sequence[onnxruntime.NodeArg]) -> tuple[str, tuple[int, ...]]:
    """Return name and shape of a graph's only input or output."""
    told = ", ".join(f"{value.name} {value.type} {value.shape}" for value in values)
    if len(values) != 1 or values[0].type != "tensor(float)":
        raise ValueError(f"expected one {what} of type tensor(float), the graph has {told}")
    if not all(isinstance(side, int) for side in values[0].shape):
        raise ValueError(f"expected an {what} of fixed shape, the graph has {told}")
    return values[0].name, tuple(values[0].shape)


@contextlib.contextmanager
def thread_count(threads: int) -> Iterator[None]:
    """Do nothing: a session carries its own number of threads."""
    yield
