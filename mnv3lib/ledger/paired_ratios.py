"""Ratios of latencies within interleaved rounds, and how a run of them is recorded (chapter 6).

What is compared is in groups: cases that are timed in the same rounds, and pairs of them. The
recorders :mod:`mnv3lib.ledger.record_ratios` and :mod:`mnv3lib.ledger.record_head_ratios` say which
networks those are; measuring and writing are here.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn
from tqdm import tqdm

from mnv3lib.ledger.drafts import Draft
from mnv3lib.measure.forms import paired_ratio
from mnv3lib.measure.image_size import Resolution
from mnv3lib.measure.interleave import interleave
from mnv3lib.measure.latency import Spread, image
from mnv3lib.measure.runtimes import check_threads, compile_model, find_runtime
from mnv3lib.recorder import record_from_command_line
from mnv3lib.runs import RecordedRun, write_run

__all__ = ["measure_ratios", "record_groups", "record_groups_from_command_line"]

_DIGITS = 4  # of a millisecond: what is beyond is no time but noise

Build = Callable[[], nn.Module]


def measure_ratios(
    cases: Mapping[str, tuple[Build, Resolution]],
    pairs: Mapping[str, tuple[str, str]],
    *,
    runtime: str = "eager",
    threads: int = 1,
    rounds: int = 60,
    seed: int = 0,
) -> dict[str, dict]:
    """Times networks in interleaved rounds.

    Args:
        cases: By name, what builds the network in the form that the runtime is given, and the side
            of the square image, or its height and width, in pixels.
        pairs: By name, the case whose time is divided, and the one that it is divided by.
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
        for name, (build, size) in tqdm(cases.items(), "compiling", disable=None, leave=False):
            example = image(size, seed=seed)
            session = compile_model(build(), example, runtime=runtime, threads=threads)
            steps[name] = session.bind(example)
        samples = interleave(steps, rounds=rounds, seed=seed)
    return {
        "samples_ms": {name: [round(t, _DIGITS) for t in times] for name, times in samples.items()},
        "median_ms": {name: round(Spread.of(t).median, _DIGITS) for name, t in samples.items()},
        "ratios": {name: _numbers(paired_ratio(samples, *pair)) for name, pair in pairs.items()},
    }


def _numbers(spread: Spread) -> dict[str, float]:
    return {"median": spread.median, "q1": spread.q1, "q3": spread.q3}


def record_groups(
    out: Path,
    *,
    module: str,
    groups: Mapping[str, Any],
    measure: Callable[..., dict],
    protocol: Mapping[str, Any],
) -> RecordedRun:
    """Measures one group after the other and writes the run.

    A finished group is kept in the cache folder, so that an interrupted command goes on where it
    stopped.

    Args:
        out: The JSON file to write.
        module: Name of the recorder's module, for the command that repeats it.
        groups: What to measure, by name.
        measure: Measures one; takes the group, and the protocol as keywords.
        protocol: ``runtime``, ``threads``, ``rounds`` and ``seed``.

    Returns:
        The run, as written; its metrics hold what `measure` returned, by group.
    """
    find_runtime(protocol["runtime"])
    draft = Draft(out.stem, protocol)
    bar = tqdm(groups.items(), f"ratios on {protocol['runtime']}", disable=None)
    metrics = {name: draft.part(name, partial(measure, group, **protocol)) for name, group in bar}
    options = " ".join(f"--{key} {value}" for key, value in protocol.items())
    run = write_run(
        out.stem,
        command=f"python -m {module} {options} --out data/runs/{out.name}",
        config={**protocol, "batch": 1},
        seeds=[protocol["seed"]],
        metrics=metrics,
        started=draft.started,
        duration_s=draft.duration_s,
        path=out,
    )
    draft.discard()
    return run


def record_groups_from_command_line(
    record: Callable[..., RecordedRun],
    *,
    module: str,
    summary: str,
    runtime: str,
    arguments: list[str] | None,
) -> int:
    """Records such a run from the command line; see :mod:`mnv3lib.recorder`.

    Args:
        record: Measures and writes the run.
        module: Name of its module, as it is typed.
        summary: What it does, in a line.
        runtime: The runtime when none is asked for.
        arguments: The words after the command; the process's own when None.
    """
    return record_from_command_line(
        record,
        module=module,
        summary=summary,
        options={"runtime": runtime, "threads": 1, "rounds": 60, "seed": 0},
        describe=lambda run: f"{run.name}: {len(run.metrics)} groups, {run.duration_s:.0f} s",
        arguments=arguments,
    )
