"""Time detectors and segmenters side by side on one runtime, and record the run.

    python -m mnv3lib.ledger.record_head_ratios --runtime onnxruntime \
        --out data/runs/head-ratios-onnxruntime.json

Detectors of MobileNetV3's Table 6 at 320 pixels with COCO's 90 classes, and segmenters of its Table
7 at half resolution, 512 x 1024, with the 19 classes of Cityscapes. Networks carry the weights of
seed 0 and are deployed (batch norm folded, channels last). Post-processing is not timed. A finished
group is kept, so that an interrupted command goes on. Let nothing else run on the machine
meanwhile. Shown in chapters 10 and 11.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from torch import nn

from mnv3lib.ledger.heads_answers import build_detector, build_segmenter
from mnv3lib.ledger.paired_ratios import (
    measure_ratios,
    record_groups,
    record_groups_from_command_line,
)
from mnv3lib.measure.image_size import Resolution
from mnv3lib.models import deploy
from mnv3lib.runs import RecordedRun

__all__ = ["HEAD_GROUPS", "HeadCase", "HeadGroup", "main", "measure_group", "record"]

_MODULE = "mnv3lib.ledger.record_head_ratios"
LARGE, SMALL = "mobilenet_v3_large", "mobilenet_v3_small"
V2 = "mobilenet_v2"


@dataclass(frozen=True)
class HeadCase:
    """A detector or a segmenter.

    Attributes:
        model: The network under it: registered, or a variant of :mod:`mnv3lib.ledger.variants`.
        options: Options of the head and of the network.
        printed_ms: What the paper prints for a Pixel 1, milliseconds; None if it does not.
    """

    model: str
    options: Mapping[str, object] = field(default_factory=dict)
    printed_ms: float | None = None


@dataclass(frozen=True)
class HeadGroup:
    """Cases that are timed in the same rounds.

    Attributes:
        build: Builds the network of a case from its model and options.
        size: Side of the square image, or its height and width, in pixels.
        cases: By name.
        ratios: By name: how long the first case takes in units of the second.
    """

    build: Callable[..., nn.Module]
    size: Resolution
    cases: Mapping[str, HeadCase]
    ratios: Mapping[str, tuple[str, str]]


def _pairs(*pairs: tuple[str, str]) -> dict[str, tuple[str, str]]:
    return {f"{a}_over_{b}": (a, b) for a, b in pairs}


def _detectors() -> HeadGroup:
    """SSDLite on several networks (V3, Table 6), and as torchvision builds it."""
    dagger = {"tail": "dagger"}
    cases = {
        "large": HeadCase(LARGE, {}, 137),
        "large_dagger": HeadCase(LARGE, dagger, 119),
        "large_torchvision": HeadCase(LARGE, {**dagger, "anchors": "torchvision"}),
        "small": HeadCase(SMALL, {}, 52),
        "small_dagger": HeadCase(SMALL, dagger, 43),
        "v2": HeadCase(V2, {}, 162),
        "v2_035": HeadCase(f"{V2}_last_scaled", {"width_mult": 0.35}, 66),
    }
    ratios = _pairs(
        ("large_dagger", "large"),
        ("small_dagger", "small"),
        ("large", "v2"),
        ("large_dagger", "v2"),
        ("small_dagger", "v2_035"),
        ("large_torchvision", "large_dagger"),
    )
    return HeadGroup(build_detector, 320, cases, ratios)


def _segmenters() -> HeadGroup:
    """R-ASPP and LR-ASPP (V3, Table 7: rows 1, 5, 6, 7, 8 and 11, CPU time at half resolution)."""
    halved = {"tail": "rf2"}
    r_256 = {"head": "r_aspp", "filters": 256}
    lr_256, lr_128 = ({"head": "lr_aspp", "filters": filters} for filters in (256, 128))
    cases = {
        "v2_r_256": HeadCase(V2, r_256, 1020),
        "large_r_256": HeadCase(LARGE, r_256, 906),
        "large_rf2_r_256": HeadCase(LARGE, {**r_256, **halved}, 668),
        "large_rf2_lr_256": HeadCase(LARGE, {**lr_256, **halved}, 659),
        "large_rf2_lr_128": HeadCase(LARGE, {**lr_128, **halved}, 657),
        "small_rf2_lr_128": HeadCase(SMALL, {**lr_128, **halved}, 327),
    }
    ratios = _pairs(
        ("large_r_256", "v2_r_256"),
        ("large_rf2_r_256", "large_r_256"),
        ("large_rf2_lr_256", "large_rf2_r_256"),
        ("large_rf2_lr_128", "large_rf2_lr_256"),
        ("small_rf2_lr_128", "large_rf2_lr_128"),
        ("large_rf2_lr_256", "v2_r_256"),
    )
    return HeadGroup(build_segmenter, (512, 1024), cases, ratios)


HEAD_GROUPS: dict[str, HeadGroup] = {"detectors": _detectors(), "segmenters": _segmenters()}


def measure_group(group: HeadGroup, **protocol: object) -> dict[str, dict]:
    """Times the cases of a group in interleaved rounds.

    Args:
        group: What is compared.
        **protocol: Arguments of :func:`mnv3lib.ledger.paired_ratios.measure_ratios`.

    Returns:
        What that function returns; each of ``ratios`` has ``paper`` besides, the paper's own, where
        the paper prints both times.
    """
    cases = {
        name: (partial(_network, group, case), group.size) for name, case in group.cases.items()
    }
    measured = measure_ratios(cases, group.ratios, **protocol)
    for name, pair in group.ratios.items():
        first, second = (group.cases[key].printed_ms for key in pair)
        if first and second:
            measured["ratios"][name]["paper"] = first / second
    return measured


def _network(group: HeadGroup, case: HeadCase) -> nn.Module:
    return deploy(group.build(case.model, **case.options))


def record(
    out: Path,
    *,
    runtime: str = "onnxruntime",
    threads: int = 1,
    rounds: int = 60,
    seed: int = 0,
    groups: Mapping[str, HeadGroup] = HEAD_GROUPS,
) -> RecordedRun:
    """Measures all groups and writes the run.

    Args:
        out: The JSON file to write, for instance ``data/runs/head-ratios-onnxruntime.json``.
        runtime: ``"eager"``, ``"onnxruntime"`` or ``"executorch"``.
        threads: Threads to compute with.
        rounds: Timed rounds.
        seed: Seed of the images and of the order.
        groups: What to measure, by name.

    Returns:
        The run, as written: for each group what `measure_group` returns.

    Raises:
        ValueError: Unknown runtime, or fewer than one thread or round.
        MissingRuntimeError: The runtime's package is not installed.
    """
    protocol = {"runtime": runtime, "threads": threads, "rounds": rounds, "seed": seed}
    return record_groups(
        out, module=_MODULE, groups=groups, measure=measure_group, protocol=protocol
    )


def main(arguments: list[str] | None = None) -> int:
    """Records a run from the command line; see :mod:`mnv3lib.recorder`."""
    return record_groups_from_command_line(
        record,
        module=_MODULE,
        summary=__doc__.splitlines()[0],
        runtime="onnxruntime",
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
