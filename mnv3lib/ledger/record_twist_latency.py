"""Time twists of one cost beside each other, and record the run.

    python -m mnv3lib.ledger.record_twist_latency --out data/runs/twist-latency-eager.json

A twist is chosen by multiply-adds, and a phone waits for milliseconds. Three groups, each timed in
the same interleaved rounds: the published TinyNets beside EfficientNet-B0, MobileNetV3 and inverse
giants (arXiv 2010.14819 and the authors' MindSpore code time B0, A, B^-4 and E on a phone); five
ways to halve B0; and a grid of B0's twists at an eighth of its cost. Let nothing else run on the
machine meanwhile. Shown in the chapter on TinyNet.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from mnv3lib.ledger.paired_ratios import (
    measure_ratios,
    record_groups,
    record_groups_from_command_line,
)
from mnv3lib.models import Network, NetworkSpec, deploy, model_spec
from mnv3lib.models.tinynet import B0, TWISTS, Twist, twisted
from mnv3lib.runs import RecordedRun
from mnv3lib.search.twist_costs import giant_twist, macs_of, matched_giant, solve_width
from mnv3lib.search.twist_grid import twist_grid

__all__ = [
    "GROUPS",
    "ROOM",
    "TwistGroup",
    "cells",
    "halves",
    "main",
    "measure_group",
    "published",
    "record",
]

ROOM = 1.01
"""What an inverse giant may cost, over the TinyNet that it stands beside: it cannot match exactly,
and just below TinyNet-D's cost there is none for a while."""

_MODULE = "mnv3lib.ledger.record_twist_latency"


@dataclass(frozen=True)
class TwistGroup:
    """Networks that are timed in the same rounds, each at its own resolution.

    Attributes:
        cases: Tables by name.
        ratios: By name: how long the first case takes in units of the second.
    """

    cases: Mapping[str, NetworkSpec]
    ratios: Mapping[str, tuple[str, str]]


def published() -> TwistGroup:
    """TinyNets, what they are shrunk from, and what they are compared with."""
    giants = {name.replace("tinynet", "giant"): macs_of(twist) for name, twist in TWISTS.items()}
    cases = {"b0": twisted(Twist()), "b_minus_4": twisted(giant_twist(-4))}
    cases |= {name: model_spec(name) for name in TWISTS}
    cases |= {name: twisted(matched_giant(ROOM * macs)) for name, macs in giants.items()}
    cases |= {f"v3_{size}": model_spec(f"mobilenet_v3_{size}") for size in ("large", "small")}
    pairs = [
        ("tinynet_a", "b0"),
        ("tinynet_e", "b0"),
        ("tinynet_e", "b_minus_4"),
        ("tinynet_b", "v3_large"),
        ("tinynet_d", "v3_small"),
        ("tinynet_e", "v3_small"),
        *((name, name.replace("tinynet", "giant")) for name in TWISTS),
    ]
    return TwistGroup(cases, {f"{a}_over_{b}": (a, b) for a, b in pairs})


def halves() -> TwistGroup:
    """B0 at about 200 million multiply-adds: by one axis alone, and by both formulas."""
    budget = ROOM * macs_of(TWISTS["tinynet_b"])
    twists = {
        "width": Twist(width=solve_width(budget, 1.0, 1.0)),
        "depth": Twist(depth=0.49),
        "resolution": Twist(resolution=0.71),
        "giant": matched_giant(budget),
        "tiny": TWISTS["tinynet_b"],
    }
    cases = {"b0": twisted(Twist())} | {name: twisted(twist) for name, twist in twists.items()}
    return TwistGroup(cases, {f"{name}_over_b0": (name, "b0") for name in twists})


def cells(share: float = 0.125) -> TwistGroup:
    """A grid of B0 as :mod:`mnv3lib.search.record_twists` has one of its base, over its middle.

    Args:
        share: Multiply-adds of the grid, over B0's.
    """
    grid = twist_grid(share * macs_of(Twist()), (112, 168, 224), (0.5, 1.0, 1.5), B0)
    cases = {
        f"side_{cell.spec.resolution}_blocks_{sum(cell.spec.stages)}": cell.spec for cell in grid
    }
    middle = "side_168_blocks_16"
    return TwistGroup(cases, {f"{name}_over_middle": (name, middle) for name in cases})


GROUPS: dict[str, Callable[[], TwistGroup]] = {
    "published": published,
    "halves": halves,
    "cells": cells,
}
"""What is measured, by name. Finding the widths takes a second or two."""


def measure_group(group: TwistGroup, *, runtime: str = "eager", **protocol: int) -> dict[str, dict]:
    """Times the cases of a group in interleaved rounds.

    Args:
        group: What is compared.
        runtime: ``"eager"``, ``"onnxruntime"`` or ``"executorch"``.
        **protocol: ``threads``, ``rounds`` and ``seed``; arguments, results and errors are those
            of :func:`mnv3lib.ledger.paired_ratios.measure_ratios`.
    """
    cases = {
        name: (partial(_network, spec, runtime), spec.resolution or 224)
        for name, spec in group.cases.items()
    }
    return measure_ratios(cases, group.ratios, runtime=runtime, **protocol)


def _measure(make: Callable[[], TwistGroup], **protocol: int) -> dict[str, dict]:
    return measure_group(make(), **protocol)


def _network(spec: NetworkSpec, runtime: str) -> nn.Module:
    network = Network(spec, generator=torch.Generator().manual_seed(0)).eval()
    return deploy(network) if runtime == "eager" else network


def record(
    out: Path,
    *,
    runtime: str = "eager",
    threads: int = 1,
    rounds: int = 60,
    seed: int = 0,
    groups: Mapping[str, Callable[[], TwistGroup]] = GROUPS,
) -> RecordedRun:
    """Measures all groups and writes the run.

    Args:
        out: The JSON file to write, for instance ``data/runs/twist-latency-eager.json``.
        runtime: As in `measure_group`.
        threads: Threads to compute with.
        rounds: Timed rounds.
        seed: Seed of the images and of the order.
        groups: What to measure, by name.

    Returns:
        The run, as written.
    """
    protocol = {"runtime": runtime, "threads": threads, "rounds": rounds, "seed": seed}
    return record_groups(out, module=_MODULE, groups=groups, measure=_measure, protocol=protocol)


def main(arguments: list[str] | None = None) -> int:
    """Records a run from the command line; see :mod:`mnv3lib.recorder`."""
    return record_groups_from_command_line(
        record,
        module=_MODULE,
        summary=__doc__.splitlines()[0],
        runtime="eager",
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
