"""Records the latency table of a search space (chapter 8).

    python -m mnv3lib.search.record_latency --out data/runs/search-latency.json

Every row that a network of the space can have is timed once, and so are networks that between them
have all these rows, and others drawn from the space, in the same interleaved rounds. The former
fit the factor that all predictions share, the latter judge the table.
"""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import torch

from mnv3lib.measure.prediction import judge_table
from mnv3lib.measure.row_latency import measure_table
from mnv3lib.models import Network
from mnv3lib.recorder import record_from_command_line
from mnv3lib.runs import RecordedRun, write_run
from mnv3lib.search.encoding import decode, sample_codes
from mnv3lib.search.networks import network_of
from mnv3lib.search.spaces import find_space
from mnv3lib.search.table_latency import covering_points

__all__ = ["main", "record"]

_MODULE = "mnv3lib.search.record_latency"
_CALIBRATING, _JUDGING = "calibrating", "judging"


def record(
    out: Path,
    *,
    space: str = "small_32",
    resolution: int = 32,
    classes: int = 10,
    runtime: str = "onnxruntime",
    threads: int = 1,
    rounds: int = 60,
    judges: int = 64,
    seed: int = 0,
) -> RecordedRun:
    """Times rows and networks, judges the table, and writes the run.

    Args:
        out: The run's file; its stem is the run's name.
        space: Name of a space.
        resolution: Side of the square image in pixels.
        classes: Classes of the networks.
        runtime: ``"eager"``, ``"onnxruntime"`` or ``"executorch"``.
        threads: Threads to compute with.
        rounds: Timed rounds.
        judges: Networks, drawn from the space, that judge the table.
        seed: Seed of the draw, of the inputs and of the order within a round.

    Returns:
        The run as written; its metrics are those of :func:`mnv3lib.measure.prediction.judge_table`.

    Raises:
        ValueError: Unknown space, or as in :func:`mnv3lib.measure.row_latency.measure_table`.
        MissingRuntimeError: The runtime's package is not installed.
    """
    started, start = datetime.now(UTC), time.perf_counter()
    networks = _networks(space, classes, judges, seed)
    placed = {name: (network, resolution) for name, network in networks.items()}
    table, measured_ms = measure_table(placed, runtime, threads, rounds=rounds, seed=seed)
    calibrating = [name for name in networks if name.startswith(_CALIBRATING)]
    config = {
        "space": space,
        "resolution": resolution,
        "classes": classes,
        "runtime": runtime,
        "threads": threads,
        "rounds": rounds,
        "judges": judges,
    }
    words = " ".join(f"--{name} {value}" for name, value in config.items())
    return write_run(
        out.stem,
        command=f"python -m {_MODULE} {words} --seed {seed} --out data/runs/{out.name}",
        config={**config, "form": "deploy: batch norm folded, channels last"},
        seeds=[seed],
        metrics=judge_table(table, placed, measured_ms, calibrating),
        started=started,
        duration_s=time.perf_counter() - start,
        path=out,
    )


def _networks(space: str, classes: int, judges: int, seed: int) -> dict[str, Network]:
    """Networks by name: those that cover the space's rows, and those that judge."""
    found = find_space(space)
    drawn = decode(found, sample_codes(found, judges, torch.Generator().manual_seed(seed)))
    named = {
        **{f"{_CALIBRATING} {i}": point for i, point in enumerate(covering_points(found))},
        **{f"{_JUDGING} {i}": point for i, point in enumerate(drawn)},
    }
    return {
        name: network_of(found, point, num_classes=classes).eval() for name, point in named.items()
    }


def _describe(run: RecordedRun) -> str:
    report = run.metrics["calibrated"]
    return (
        f"{len(run.metrics['table']['rows_ms'])} rows; {len(report['networks'])} networks judge: "
        f"Spearman {report['spearman']:.4f}, median error {report['median_error']:.1%}, largest "
        f"{report['largest_error']:.1%}; {run.duration_s:.0f} s"
    )


def main(arguments: list[str] | None = None) -> int:
    """Records a run from the command line; see :mod:`mnv3lib.recorder`."""
    return record_from_command_line(
        record,
        module=_MODULE,
        summary=__doc__.splitlines()[0],
        describe=_describe,
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
