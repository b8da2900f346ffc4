"""What ONNX Runtime's profiler says: the time of every node, and of every layer (chapter 12).

After optimisation a program's nodes are no longer the network's operators: activations have moved
into convolutions, changes of layout and of precision have come between. What stays is the order of
the layers that multiply matrices. So the time of a layer is that of its own node, and that of all
nodes between it and the next one: what is left of activations, gates, sums and conversions.
"""

import json
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from mnv3lib.measure.runtime_onnxruntime import open_session
from mnv3lib.measure.runtimes import check_threads, find_runtime

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

__all__ = ["LayerTime", "NodeTime", "check_runs", "layer_names", "layer_times", "node_times"]

_WARMUP = 3
_KERNEL = "_kernel_time"
_LAYERS = {"Conv", "FusedConv", "QLinearConv", "Gemm", "MatMul", "QGemm", "QLinearMatMul"}


@dataclass(frozen=True)
class NodeTime:
    """The time of a node of a program.

    Attributes:
        name: ONNX Runtime's name of it.
        kind: Its operator, such as ``QLinearConv``.
        ms: Milliseconds, the median over the passes.
    """

    name: str
    kind: str
    ms: float


@dataclass(frozen=True)
class LayerTime:
    """The time of a convolution or linear layer, and of what follows it.

    Attributes:
        layer: Path of the module, such as ``rows.3.depthwise.conv``.
        own_ms: Milliseconds of the layer's own node, fused activations included.
        after_ms: Milliseconds of the nodes between it and the next layer.
    """

    layer: str
    own_ms: float
    after_ms: float


def check_runs(runs: int) -> None:
    """Raises a ValueError unless runs is a whole number of at least 1."""
    if isinstance(runs, bool) or not isinstance(runs, int) or runs < 1:
        raise ValueError(f"runs must be an integer of at least 1, got {runs!r}")


def node_times(
    programs: Mapping[str, bytes], example: Tensor, threads: int = 1, *, runs: int = 30
) -> dict[str, list[NodeTime]]:
    """Profiles ONNX files side by side: they take turns, so that all see the same moods.

    Args:
        programs: Bytes of the files by name.
        example: An input for all of them.
        threads: Threads to compute with.
        runs: Profiled passes of each.

    Returns:
        By name one entry for each node of the optimised program, in the order in which they run.

    Raises:
        ValueError: Fewer than one thread or run.
        MissingRuntimeError: ONNX Runtime is not installed.
    """
    check_runs(runs)
    find_runtime("onnxruntime")
    with tempfile.TemporaryDirectory() as folder:
        sessions = {}
        for number, (name, program) in enumerate(programs.items()):
            prefix = str(Path(folder) / f"profile-{number}")
            sessions[name] = open_session(program, check_threads(threads), profile_prefix=prefix)
        for _ in range(_WARMUP + runs):
            for session in sessions.values():
                session.run(None, {session.get_inputs()[0].name: example.numpy()})
        return {name: _read_profile(session) for name, session in sessions.items()}


def _read_profile(session: "InferenceSession") -> list[NodeTime]:
    """Ends a session's profile; the median time of each node after the warm-up."""
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    times_ms: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            node = event["name"].removesuffix(_KERNEL), event["args"]["op_name"]
            times_ms[node].append(event["dur"] / 1e3)
    return [NodeTime(*node, float(np.median(ms[_WARMUP:]))) for node, ms in times_ms.items()]


def layer_names(network: nn.Module, example: Tensor) -> list[str]:
    """Paths of the convolutions and linear layers of a network, in the order in which they run."""
    found: list[str] = []
    hooks = [
        module.register_forward_pre_hook(lambda *_, name=name: found.append(name))
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    with torch.no_grad():
        network(example)
    for hook in hooks:
        hook.remove()
    return found


def layer_times(nodes: Sequence[NodeTime], layers: Sequence[str]) -> list[LayerTime]:
    """Groups the nodes of a program by layer.

    Args:
        nodes: See :func:`node_times`.
        layers: See :func:`layer_names`.

    Returns:
        One entry for each layer. What runs before the first one is not told.

    Raises:
        ValueError: The program has another number of layers, since some were merged or split.
    """
    starts = [index for index, node in enumerate(nodes) if node.kind in _LAYERS]
    if len(starts) != len(layers):
        raise ValueError(
            f"the program has {len(starts)} nodes that multiply matrices, the network "
            f"{len(layers)} layers, so they cannot be paired"
        )
    ends = [*starts[1:], len(nodes)]
    return [
        LayerTime(layer, nodes[start].ms, sum(node.ms for node in nodes[start + 1 : end]))
        for layer, start, end in zip(layers, starts, ends, strict=True)
    ]
