"""Records how well a latency table predicts whole networks (chapter 6).

    python -m mnv3lib.ledger.record_prediction --runtime eager \
        --out data/runs/latency-prediction-eager.json

Forty networks, five of each family, at widths from 0.35 to 1.4 and resolutions from 96 to 256
pixels, and every different row that occurs in them are timed in the same interleaved rounds. One
network of each family then fits the factor that all predictions share; the other 32 judge the
table. The run file holds both, and the table itself, from which any network that is made of these
rows can be predicted.

An interrupted run starts its rounds anew, which take about a minute; what takes long, lowering the
rows for ExecuTorch, is kept on disk and not repeated.
"""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from mnv3lib.measure.prediction import judge_table
from mnv3lib.measure.row_latency import measure_table
from mnv3lib.models import Network, create_model
from mnv3lib.recorder import record_from_command_line
from mnv3lib.runs import RecordedRun, write_run

__all__ = ["FAMILIES", "PLACES", "main", "record", "sample_networks"]

_MODULE = "mnv3lib.ledger.record_prediction"
FAMILIES = (
    "mobilenet_v1",
    "mobilenet_v2",
    "mnasnet_a1",
    "efficientnet_b0",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "mobilenet_v3_large_minimalistic",
    "mobilenet_v3_small_minimalistic",
)

PLACES = ((0.35, 224), (0.5, 160), (0.75, 256), (1.0, 192), (1.4, 96))
"""Width multiplier and resolution in pixels of the networks of a family."""


def sample_networks(
    families: Sequence[str] = FAMILIES, places: Sequence[tuple[float, int]] = PLACES
) -> tuple[dict[str, tuple[Network, int]], list[str]]:
    """The networks to time, and the names of those that calibrate.

    The calibrating network of family i is its i-th place, counted around, so that every width
    and resolution takes part.

    Returns:
        (network, resolution in pixels) by name, and names of one network of each family.
    """
    networks: dict[str, tuple[Network, int]] = {}
    calibrating = []
    for index, family in enumerate(families):
        for place, (width, resolution) in enumerate(places):
            name = f"{family} x{width:g} @{resolution}"
            networks[name] = (create_model(family, width_mult=width), resolution)
            if place == index % len(places):
                calibrating.append(name)
    return networks, calibrating


def record(
    out: Path,
    *,
    runtime: str = "eager",
    threads: int = 1,
    rounds: int = 40,
    seed: int = 0,
    families: Sequence[str] = FAMILIES,
    places: Sequence[tuple[float, int]] = PLACES,
) -> RecordedRun:
    """Times the networks and their rows, judges the table, and writes the run.

    Args:
        out: The run's file, for instance ``data/runs/latency-prediction-eager.json``; its stem is
            the run's name.
        runtime: ``"eager"``, ``"onnxruntime"`` or ``"executorch"``.
        threads: Threads to compute with.
        rounds: Timed rounds.
        seed: Seed of the inputs and of the order within a round.
        families: Names for :func:`mnv3lib.create_model`.
        places: Width multipliers and resolutions.

    Returns:
        The run as written.

    Raises:
        ValueError: As in :func:`mnv3lib.measure.row_latency.measure_table`.
        MissingRuntimeError: The runtime's package is not installed.
    """
    started, start = datetime.now(UTC), time.perf_counter()
    networks, calibrating = sample_networks(families, places)
    options = {"threads": threads, "rounds": rounds, "seed": seed}
    table, measured_ms = measure_table(networks, runtime, **options)
    return write_run(
        out.stem,
        command=f"python -m {_MODULE} --runtime {runtime} "
        f"--threads {threads} --rounds {rounds} --seed {seed} --out data/runs/{out.name}",
        config={
            "runtime": runtime,
            "threads": threads,
            "rounds": rounds,
            "families": list(families),
            "width_and_resolution": [list(place) for place in places],
            "form": "deploy: batch norm folded, channels last",
        },
        seeds=[seed],
        metrics=judge_table(table, networks, measured_ms, calibrating),
        started=started,
        duration_s=time.perf_counter() - start,
        path=out,
    )


def _describe(run: RecordedRun) -> str:
    """What the table is worth."""
    lines = [
        f"{kind}: {len(report['networks'])} networks, Spearman {report['spearman']:.4f}, "
        f"median error {report['median_error']:.1%}, largest {report['largest_error']:.1%}"
        for kind, report in run.metrics.items()
        if kind in ("raw", "calibrated")
    ]
    return "\n".join([*lines, f"scale {run.metrics['scale']:.3f}, {run.duration_s:.0f} s"])


def main(arguments: list[str] | None = None) -> int:
    """Records a run from the command line; see :mod:`mnv3lib.recorder`."""
    return record_from_command_line(
        record,
        module=_MODULE,
        summary=__doc__.splitlines()[0],
        options={"runtime": "eager", "threads": 1, "rounds": 40, "seed": 0},
        describe=_describe,
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
