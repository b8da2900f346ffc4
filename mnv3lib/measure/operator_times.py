"""Which operators decide: the time of a network by kind of operator (chapter 6).

Two runtimes can tell how long each operator took: PyTorch's profiler for eager, and ONNX Runtime's
own, after its optimisation, so that a fused activation has no time of its own and a change of
layout has. ExecuTorch's Python package is built without its tracer; there, compare rows
(:func:`mnv3lib.measure.row_latency.row_latencies`). An ONNX file is profiled as it is, int8 or not.

A profiler takes time itself, so the shares mean more than the sum: for the latency of the whole
use :func:`mnv3lib.measure.latency.latency`.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from mnv3lib.measure.image_size import own_resolution
from mnv3lib.measure.latency import image
from mnv3lib.measure.onnx_profile import NodeTime, check_runs, node_times
from mnv3lib.measure.runtime_eager import memory_format
from mnv3lib.measure.runtime_onnxruntime import export_onnx
from mnv3lib.measure.runtimes import check_threads, find_runtime
from mnv3lib.measure.silence import hushed

__all__ = ["OperatorTime", "by_kind", "operator_times"]

_WARMUP = 3
_EAGER_KERNELS = ("aten::", "onednn::")


@dataclass(frozen=True)
class OperatorTime:
    """The time of all operators of one kind in one pass through a network.

    Attributes:
        operator: The runtime's name of the kind, such as ``Conv`` or ``aten::hardswish_``.
        calls: Operators of this kind in the network.
        ms: Milliseconds that they take together.
        share: Their share of the time of all operators, 0 to 1.
    """

    operator: str
    calls: int
    ms: float
    share: float


def operator_times(
    model: nn.Module,
    resolution: int | None = None,
    runtime: str = "onnxruntime",
    threads: int = 1,
    *,
    runs: int = 30,
) -> list[OperatorTime]:
    """Profiles a network.

    Args:
        model: A module from one image to one tensor.
        resolution: Side of the square image in pixels; the network's own if not given.
        runtime: ``"eager"`` or ``"onnxruntime"``.
        threads: Threads to compute with.
        runs: Profiled passes; the time of an operator is the median over them in ONNX Runtime
            and the mean in eager, whose profiler keeps no single times.

    Returns:
        One entry for each kind of operator, the longest first.

    Raises:
        ValueError: Unknown runtime, one without a profiler, a resolution below 32, or fewer than
            one thread or run.
        MissingRuntimeError: The runtime's package is not installed.
    """
    check_runs(runs)
    found = find_runtime(runtime)
    if runtime not in _PROFILERS:
        raise ValueError(
            f"{runtime} cannot tell the time of an operator: choose one of "
            f"{', '.join(_PROFILERS)}, or time rows with row_latencies"
        )
    resolution = own_resolution(model) if resolution is None else resolution
    example = image(resolution)
    frozen = copy.deepcopy(model).eval()
    with found.threads(check_threads(threads)):
        times = _PROFILERS[runtime](frozen, example, threads, runs)
    return _longest_first(times)


def by_kind(nodes: Sequence[NodeTime]) -> list[OperatorTime]:
    """Sums the times of nodes, such as :func:`mnv3lib.measure.onnx_profile.node_times`, by kind.

    Returns:
        One entry for each kind of operator, the longest first.
    """
    return _longest_first(_sums(nodes))


def _sums(nodes: Sequence[NodeTime]) -> dict[str, tuple[int, float]]:
    """(calls, milliseconds) by kind."""
    totals: dict[str, tuple[int, float]] = {}
    for node in nodes:
        calls, ms = totals.get(node.kind, (0, 0.0))
        totals[node.kind] = (calls + 1, ms + node.ms)
    return totals


def _longest_first(times: dict[str, tuple[int, float]]) -> list[OperatorTime]:
    """Sorts (calls, milliseconds) by kind of operator, and adds shares."""
    total_ms = sum(ms for _, ms in times.values())
    ordered = sorted(times.items(), key=lambda entry: -entry[1][1])
    return [OperatorTime(kind, calls, ms, ms / total_ms) for kind, (calls, ms) in ordered]


def _profile_eager(
    model: nn.Module, example: Tensor, threads: int, runs: int
) -> dict[str, tuple[int, float]]:
    """(calls, milliseconds) a pass by operator of PyTorch, less those that it calls."""
    x = example.contiguous(memory_format=memory_format(model))
    with hushed(), torch.inference_mode():
        for _ in range(_WARMUP):
            model(x)
        with profile(activities=[ProfilerActivity.CPU], acc_events=True) as profiler:
            for _ in range(runs):
                model(x)
    return {
        event.key: (event.count // runs, event.self_cpu_time_total / 1e3 / runs)
        for event in profiler.key_averages()
        if event.key.startswith(_EAGER_KERNELS) and event.count >= runs
    }


def _profile_onnxruntime(
    model: nn.Module, example: Tensor, threads: int, runs: int
) -> dict[str, tuple[int, float]]:
    """(calls, milliseconds) a pass by ONNX operator of the exported and optimised graph."""
    program = {"": export_onnx(model, example)}
    return _sums(node_times(program, example, threads, runs=runs)[""])


_PROFILERS: dict[str, Callable[[nn.Module, Tensor, int, int], dict[str, tuple[int, float]]]] = {
    "eager": _profile_eager,
    "onnxruntime": _profile_onnxruntime,
}
