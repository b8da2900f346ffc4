"""Time everything that the papers compare, side by side on one runtime, and record the run.

    python -m mnv3lib.ledger.record_ratios --runtime eager --out data/runs/ratios-eager.json

One group of :mod:`mnv3lib.ledger.ratios` after the other; a finished group is kept in the cache
folder, so that an interrupted command goes on where it stopped. Networks carry the weights of
seed 0. Eager runs them deployed (batch norm folded, channels last), since the other runtimes
optimise by themselves. Let nothing else run on the machine meanwhile.
"""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from mnv3lib.ledger.drafts import Draft
from mnv3lib.ledger.ratios import GROUPS, Case, Group
from mnv3lib.ledger.variants import build
from mnv3lib.measure.interleave import interleave
from mnv3lib.measure.latency import Spread, image
from mnv3lib.measure.runtimes import check_threads, compile_model, find_runtime
from mnv3lib.models import deploy
from mnv3lib.recorder import record_from_command_line
from mnv3lib.runs import RecordedRun, write_run

__all__ = ["main", "measure_group", "record"]

_MODULE = "mnv3lib.ledger.record_ratios"
_DIGITS = 4  # of a millisecond: what is beyond is no time but noise


def measure_group(
    group: Group, *, runtime: str = "eager", threads: int = 1, rounds: int = 60, seed: int = 0
) -> dict[str, dict]:
    """Times the cases of a group in interleaved rounds.

    Args:
        group: What is compared.
        runtime: ``"eager"``, ``"onnxruntime"`` or ``"executorch"``.
        threads: Threads to compute with.
        rounds: Timed rounds.
        seed: Seed of the images and of the order.

    Returns:
        ``samples_ms`` (a list a case, one entry a round), ``median_ms`` (a number a case) and
        ``ratios`` (median and quartiles of the ratios within the rounds).

    Raises:
        ValueError: Unknown runtime, or fewer than one thread or round.
        MissingRuntimeError: The runtime's package is not installed.
    """
    with find_runtime(runtime).threads(check_threads(threads)):
        steps = {}
        for name, case in tqdm(group.cases.items(), "compiling", disable=None, leave=False):
            example = image(case.resolution, seed=seed)
            network = _network(case, runtime)
            session = compile_model(network, example, runtime=runtime, threads=threads)
            steps[name] = session.bind(example)
        samples = interleave(steps, rounds=rounds, seed=seed)
    return {
        "samples_ms": {name: [round(t, _DIGITS) for t in times] for name, times in samples.items()},
        "median_ms": {name: round(Spread.of(t).median, _DIGITS) for name, t in samples.items()},
        "ratios": {
            name: _ratio(samples[first], samples[second])
            for name, (first, second) in group.ratios.items()
        },
    }


def _network(case: Case, runtime: str) -> torch.nn.Module:
    """The network of a case, in the form that the runtime is given."""
    options = {} if case.width_mult == 1.0 else {"width_mult": case.width_mult}
    network = build(case.model, naive_hard_swish=case.naive, **options)
    return deploy(network) if runtime == "eager" else network


def _ratio(first: list[float], second: list[float]) -> dict[str, float]:
    """Median and quartiles of the ratios within each round."""
    spread = Spread.of([a / b for a, b in zip(first, second, strict=True)])
    return {"median": spread.median, "q1": spread.q1, "q3": spread.q3}


def record(
    out: Path,
    *,
    runtime: str = "eager",
    threads: int = 1,
    rounds: int = 60,
    seed: int = 0,
    groups: Mapping[str, Group] = GROUPS,
) -> RecordedRun:
    """Measures all groups and writes the run.

    Args:
        out: The JSON file to write, for instance ``data/runs/ratios-eager.json``.
        runtime: As in `measure_group`.
        threads: As in `measure_group`.
        rounds: As in `measure_group`.
        seed: As in `measure_group`.
        groups: What to measure, by name.

    Returns:
        The run, as written.
    """
    protocol = {"runtime": runtime, "threads": threads, "rounds": rounds, "seed": seed}
    find_runtime(runtime)
    draft = Draft(out.stem, protocol)
    bar = tqdm(groups.items(), f"ratios on {runtime}", disable=None)
    metrics = {
        name: draft.part(name, partial(measure_group, group, **protocol)) for name, group in bar
    }
    run = write_run(
        out.stem,
        command=f"python -m {_MODULE} {_as_options(protocol)} --out data/runs/{out.name}",
        config={**protocol, "batch": 1},
        seeds=[seed],
        metrics=metrics,
        started=draft.started,
        duration_s=draft.duration_s,
        path=out,
    )
    draft.discard()
    return run


def _as_options(protocol: Mapping[str, object]) -> str:
    """The protocol as it is typed on a command line."""
    return " ".join(f"--{key} {value}" for key, value in protocol.items())


def main(arguments: list[str] | None = None) -> int:
    """Records a run from the command line; see :mod:`mnv3lib.recorder`."""
    return record_from_command_line(
        record,
        module=_MODULE,
        summary=__doc__.splitlines()[0],
        options={"runtime": "eager", "threads": 1, "rounds": 60, "seed": 0},
        describe=lambda run: f"{run.name}: {len(run.metrics)} groups, {run.duration_s:.0f} s",
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
