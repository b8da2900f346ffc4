"""Records NetAdapt by both rules, and what it gains over scaling all widths alike (chapter 9).

    python -m mnv3lib.search.record_adaptation --out data/runs/search-adaptation.json

One network is trained and the rows within its reach are timed. From there NetAdapt runs once with
each rule. Each network that comes out gets a twin: the start, scaled to the same latency by a width
multiplier (see :mod:`mnv3lib.search.scaled_twins`). All of them are trained from scratch by the
start's recipe with some seeds. What is finished stays in a folder, so an interrupted recording
goes on; the duration that is recorded is that of the last call.
"""

import json
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mnv3lib.executors import make_executor
from mnv3lib.files import write_atomically
from mnv3lib.measure import count
from mnv3lib.measure.latency import compare_latency
from mnv3lib.models import Network, deploy
from mnv3lib.models.tables import from_table, to_table
from mnv3lib.recorder import record_from_command_line
from mnv3lib.runs import RecordedRun, write_run
from mnv3lib.search.from_scratch import train_from_scratch
from mnv3lib.search.netadapt_recipe import ByTable, Final, NetAdaptRecipe, load_netadapt
from mnv3lib.search.run_netadapt import NetAdaptRun, run_netadapt
from mnv3lib.search.scaled_twins import closest_twin, scaled_tables
from mnv3lib.search.search_folder import claim_folder, stoppable, without_folders

__all__ = ["RULES", "adapt_by_each_rule", "main", "record"]

_MODULE = "mnv3lib.search.record_adaptation"

RULES = ("ratio", "accuracy")
"""MobileNetV3's rule and NetAdapt's."""

_QUESTIONS = {
    "ratio_over_scaled": ("ratio", "ratio_scaled"),
    "accuracy_over_scaled": ("accuracy", "accuracy_scaled"),
    "ratio_over_accuracy": ("ratio", "accuracy"),
}


def record(
    out: Path,
    *,
    recipe: str = "cifar10",
    seeds: int = 3,
    grid: float = 0.01,
    rounds: int = 200,
    work: str = "runs/search-adaptation",
    root: str = "",
) -> RecordedRun:
    """Adapts, finds the twins, trains, and writes the run.

    Args:
        out: The run's file; its stem is the run's name.
        recipe: Recipe of the adaptation, whose cost must be measured on a runtime.
        seeds: How many seeds to train with from scratch, from 0. The adaptation has one, 0.
        grid: Distance of two width multipliers.
        rounds: Timed rounds in which all networks are compared.
        work: Folder of what is finished.
        root: Where the data lie; empty for `MNV3_DATA`.

    Returns:
        The run as written. Its metrics hold what each rule did, step by step with all trials; for
        each network its table, costs, times and accuracies; and the differences in points of
        top-1, seed by seed.

    Raises:
        ValueError: A recipe of another cost, no seeds, a target out of reach, or a folder of
            another recording.
        FileNotFoundError: There is no such recipe, or the data are not there.
        Stopped: A signal asked for it; what is finished stays.
    """
    started, start = datetime.now(UTC), time.perf_counter()
    loaded, folder = load_netadapt(recipe), Path(work)
    _check(loaded, seeds)
    claim_folder(folder, {**_decisive(loaded), "grid": grid, "rounds": rounds}, resume=True)
    runs = adapt_by_each_rule(loaded, folder, root or None)
    with stoppable(folder), make_executor(**loaded.executor.model_dump()) as executor:
        timed = _times(runs, loaded, folder / "times.json", grid, rounds)
        top1 = train_from_scratch(
            loaded.start.load(),
            {name: from_table(table) for name, table in timed["tables"].items()},
            folder / "scratch",
            seeds=seeds,
            executor=executor,
            root=root or None,
        )
    shown = without_folders(recipe)
    return write_run(
        out.stem,
        command=f"python -m {_MODULE} --recipe {shown} --seeds {seeds} --grid {grid:g} "
        f"--rounds {rounds} --out data/runs/{out.name}",
        config=without_folders(loaded.model_dump(mode="json", exclude_none=True)),
        seeds=list(range(seeds)),
        metrics=_metrics(runs, timed, top1, loaded.start.load().data.resolution),
        started=started,
        duration_s=time.perf_counter() - start,
        path=out,
    )


