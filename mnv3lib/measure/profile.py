"""A network's table with its costs: each row's counts, memory and latency (chapters 5 and 6).

The paper's tables say what a row is; this adds what it costs. Counts and memory are exact. The
latency of a row is what it adds inside a network, measured as
:func:`mnv3lib.measure.row_latency.row_latencies` does; the whole network is timed by itself, so the
rows need not add up to it.
"""

from dataclasses import dataclass

from mnv3lib.measure.counting import RowCount, count
from mnv3lib.measure.image_size import own_resolution
from mnv3lib.measure.latency import latency
from mnv3lib.measure.memory import activation_memory
from mnv3lib.measure.row_latency import row_latencies
from mnv3lib.models import Network

__all__ = ["Profile", "ProfileRow", "profile"]


@dataclass(frozen=True)
class ProfileRow:
    """One line of the table.

    Attributes:
        index: Line, from 0.
        input_shape: (C, H, W) or (C,).
        operator: The row in words.
        exp: Channels of the expansion, None where there is none.
        out: Output channels, None for pooling.
        se: Whether there is a squeeze-and-excite.
        act: Activation, None where there is none.
        stride: Stride, None where there is none.
        params: Learnable numbers.
        macs: Multiply-adds.
        memory_bytes: Peak activation memory.
        latency_ms: What the row adds to the network's latency, milliseconds.
    """

    index: int
    input_shape: tuple[int, ...]
    operator: str
    exp: int | None
    out: int | None
    se: bool
    act: str | None
    stride: int | None
    params: int
    macs: int
    memory_bytes: int
    latency_ms: float


@dataclass(frozen=True)
class Profile:
    """A whole network, row by row.

    Attributes:
        rows: The table.
        params: Learnable numbers.
        macs: Multiply-adds.
        memory_bytes: Peak activation memory, that of the hungriest row.
        latency_ms: Median latency of the network in one piece, milliseconds.
        resolution: Side of the square image in pixels.
        runtime: Name of the runtime.
        threads: Threads it used.
        rounds: Timed rounds.
        convention: What params and MACs include, in words.
    """

    rows: tuple[ProfileRow, ...]
    params: int
    macs: int
    memory_bytes: int
    latency_ms: float
    resolution: int
    runtime: str
    threads: int
    rounds: int
    convention: str


def profile(
    model: Network,
    resolution: int | None = None,
    runtime: str = "eager",
    threads: int = 1,
    *,
    rounds: int = 30,
) -> Profile:
    """Counts and times each row of a network.

    Args:
        model: The network, timed in the form it is given in; it is left as it was.
        resolution: Side of the square image in pixels, at least 32; the network's own if not
            given.
        runtime: ``"eager"``, ``"onnxruntime"`` or ``"executorch"``.
        threads: Threads to compute with.
        rounds: Timed rounds.

    Returns:
        The table with its costs.

    Raises:
        ValueError: A resolution below 32, fewer than one thread or round, an unknown runtime, or
            a model that was not built from a table.
        MissingRuntimeError: The runtime's package is not installed.
    """
    if not isinstance(model, Network):
        raise ValueError(
            f"expected a network with a table, got {type(model).__name__}: build it with "
            "mnv3lib.create_model"
        )
    resolution = own_resolution(model) if resolution is None else resolution
    whole = latency(model, resolution, runtime, threads, rounds=rounds)
    rows_ms = row_latencies(model, resolution, runtime, threads, rounds=rounds)
    counted = count(model, resolution)
    memory = activation_memory(model, resolution)
    rows = tuple(
        _row(model, row, memory[f"rows.{row.index}"], row_ms)
        for row, row_ms in zip(counted.rows, rows_ms, strict=True)
    )
    return Profile(
        rows=rows,
        params=counted.params,
        macs=counted.macs,
        memory_bytes=max(memory.values()),
        latency_ms=whole.median_ms,
        resolution=resolution,
        runtime=runtime,
        threads=threads,
        rounds=rounds,
        convention=counted.convention,
    )


def _row(model: Network, counted: RowCount, memory_bytes: int, latency_ms: float) -> ProfileRow:
    row = model.spec.rows[counted.index]
    return ProfileRow(
        index=counted.index,
        input_shape=counted.input_shape,
        operator=counted.operator,
        exp=getattr(row, "exp", None),
        out=getattr(row, "out", None),
        se=getattr(row, "se", False),
        act=getattr(row, "act", None),
        stride=getattr(row, "stride", None),
        params=counted.params,
        macs=counted.macs,
        memory_bytes=memory_bytes,
        latency_ms=latency_ms,
    )
