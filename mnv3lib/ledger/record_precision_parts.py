"""Find out which operators take the time in float and in int8, and record the run.

    python -m mnv3lib.ledger.record_precision_parts --out data/runs/precision-parts.json

PyTorch and ONNX Runtime tell the time of each kind of operator, ONNX Runtime also that of each
layer; ExecuTorch's Python package is built without its tracer and cannot. The networks and programs
are those of :mod:`mnv3lib.ledger.record_precision_latency`. A profiler takes time itself, so shares
mean more than sums. Let nothing else run on the machine meanwhile. Shown in chapter 12.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tqdm import tqdm

from mnv3lib.ledger.drafts import Draft
from mnv3lib.ledger.precision_programs import (
    NETWORKS,
    PrecisionCase,
    in_eager_form,
    networks_of,
    program_bytes,
)
from mnv3lib.measure.latency import image
from mnv3lib.measure.onnx_profile import layer_names, layer_times, node_times
from mnv3lib.measure.operator_times import OperatorTime, by_kind, operator_times
from mnv3lib.recorder import record_from_command_line
from mnv3lib.runs import RecordedRun, write_run

__all__ = ["PROFILERS", "main", "record"]

_MODULE = "mnv3lib.ledger.record_precision_parts"
_DIGITS = 5  # of a millisecond: what is beyond is noise

Protocol = Mapping[str, int]


def _in_eager(case: PrecisionCase, protocol: Protocol) -> dict[str, list[dict]]:
    example, times = image(case.resolution, seed=protocol["seed"]), {}
    for precision, network in networks_of(case, seed=protocol["seed"]).items():
        form = in_eager_form(network, example)
        settings = {"threads": protocol["threads"], "runs": protocol["runs"]}
        times[precision] = operator_times(form, case.resolution, "eager", **settings)
    return {precision: _entries(found) for precision, found in times.items()}


def _in_onnxruntime(case: PrecisionCase, protocol: Protocol) -> dict[str, list[dict]]:
    """Both precisions take turns, so that their times can be compared; also by layer."""
    example = image(case.resolution, seed=protocol["seed"])
    networks = networks_of(case, seed=protocol["seed"])
    programs = {p: program_bytes(n, example, "onnxruntime") for p, n in networks.items()}
    nodes = node_times(programs, example, protocol["threads"], runs=protocol["runs"])
    layers = layer_names(networks["fp32"], example)
    by_layer: dict[str, dict] = {layer: {"layer": layer} for layer in layers}
    for precision, found in nodes.items():
        for time in layer_times(found, layers):
            own, after = round(time.own_ms, _DIGITS), round(time.after_ms, _DIGITS)
            by_layer[time.layer][precision] = {"own_ms": own, "after_ms": after}
    kinds = {precision: _entries(by_kind(found)) for precision, found in nodes.items()}
    return {**kinds, "layers": list(by_layer.values())}


PROFILERS: dict[str, Callable[[PrecisionCase, Protocol], dict[str, list[dict]]]] = {
    "eager": _in_eager,
    "onnxruntime": _in_onnxruntime,
}
"""By runtime, from a network and the protocol to what :func:`record` says of its metrics."""


def _entries(times: Sequence[OperatorTime]) -> list[dict]:
    """Kinds of operators, ready for JSON."""
    return [
        {**asdict(t), "ms": round(t.ms, _DIGITS), "share": round(t.share, _DIGITS)} for t in times
    ]


def record(
    out: Path,
    *,
    networks: Sequence[str] = tuple(NETWORKS),
    runtimes: Sequence[str] = tuple(PROFILERS),
    threads: int = 1,
    runs: int = 60,
    seed: int = 0,
    cases: Mapping[str, PrecisionCase] = NETWORKS,
) -> RecordedRun:
    """Profiles all networks on all runtimes and writes the run.

    Args:
        out: The JSON file to write, for instance ``data/runs/precision-parts.json``.
        networks: Names of `cases`.
        runtimes: Names of `PROFILERS`.
        threads: Threads to compute with.
        runs: Profiled passes.
        seed: Seed of weights and images.
        cases: The networks by name.

    Returns:
        The run; its metrics hold for each network and runtime, by precision, the kinds of operators
        (see :class:`mnv3lib.measure.operator_times.OperatorTime`), the longest first. On ONNX
        Runtime ``layers`` are a list, too: a layer's name and for each precision ``own_ms`` and
        ``after_ms`` of :class:`mnv3lib.measure.onnx_profile.LayerTime`.

    Raises:
        ValueError: An unknown network or runtime, or a number out of range.
    """
    _check_known("network", networks, cases)
    _check_known("runtime", runtimes, PROFILERS)
    protocol = {"threads": threads, "runs": runs, "seed": seed}
    config = {**protocol, "batch": 1, "networks": list(networks), "runtimes": list(runtimes)}
    draft = Draft(out.stem, config)
    metrics: dict[str, dict] = {name: {} for name in networks}
    pairs = [(name, runtime) for name in networks for runtime in runtimes]
    for name, runtime in tqdm(pairs, "operators", disable=None):
        measure = partial(PROFILERS[runtime], cases[name], protocol)
        metrics[name][runtime] = draft.part(f"{name} {runtime}", measure)
    run = write_run(
        out.stem,
        command=f"python -m {_MODULE} --networks {' '.join(networks)} "
        f"--runtimes {' '.join(runtimes)} --runs {runs} --seed {seed} --out data/runs/{out.name}",
        config=config,
        seeds=[seed],
        metrics=metrics,
        started=draft.started,
        duration_s=draft.duration_s,
        path=out,
    )
    draft.discard()
    return run


def _check_known(what: str, names: Sequence[str], known: Mapping[str, object]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"unknown {what} {unknown[0]!r}: choose some of {', '.join(known)}")


def main(arguments: list[str] | None = None) -> int:
    """Records a run from the command line; see :mod:`mnv3lib.recorder`."""
    return record_from_command_line(
        record,
        module=_MODULE,
        summary=__doc__.splitlines()[0],
        options={
            "networks": list(NETWORKS),
            "runtimes": list(PROFILERS),
            "runs": 60,
            "seed": 0,
        },
        describe=lambda run: f"{run.name}: {len(run.metrics)} networks, {run.duration_s:.0f} s",
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
