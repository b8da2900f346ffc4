"""Export one trained network in every format and precision, measure the files, record the run.

    python -m mnv3lib.ledger.record_deployment --out data/runs/cifar10-deployment.json

Of each file: its size, its accuracy on the images that the network was evaluated on, how far its
outputs are from those of the float network, and its time for one image, all files in the same
interleaved rounds. Let nothing else run on the machine meanwhile. Files that are finished stay in a
folder, so an interrupted command goes on. Shown in chapter 12.
"""

import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mnv3lib.compress.card import Card, read_card
from mnv3lib.compress.export import FORMATS, PRECISIONS, export
from mnv3lib.compress.source import CalibrationImages, Source, load_images, load_source
from mnv3lib.measure.program_latency import compare_files
from mnv3lib.recorder import record_from_command_line
from mnv3lib.runs import RecordedRun, write_run

__all__ = ["main", "record"]

_MODULE = "mnv3lib.ledger.record_deployment"


def record(
    out: Path,
    *,
    network: str = "mobilenet_v3_small",
    weights: str = "runs/cifar10-swish/hard_swish/seed-0/weights.safetensors",
    images: int = 256,
    rounds: int = 300,
    work: str = "runs/cifar10-deployment",
    root: str = "",
) -> RecordedRun:
    """Exports and measures, and writes the run.

    Args:
        out: The JSON file to write, for instance ``data/runs/cifar10-deployment.json``.
        network: Name of the network.
        weights: ``weights.safetensors`` of its finished run.
        images: Training images to calibrate with.
        rounds: Timed rounds.
        work: Folder for the files.
        root: Where the data lie; empty for `MNV3_DATA`.

    Returns:
        The run; its metrics hold ``network``, the metrics of the float network, and ``files``: for
        each format and precision ``bytes``, ``metrics``, ``agreement`` and ``ms``.

    Raises:
        FileNotFoundError: The weights or the data are not there.
        ValueError: The weights are of another network or of no run, or a number out of range.
    """
    started, start = datetime.now(UTC), time.perf_counter()
    source = load_source(network, Path(weights))
    seen = load_images(source, source.data.name, count=images, root=root or None)
    pairs = [(to, precision) for to in FORMATS for precision in PRECISIONS]
    paths = {(to, p): Path(work) / f"{network}-{p}{FORMATS[to].suffix}" for to, p in pairs}
    cards = {
        pair: _exported(source, path, *pair, seen, root or None)
        for pair, path in tqdm(paths.items(), "files", disable=None)
    }
    times = compare_files(list(paths.values()), rounds=rounds)
    files: dict[str, dict[str, Any]] = {to: {} for to in FORMATS}
    for (to, precision), card in cards.items():
        spread = asdict(times[paths[to, precision].name].spread)
        told = {"bytes": card.bytes, "metrics": card.metrics, "agreement": asdict(card.agreement)}
        files[to][precision] = {**told, "ms": spread}
    config = {"network": network, "images": images, "rounds": rounds, "threads": 1, "batch": 1}
    return write_run(
        out.stem,
        command=f"python -m {_MODULE} --network {network} --images {images} --rounds {rounds} "
        f"--out data/runs/{out.name}",
        config={**config, "weights": source.weights},
        seeds=[0],
        metrics={"network": next(iter(cards.values())).network_metrics, "files": files},
        started=started,
        duration_s=time.perf_counter() - start,
        path=out,
    )


def _exported(
    source: Source,
    path: Path,
    to: str,
    precision: str,
    images: CalibrationImages,
    root: str | None,
) -> Card:
    """The card of a file, which is written and measured unless it is there."""
    if path.is_file() and (card := read_card(path)).weights == source.weights and card.metrics:
        return card
    how = {"to": to, "precision": precision, "images": images, "evaluate": True}
    return export(source, path, **how, root=root)


def main(arguments: list[str] | None = None) -> int:
    """Records a run from the command line; see :mod:`mnv3lib.recorder`."""
    return record_from_command_line(
        record,
        module=_MODULE,
        summary=__doc__.splitlines()[0],
        describe=lambda run: (
            f"{run.name}: {len(run.metrics['files'])} formats, {run.duration_s:.0f} s"
        ),
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
