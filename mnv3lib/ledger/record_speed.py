"""Time the networks of chapter 6 in all their forms, and record the run.

    python -m mnv3lib.ledger.record_speed --out data/runs/speed.json

Two questions, each answered within one set of interleaved rounds: what a form is worth (for each
network all forms of :mod:`mnv3lib.measure.forms`), and how the networks compare (for each form all
networks, with Large stripped of one ingredient at a time among them). A finished set is kept, so
that an interrupted command goes on. Let nothing else run on the machine meanwhile.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from mnv3lib.ledger.drafts import Draft
from mnv3lib.measure import count
from mnv3lib.measure.forms import FORMS, paired_ratio, time_forms
from mnv3lib.measure.latency import Spread
from mnv3lib.models import Network, NetworkSpec, model_spec
from mnv3lib.models.mobilenet_v3 import place_hard_swish
from mnv3lib.models.rows import BneckRow
from mnv3lib.recorder import record_from_command_line
from mnv3lib.runs import RecordedRun, write_run

__all__ = ["FAMILY", "NETWORKS", "main", "record"]

_MODULE = "mnv3lib.ledger.record_speed"
LARGE, SMALL = "mobilenet_v3_large", "mobilenet_v3_small"


def _large_with(**changes: object) -> NetworkSpec:
    """Large with the same change in every block."""
    spec = model_spec(LARGE)
    rows = (replace(row, **changes) if isinstance(row, BneckRow) else row for row in spec.rows)
    return replace(spec, rows=tuple(rows))


def _large_with_relu() -> NetworkSpec:
    spec = model_spec(LARGE)
    return replace(spec, rows=place_hard_swish(spec.rows, None))


NETWORKS: dict[str, Callable[[], NetworkSpec]] = {
    "mobilenet_v2": partial(model_spec, "mobilenet_v2"),
    "mobilenet_v2_035": partial(model_spec, "mobilenet_v2", width_mult=0.35),
    "mnasnet_a1": partial(model_spec, "mnasnet_a1"),
    "efficientnet_b0": partial(model_spec, "efficientnet_b0"),
    LARGE: partial(model_spec, LARGE),
    SMALL: partial(model_spec, SMALL),
    f"{LARGE}_minimalistic": partial(model_spec, f"{LARGE}_minimalistic"),
    f"{SMALL}_minimalistic": partial(model_spec, f"{SMALL}_minimalistic"),
}
"""The networks that are timed in every form."""

FAMILY: dict[str, Callable[[], NetworkSpec]] = {
    **NETWORKS,
    "large_without_se": partial(_large_with, se=False),
    "large_with_relu": _large_with_relu,
    "large_with_3x3": partial(_large_with, kernel=3),
}
"""The networks that are timed beside each other: those, and Large less one ingredient."""

_FORM_RATIOS = (("deploy", "eager"), ("eager", "stock"), ("deploy", "stock"))
_NETWORK_RATIOS = (
    (LARGE, "mobilenet_v2"),
    (SMALL, "mobilenet_v2_035"),
    ("mnasnet_a1", "mobilenet_v2"),
    (LARGE, "mnasnet_a1"),
    *((name, LARGE) for name in FAMILY if name != LARGE),
)


def _build(spec: NetworkSpec, seed: int) -> Network:
    return Network(spec, generator=torch.Generator().manual_seed(seed)).eval()


def _numbers(spread: Spread) -> dict[str, float]:
    return {key: float(f"{value:.6g}") for key, value in asdict(spread).items()}


def _summary(samples: Mapping[str, list[float]], pairs: Sequence[tuple[str, str]]) -> dict:
    """Medians with quartiles, and the asked ratios of what was timed."""
    there = [(a, b) for a, b in pairs if a in samples and b in samples]
    return {
        "ms": {name: _numbers(Spread.of(times)) for name, times in samples.items()},
        "ratios": {f"{a}_over_{b}": _numbers(paired_ratio(samples, a, b)) for a, b in there},
    }


def measure_forms(name: str, forms: Sequence[str], protocol: Mapping[str, int]) -> dict:
    """Times one network in all forms."""
    network = _build(NETWORKS[name](), protocol["seed"])
    samples = time_forms({form: (network, form) for form in forms}, **protocol)
    fastest = min(samples, key=lambda form: Spread.of(samples[form]).median)
    summary = _summary(samples, (*_FORM_RATIOS, (fastest, "eager")))
    counted = count(network, protocol["resolution"])
    return {"params": counted.params, "macs": counted.macs, "fastest": fastest, **summary}


def measure_networks(form: str, names: Sequence[str], protocol: Mapping[str, int]) -> dict:
    """Times all networks in one form."""
    networks = {name: _build(FAMILY[name](), protocol["seed"]) for name in names}
    samples = time_forms({name: (networks[name], form) for name in names}, **protocol)
    macs = {name: count(networks[name], protocol["resolution"]).macs for name in names}
    return {"macs": macs, **_summary(samples, _NETWORK_RATIOS)}


def record(
    out: Path,
    *,
    networks: Sequence[str] = tuple(FAMILY),
    forms: Sequence[str] = tuple(FORMS),
    resolution: int = 224,
    threads: int = 1,
    rounds: int = 60,
    seed: int = 0,
) -> RecordedRun:
    """Measures everything and writes the run.

    Args:
        out: The JSON file to write, for instance ``data/runs/speed.json``.
        networks: Names of `FAMILY`.
        forms: Names of :data:`mnv3lib.measure.forms.FORMS`.
        resolution: Side of the square image in pixels.
        threads: Threads to compute with.
        rounds: Timed rounds of each set.
        seed: Seed of the weights, of the image and of the order.

    Returns:
        The run. ``networks`` holds for each network of `NETWORKS` its counts, milliseconds a form
        and ratios between forms; ``forms`` for each form milliseconds a network and ratios between
        networks. Ratios are named ``a_over_b``.

    Raises:
        ValueError: An unknown network or form, or a number out of range.
    """
    unknown = [name for name in networks if name not in FAMILY]
    if unknown:
        raise ValueError(f"unknown network {unknown[0]!r}: choose some of {', '.join(FAMILY)}")
    protocol = {"resolution": resolution, "threads": threads, "rounds": rounds, "seed": seed}
    config = {**protocol, "batch": 1, "networks": list(networks), "forms": list(forms)}
    draft = Draft(out.stem, config)
    parts = {f"networks {n}": (measure_forms, n, forms) for n in networks if n in NETWORKS}
    parts |= {f"forms {form}": (measure_networks, form, networks) for form in forms}
    metrics: dict[str, dict] = {"networks": {}, "forms": {}}
    for part, (measure, one, many) in tqdm(parts.items(), "speed", disable=None):
        kind, name = part.split(" ")
        metrics[kind][name] = draft.part(part, partial(measure, one, many, protocol))
    run = write_run(
        out.stem,
        command=f"python -m {_MODULE} --rounds {rounds} --seed {seed} --out data/runs/{out.name}",
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
        options={"rounds": 60, "seed": 0},
        describe=lambda run: f"{run.name}: {run.duration_s:.0f} s",
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
