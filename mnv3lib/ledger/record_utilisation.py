"""Measure what depthwise and regular convolutions achieve, and what that does to detectors.

    python -m mnv3lib.ledger.record_utilisation --runtime eager \
        --out data/runs/utilisation-eager.json

Three questions on one runtime: how many multiply-adds a second each kind of convolution achieves,
over channels and sizes of maps; how long the blocks of MobileDets take where maps are large and
thin, and where they are small and wide; and how long its detectors take beside MobileNetV3's. A
finished part is kept, so that an interrupted command goes on. Let nothing else run on the machine
meanwhile. Shown in the chapter on MobileDets.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn
from tqdm import tqdm

from mnv3lib.ledger.drafts import Draft
from mnv3lib.ledger.heads_answers import build_detector
from mnv3lib.ledger.paired_ratios import measure_ratios
from mnv3lib.measure.runtimes import find_runtime
from mnv3lib.measure.utilisation import ConvCase, LayerCase, Utilisation, utilisation
from mnv3lib.models import deploy
from mnv3lib.models.layer_kinds import Fused, Inverted, LayerKind, LayerPlace, Tucker
from mnv3lib.models.mobiledet import MODELS
from mnv3lib.models.row_modules import Place, row_module
from mnv3lib.recorder import record_from_command_line
from mnv3lib.runs import RecordedRun, write_run

__all__ = ["BLOCKS", "DETECTORS", "main", "record"]

_MODULE = "mnv3lib.ledger.record_utilisation"
_KINDS = (("regular", 3), ("pointwise", 1), ("depthwise", 3), ("depthwise", 5))
_LARGEST = 1e9  # multiply-adds of one convolution: beyond it, a round would take seconds

BLOCKS: dict[str, LayerKind] = {
    "ibn_k3_e4": Inverted(3, 4),
    "ibn_k3_e8": Inverted(3, 8),
    "ibn_k5_e8": Inverted(5, 8),
    "fused_k3_e4": Fused(3, 4),
    "fused_k3_e8": Fused(3, 8),
    "tucker_25_75": Tucker(0.25, 0.75),
    "tucker_75_75": Tucker(0.75, 0.75),
}
"""The blocks that are timed, by name."""

_PLACES = ((16, 160), (32, 80), (64, 40), (96, 20), (160, 10))  # channels, side of the map

DETECTORS: dict[str, tuple[str, dict[str, object]]] = {
    **{name: (name, {}) for name in MODELS},
    "large_dagger": ("mobilenet_v3_large", {"tail": "dagger"}),
    "small_dagger": ("mobilenet_v3_small", {"tail": "dagger"}),
    "v2": ("mobilenet_v2", {}),
}
"""The detectors that are timed at 320 pixels: network and options, by name."""


def convolutions(channels: Sequence[int], sides: Sequence[int]) -> list[ConvCase]:
    """The convolutions that are timed; the largest are left out."""
    cases = (ConvCase(kind, c, s, k) for kind, k in _KINDS for c in channels for s in sides)
    return [case for case in cases if case.macs <= _LARGEST]


def blocks() -> Iterator[tuple[str, LayerCase]]:
    """Yields each block at each place, deployed, by name."""
    for name, kind in BLOCKS.items():
        for channels, side in _PLACES:
            macs = kind.macs(channels, channels, side, LayerPlace("relu6")).total
            build = partial(_block, kind, channels)
            yield f"{name}, {channels}x{side}x{side}", LayerCase(build, channels, side, macs)


def _block(kind: LayerKind, channels: int) -> nn.Module:
    row = kind.row(channels, channels, LayerPlace("relu6"))
    return deploy(row_module(row, Place(channels, MODELS["mobiledet_edgetpu"])))


def _detector(name: str, runtime: str) -> nn.Module:
    network, options = DETECTORS[name]
    built = build_detector(network, **options)
    return deploy(built) if runtime == "eager" else built


def _rates(measured: Mapping[str, Utilisation]) -> dict[str, dict[str, float]]:
    """Ready for JSON."""
    return {
        name: {
            "macs": one.macs,
            "gmacs": float(f"{one.gmacs:.5g}"),
            **{f"{key}_ms": float(f"{value:.5g}") for key, value in vars(one.ms).items()},
        }
        for name, one in measured.items()
    }


def record(
    out: Path,
    *,
    runtime: str = "eager",
    threads: int = 1,
    rounds: int = 30,
    channels: Sequence[int] = (16, 32, 64, 128, 256),
    sides: Sequence[int] = (10, 20, 40, 80),
    resolution: int = 320,
    seed: int = 0,
) -> RecordedRun:
    """Measures everything and writes the run.

    Args:
        out: The JSON file to write, for instance ``data/runs/utilisation-eager.json``.
        runtime: ``"eager"``, ``"onnxruntime"`` or ``"executorch"``.
        threads: Threads to compute with.
        rounds: Timed rounds of each part.
        channels: Channels of the convolutions.
        sides: Sides of their maps, in pixels.
        resolution: Side of the detectors' images, in pixels.
        seed: Seed of the inputs and of the order.

    Returns:
        The run. ``convolutions`` and ``blocks`` hold for each case its multiply-adds, ``gmacs``
        (billions of them a second) and the milliseconds that one more adds to a chain (median and
        quartiles); ``detectors`` what :func:`mnv3lib.ledger.paired_ratios.measure_ratios` returns,
        with each network over MobileNetV3-Large, and the GPU's over MobileNetV2.

    Raises:
        ValueError: Unknown runtime, or a number out of range.
        MissingRuntimeError: The runtime's package is not installed.
    """
    find_runtime(runtime)
    timing = {"runtime": runtime, "threads": threads, "rounds": rounds, "seed": seed}
    sizes = {"channels": list(channels), "sides": list(sides), "resolution": resolution}
    config: dict[str, Any] = {**timing, **sizes, "batch": 1}
    cases = {case.name: case.layer for case in convolutions(channels, sides)}
    detectors = {name: (partial(_detector, name, runtime), resolution) for name in DETECTORS}
    pairs = [*((name, "large_dagger") for name in DETECTORS), ("mobiledet_gpu", "v2")]
    ratios = {
        f"{one}_over_{other}": (one, other)
        for one, other in pairs
        if one != other and {one, other} <= DETECTORS.keys()
    }
    parts: dict[str, Callable[[], Any]] = {
        "convolutions": lambda: _rates(utilisation(cases, **timing)),
        "blocks": lambda: _rates(utilisation(dict(blocks()), **timing)),
        "detectors": lambda: measure_ratios(detectors, ratios, **timing),
    }
    draft = Draft(out.stem, config)
    bar = tqdm(parts.items(), f"utilisation on {runtime}", disable=None)
    metrics = {name: draft.part(name, measure) for name, measure in bar}
    words = " ".join(f"--{name} {value}" for name, value in timing.items())
    run = write_run(
        out.stem,
        command=f"python -m {_MODULE} {words} --out data/runs/{out.name}",
        config=config,
        seeds=[seed],
        metrics=metrics,
        started=draft.started,
        duration_s=draft.duration_s,
        path=out,
    )
    draft.discard()
    return run


def _describe(run: RecordedRun) -> str:
    rates = run.metrics["convolutions"].items()
    best = {
        kind: max(one["gmacs"] for name, one in rates if name.startswith(f"{kind} {k}x{k}"))
        for kind, k in _KINDS
    }
    words = ", ".join(f"{kind} {rate:.0f}" for kind, rate in best.items())
    return f"{run.name}: best GMAC/s {words}; {run.duration_s:.0f} s"


def main(arguments: list[str] | None = None) -> int:
    """Records a run from the command line; see :mod:`mnv3lib.recorder`."""
    return record_from_command_line(
        record,
        module=_MODULE,
        summary=__doc__.splitlines()[0],
        options={"runtime": "eager", "threads": 1, "rounds": 30, "seed": 0},
        describe=_describe,
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
