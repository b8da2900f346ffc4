"""Time every operator of the networks of chapter 6 in its place, and record the run.

    python -m mnv3lib.ledger.record_pieces --out data/runs/latency-rows.json

For each network and runtime one set of interleaved rounds, see :mod:`mnv3lib.measure.cuts`. A
finished set is kept, so that an interrupted command goes on. ExecuTorch lowers some 150 cuts,
which takes a quarter of an hour the first time; the programs are kept. Let nothing else run on
the machine meanwhile.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from mnv3lib.ledger.drafts import Draft
from mnv3lib.measure.cuts import time_pieces
from mnv3lib.measure.runtimes import RUNTIMES
from mnv3lib.models import create_model
from mnv3lib.recorder import record_from_command_line
from mnv3lib.runs import RecordedRun, write_run

__all__ = ["NETWORKS", "main", "measure_pieces", "record"]

_MODULE = "mnv3lib.ledger.record_pieces"
NETWORKS = ("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small")


def measure_pieces(name: str, runtime: str, protocol: Mapping[str, int]) -> list[dict]:
    """Times one network on one runtime, operator by operator, ready for JSON."""
    generator = torch.Generator().manual_seed(protocol["seed"])
    pieces = time_pieces(create_model(name, generator=generator), runtime=runtime, **protocol)
    ms = [{k: round(v, 5) for k, v in asdict(piece.added_ms).items()} for piece in pieces]
    return [
        {"row": piece.row, "kind": piece.kind, "macs": piece.macs, "added_ms": added}
        for piece, added in zip(pieces, ms, strict=True)
    ]


def record(
    out: Path,
    *,
    networks: Sequence[str] = NETWORKS,
    runtimes: Sequence[str] = tuple(RUNTIMES),
    resolution: int = 224,
    threads: int = 1,
    rounds: int = 100,
    seed: int = 0,
) -> RecordedRun:
    """Measures all networks on all runtimes and writes the run.

    Args:
        out: The JSON file to write, for instance ``data/runs/latency-rows.json``.
        networks: Registered networks.
        runtimes: Names of :data:`mnv3lib.measure.runtimes.RUNTIMES`.
        resolution: Side of the square image in pixels.
        threads: Threads to compute with.
        rounds: Timed rounds of each set.
        seed: Seed of the weights, of the image and of the order.

    Returns:
        The run; its metrics hold for each network and runtime a list of operators with ``row``,
        ``kind``, ``macs`` and ``added_ms`` (median and quartiles).

    Raises:
        ValueError: An unknown network or runtime, or a number out of range.
    """
    protocol = {"resolution": resolution, "threads": threads, "rounds": rounds, "seed": seed}
    config = {**protocol, "batch": 1, "networks": list(networks), "runtimes": list(runtimes)}
    draft = Draft(out.stem, config)
    metrics: dict[str, dict] = {name: {} for name in networks}
    pairs = [(name, runtime) for runtime in runtimes for name in networks]
    for name, runtime in tqdm(pairs, "operators", disable=None):
        measure = partial(measure_pieces, name, runtime, protocol)
        metrics[name][runtime] = draft.part(f"{name} {runtime}", measure)
    run = write_run(
        out.stem,
        command=f"python -m {_MODULE} --networks {' '.join(networks)} "
        f"--runtimes {' '.join(runtimes)} --rounds {rounds} --seed {seed} "
        f"--out data/runs/{out.name}",
        config=config,
        seeds=[seed],
        metrics=metrics,
        started=draft.started,
        duration_s=draft.duration_s,
        path=out,
    )
    draft.discard()
    return run


def main(arguments: list[str] | None = None) -> int:
    """Records a run from the command line; see :mod:`mnv3lib.recorder`."""
    return record_from_command_line(
        record,
        module=_MODULE,
        summary=__doc__.splitlines()[0],
        options={
            "networks": list(NETWORKS),
            "runtimes": list(RUNTIMES),
            "rounds": 100,
            "seed": 0,
        },
        describe=lambda run: f"{run.name}: {len(run.metrics)} networks, {run.duration_s:.0f} s",
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
