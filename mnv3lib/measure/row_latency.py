"""Timing rows alone, so that their sum predicts a network (chapter 6).

How, and why so: see :mod:`mnv3lib.measure.latency_table`.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from mnv3lib.measure.bound import BoundCall
from mnv3lib.measure.interleave import Clock, interleave
from mnv3lib.measure.latency import image
from mnv3lib.measure.latency_table import LatencyTable, deployed_rows
from mnv3lib.measure.machine import describe_machine
from mnv3lib.measure.placed_rows import PlacedRow, placed_rows, shape_text
from mnv3lib.measure.runtimes import check_threads, compile_model, find_runtime
from mnv3lib.models import deploy
from mnv3lib.ops import InvertedResidual

__all__ = ["measure_table", "row_latencies"]

_ROW, _HANDOVER, _NETWORK = "row ", "handover ", "network "


def measure_table(
    networks: Mapping[str, tuple[nn.Module, int]],
    runtime: str = "eager",
    threads: int = 1,
    *,
    more_rows: Sequence[PlacedRow] = (),
    rounds: int = 30,
    warmup: int = 2,
    seed: int = 0,
    clock: Clock = time.perf_counter_ns,
) -> tuple[LatencyTable, dict[str, float]]:
    """Times every row of some networks once, and the networks, all in the same rounds.

    Args:
        networks: (network, resolution in pixels) by name; timed in deploy form.
        runtime: ``"eager"``, ``"onnxruntime"`` or ``"executorch"``.
        threads: Threads to compute with.
        more_rows: Rows in deploy form that none of the networks has, to be timed with theirs.
        rounds: Timed rounds.
        warmup: Rounds before those.
        seed: Seed of the inputs and of the order.
        clock: Where the time comes from.

    Returns:
        The table, and the median latency of each network in milliseconds, to judge it by.

    Raises:
        ValueError: No networks, one without rows, a resolution below 32, fewer than one thread
            or round, or an unknown runtime.
        MissingRuntimeError: The runtime's package is not installed.
    """
    if not networks:
        raise ValueError("no networks to take rows from: give {name: (network, resolution)}")
    found = find_runtime(runtime)
    with found.threads(check_threads(threads)):
        rows = [row for model, side in networks.values() for row in deployed_rows(model, side)]
        rows += more_rows
        calls = _bind_rows(rows, runtime, threads, seed)
        for name, (model, side) in networks.items():
            calls[_NETWORK + name] = _bind(deploy(model), image(side, seed=seed), runtime, threads)
        before = _like_inside_a_network(calls, runtime, threads)
        options = {"rounds": rounds, "warmup": warmup, "seed": seed, "clock": clock}
        median_ms = _medians(interleave(calls, before=before, **options))
    table = LatencyTable(
        runtime=runtime,
        threads=threads,
        rounds=rounds,
        rows_ms=_starting_with(_ROW, median_ms),
        handover_ms=_starting_with(_HANDOVER, median_ms),
        machine=describe_machine(),
    )
    return table, _starting_with(_NETWORK, median_ms)


def row_latencies(
    model: nn.Module,
    resolution: int | None = None,
    runtime: str = "eager",
    threads: int = 1,
    *,
    rounds: int = 30,
    seed: int = 0,
) -> list[float]:
    """Times each row of a network, in the form it is given in.

    Args:
        model: A network with a sequence ``rows``.
        resolution: Side of the square image in pixels; the network's own if not given.
        runtime: ``"eager"``, ``"onnxruntime"`` or ``"executorch"``.
        threads: Threads to compute with.
        rounds: Timed rounds.
        seed: Seed of the inputs and of the order.

    Returns:
        Milliseconds that each row adds to the network, first row to last.

    Raises:
        ValueError: As in :func:`measure_table`.
        MissingRuntimeError: The runtime's package is not installed.
    """
    found = find_runtime(runtime)
    rows = placed_rows(model, resolution)
    with found.threads(check_threads(threads)):
        calls = _bind_rows(rows, runtime, threads, seed)
        before = _like_inside_a_network(calls, runtime, threads)
        median_ms = _medians(interleave(calls, before=before, rounds=rounds, seed=seed))
    table = LatencyTable(
        runtime=runtime,
        threads=threads,
        rounds=rounds,
        rows_ms=_starting_with(_ROW, median_ms),
        handover_ms=_starting_with(_HANDOVER, median_ms),
    )
    return [table.row_ms(row) for row in rows]


def _bind_rows(
    rows: Iterable[PlacedRow], runtime: str, threads: int, seed: int
) -> dict[str, BoundCall]:
    """Compiles each different row once, and a hand-over for each different shape."""
    generator = torch.Generator().manual_seed(seed)
    wanted: dict[str, tuple[nn.Module, tuple[int, ...]]] = {}
    for row in rows:
        wanted[_ROW + row.key] = (row.module, row.input_shape)
        for shape in (row.input_shape, row.output_shape):
            wanted[_HANDOVER + shape_text(shape)] = (_handover(runtime, shape), shape)
    bar = tqdm(wanted.items(), f"compiling rows for {runtime}", delay=2, disable=None, leave=False)
    return {
        name: _bind(module, torch.randn(shape, generator=generator), runtime, threads)
        for name, (module, shape) in bar
    }


def _bind(module: nn.Module, x: Tensor, runtime: str, threads: int) -> BoundCall:
    return compile_model(module, x, runtime=runtime, threads=threads).bind(x)


def _handover(runtime: str, shape: tuple[int, ...]) -> nn.Module:
    """The least that a runtime can do with a map: take it, copy it, give it back."""
    return _HANDOVERS[runtime](shape[1]) if len(shape) == 4 else nn.Hardtanh(-100.0, 100.0)


def _copying_convolution(channels: int) -> nn.Module:
    convolution = nn.Conv2d(channels, channels, 1, groups=channels, bias=False)
    nn.init.ones_(convolution.weight)
    return convolution


_HANDOVERS: dict[str, Callable[[int], nn.Module]] = {
    # Takes and gives maps as they are: only the call itself is left.
    "eager": lambda channels: nn.Identity(),
    # An identity would be dropped; a pool over one pixel is kept, and converts to channel blocks.
    "onnxruntime": lambda channels: nn.MaxPool2d(1),
    # XNNPACK refuses pools over one pixel; a convolution converts to channels last.
    "executorch": _copying_convolution,
}


def _like_inside_a_network(
    calls: Mapping[str, BoundCall], runtime: str, threads: int
) -> Callable[[str], None]:
    """Makes what runs before each timed call: a row has another row before it.

    Its input has just been written, and the runtime's code, though not its weights, is at hand.
    """
    row = nn.Sequential(
        InvertedResidual(16, 32, 16, squeeze_channels=8, act="hard_swish"),
        InvertedResidual(16, 32, 16, act="relu"),
    )
    another = _bind(deploy(row), torch.zeros(1, 16, 7, 7), runtime, threads)

    def before(name: str) -> None:
        calls[name].touch()
        another()

    return before


def _medians(samples: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each list."""
    return {name: float(np.median(times)) for name, times in samples.items()}


def _starting_with(prefix: str, values: Mapping[str, float]) -> dict[str, float]:
    """The entries whose names start with a prefix, without it."""
    return {name.removeprefix(prefix): v for name, v in values.items() if name.startswith(prefix)}
