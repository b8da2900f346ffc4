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
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mnv3lib.measure.bound import Bind, BoundCall
from mnv3lib.measure.silence import hushed

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["NAME", "PACKAGE", "compile_program", "export_onnx", "open_session", "thread_count"]

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
        A function that binds an input, without a copy if it is contiguous, and a fresh output;
        a call runs the session between the two.
    """
    session = open_session(export_onnx(model, example), threads)
    with torch.inference_mode():
        output_shape = model(example).shape

    def bind(x: Tensor) -> BoundCall:
        source = x.detach().contiguous()
        result = torch.empty(output_shape)
        binding = session.io_binding()
        binding.bind_input(_INPUT, "cpu", 0, "float32", tuple(source.shape), source.data_ptr())
        binding.bind_output(_OUTPUT, "cpu", 0, "float32", tuple(result.shape), result.data_ptr())

        def step() -> Tensor:
            session.run_with_iobinding(binding)
            return result

        return BoundCall(step, source)

    return bind


@contextlib.contextmanager
def thread_count(threads: int) -> Iterator[None]:
    """Do nothing: a session carries its own number of threads."""
    yield