def adapt_by_each_rule(
    recipe: NetAdaptRecipe, folder: Path, root: str | None = None
) -> dict[str, NetAdaptRun]:
    """Runs NetAdapt once with each rule, from the same trained network and by the same times.

    Args:
        recipe: The recipe; its own rule does not matter, and nothing is trained in the end.
        folder: Gets a folder for each rule; what is finished there is not repeated.
        root: Where the data lie; see :func:`mnv3lib.data.load_dataset`.
    """
    runs: dict[str, NetAdaptRun] = {}
    first = folder / RULES[0]
    for rule in RULES:
        ruled = recipe.proposals.model_copy(update={"rule": rule})
        changes: dict[str, Any] = {"proposals": ruled, "final": Final(train=False)}
        weights = None
        if runs:
            changes["latency"] = ByTable(by="table", file=str(first / "latency-table.json"))
            weights = first / "start" / "weights.safetensors"
        changed = recipe.model_copy(update=changes)
        options = {"resume": True, "root": root, "weights": weights}
        runs[rule] = run_netadapt(changed, out=folder / rule, **options)
    return runs


def _check(recipe: NetAdaptRecipe, seeds: int) -> None:
    if recipe.latency.by != "runtime":
        raise ValueError(
            f"the recipe's cost is by {recipe.latency.by!r}; networks are compared on the clock "
            'here: take a recipe with latency.by = "runtime"'
        )
    if seeds < 1:
        raise ValueError(f"seeds must be at least 1, got {seeds}; three show a spread")


def _decisive(recipe: NetAdaptRecipe) -> dict[str, Any]:
    return recipe.model_dump(mode="json", exclude={"source", "executor", "final"})


def _times(
    runs: dict[str, NetAdaptRun], recipe: NetAdaptRecipe, file: Path, grid: float, rounds: int
) -> dict[str, Any]:
    """Compares all networks in one set of rounds, once, and finds the twins."""
    if file.is_file():
        return json.loads(file.read_text(encoding="utf-8"))
    starting, how = recipe.start.load(), recipe.latency
    tables = {"start": runs[RULES[0]].adaptation.start}
    tables |= {rule: run.adaptation.network.spec for rule, run in runs.items()}
    scaled = scaled_tables(starting.model, tables["start"].rows[-1].out, grid=grid)
    clock = compare_latency(
        {name: deploy(Network(spec)) for name, spec in {**tables, **scaled}.items()},
        starting.data.resolution,
        how.runtime,
        how.threads,
        rounds=rounds,
    )
    twins = {rule: closest_twin(clock, rule, scaled) for rule in RULES}
    tables |= {f"{rule}_scaled": scaled[width] for rule, width in twins.items()}
    measured = {
        "ms": {name: asdict(clock[name].spread) for name in clock.timings},
        "twins": twins,
        "twin_over_adapted": {r: asdict(clock.ratio(w, r)) for r, w in twins.items()},
        "tables": {name: to_table(spec) for name, spec in tables.items()},
    }
    write_atomically(file, json.dumps(measured).encode())
    return measured


def _metrics(
    runs: dict[str, NetAdaptRun],
    timed: dict[str, Any],
    top1: dict[str, list[float]],
    resolution: int,
) -> dict[str, Any]:
    """All results, ready for JSON."""
    networks = {}
    for name, table in timed["tables"].items():
        counted = count(Network(from_table(table)), resolution)
        timed_as = timed["twins"].get(name.removesuffix("_scaled"), name)
        ms = timed["ms"][timed_as if name.endswith("_scaled") else name]
        costs = {"params": counted.params, "macs": counted.macs, "latency_ms": ms}
        networks[name] = {**costs, "top1": top1[name], "table": table}
    return {
        "rules": {rule: {**run.metrics, "trained": None} for rule, run in runs.items()},
        "networks": networks,
        **{key: timed[key] for key in ("ms", "twins", "twin_over_adapted")},
        "differences": {
            question: [100 * (a - b) for a, b in zip(top1[one], top1[other], strict=True)]
            for question, (one, other) in _QUESTIONS.items()
        },
    }


def _describe(run: RecordedRun) -> str:
    found = run.metrics["rules"]
    steps = [f"{rule}: {len(one['steps'])} steps" for rule, one in found.items()]
    points = [
        f"{question}: {sum(seeds) / len(seeds):+.2f} points"
        for question, seeds in run.metrics["differences"].items()
    ]
    return "\n".join([*steps, *points, f"{run.duration_s:.0f} s"])


def main(arguments: list[str] | None = None) -> int:
    """Records a run from the command line; see :mod:`mnv3lib.recorder`."""
    return record_from_command_line(
        record,
        module=_MODULE,
        summary=__doc__.splitlines()[0],
        describe=_describe,
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
