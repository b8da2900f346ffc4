"""NetAdapt by a recipe: start, table, steps and the training in the end (chapter 9).

The folder of a run holds ``start/`` (the training of the network to start from), the measured
``latency-table.json``, the state of the steps (:mod:`mnv3lib.search.adaptation_files`), the
training of the result, ``network.json`` (its table) and ``run.json``. A run that is interrupted
goes on from whatever of these is finished; its target may then be another. The duration that is
recorded is that of the last call.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mnv3lib.executors import make_executor
from mnv3lib.measure.latency_table import LatencyTable
from mnv3lib.measure.row_latency import measure_table
from mnv3lib.models import Network
from mnv3lib.models.tables import to_table
from mnv3lib.runs import write_run
from mnv3lib.search.adaptation import Adaptation
from mnv3lib.search.netadapt import netadapt
from mnv3lib.search.netadapt_recipe import ByRuntime, NetAdaptRecipe
from mnv3lib.search.proposals import Latency
from mnv3lib.search.reachable_rows import reachable_rows
from mnv3lib.search.row_costs import macs_at, table_latency_at
from mnv3lib.search.search_folder import claim_folder, stoppable, without_folders, write_network
from mnv3lib.search.shrinking import WidthGrid, width_grid, width_groups
from mnv3lib.search.tuning import RecipeTuning, with_table
from mnv3lib.train.recipe import Recipe
from mnv3lib.train.run import Trained, load_trained, train

__all__ = ["NetAdaptRun", "run_netadapt"]

OnEpoch = Callable[[dict[str, Any]], object]


@dataclass(frozen=True, eq=False)
class NetAdaptRun:
    """A finished run.

    Attributes:
        recipe: Its recipe.
        seed: Its seed.
        adaptation: The steps, and the network after them.
        target: The cost that was aimed at.
        trained: What the training of the result from scratch made, if there was one.
    """

    recipe: NetAdaptRecipe
    seed: int
    adaptation: Adaptation = field(repr=False)
    target: float
    trained: Trained | None = field(default=None, repr=False)

    @property
    def unit(self) -> str:
        """The unit of all costs, whose key is ``latency_ms`` whatever it is."""
        return "multiply-adds" if self.recipe.latency.by == "macs" else "ms"

    @property
    def footprint(self) -> list[dict[str, Any]]:
        """The groups of widths, each with kind, cells as (row, column), width before and after."""
        now = width_groups(self.adaptation.network.spec)
        return [
            {
                "index": group.index,
                "kind": group.kind,
                "cells": [list(cell) for cell in group.cells],
                "before": group.width,
                "after": now[group.index].width,
            }
            for group in width_groups(self.adaptation.start)
        ]

    @property
    def metrics(self) -> dict[str, Any]:
        """All results, ready for JSON."""
        run = self.adaptation
        return {
            "unit": self.unit,
            "target": self.target,
            "start": {"latency_ms": run.start_ms, "accuracy": run.start_accuracy},
            "end": {"latency_ms": run.latency_ms, "accuracy": run.accuracy},
            "footprint": self.footprint,
            "steps": [asdict(step) for step in run.steps],
            "table": to_table(run.network.spec),
            "trained": None if self.trained is None else self.trained.metrics,
        }


def run_netadapt(
    recipe: NetAdaptRecipe,
    *,
    out: Path,
    name: str = "netadapt",
    command: str = "",
    seed: int = 0,
    resume: bool = False,
    root: str | None = None,
    weights: Path | None = None,
    on_epoch: OnEpoch | None = None,
    on_step: Callable[[Adaptation], object] | None = None,
) -> NetAdaptRun:
    """Adapts a network, and writes down what came out.

    Args:
        recipe: The recipe, see :func:`mnv3lib.search.netadapt_recipe.load_netadapt`.
        out: Folder of the run.
        name: Name of the recorded run.
        command: What to type to repeat it, for the record.
        seed: Decides all that is random in the trainings.
        resume: Go on with the run that `out` holds, if there is one.
        root: Where the data lie; see :func:`mnv3lib.data.load_dataset`.
        weights: ``weights.safetensors`` of a finished run, to start from in the place of the
            recipe's start. It should have been trained without the images that the short training
            holds out.
        on_epoch: Called with each epoch of the trainings before and after the steps.
        on_step: Called after each step with the run so far.

    Raises:
        FileExistsError: `out` holds a run, and `resume` is not asked for.
        FileNotFoundError: The data or the weights are not there.
        UnreachableError: The steps cannot come down to the target; those made stay.
        ValueError: The weights do not fit the recipe, or `out` holds another run.
        MissingRowsError: The latency table lacks a row.
        WorkerDiedError: A worker died again and again; what is finished stays.
        Stopped: A signal asked for it; what is finished stays.
    """
    started, begun = datetime.now(UTC), time.perf_counter()
    tune = RecipeTuning(recipe.tune.load(), seed, root)
    starting = _starting(recipe, tune.recipe)
    claim_folder(out, {"seed": seed, **_decisive(recipe)}, resume=resume)
    with stoppable(out), make_executor(**recipe.executor.model_dump()) as executor:
        options = {"seed": seed, "root": root, "on_epoch": on_epoch}
        start = _start_network(weights, tune.recipe, starting, out / "start", **options)
        cost = _cost(recipe, start, starting.data.resolution, out)
        target = recipe.cuts.target(cost(start.spec))
        adaptation = netadapt(
            start,
            recipe.settings,
            latency=cost,
            tune=tune,
            accuracy=tune.accuracy(start),
            target_ms=target,
            executor=executor,
            folder=out,
            resume=True,
            on_step=on_step,
        )
        write_network(out, adaptation.network.spec)
        trained = _train_result(recipe, adaptation, out, options)
    run = NetAdaptRun(recipe, seed, adaptation, target, trained)
    write_run(
        name,
        command=command,
        config=without_folders(recipe.model_dump(mode="json", exclude_none=True)),
        seeds=[seed],
        metrics=run.metrics,
        started=started,
        duration_s=time.perf_counter() - begun,
        path=out / "run.json",
    )
    return run


def _decisive(recipe: NetAdaptRecipe) -> dict[str, Any]:
    """What must be the same for a run to go on: all but the target and what comes after it."""
    free = {"source": True, "final": True, "executor": True}
    cuts = {"target_share": True, "target_ms": True}
    return recipe.model_dump(mode="json", exclude={**free, "cuts": cuts})


def _starting(recipe: NetAdaptRecipe, tuning: Recipe) -> Recipe:
    """The recipe of the start, without the images by which proposals are chosen later."""
    found = recipe.start.load()
    data = found.data.model_copy(update={"held_out": tuning.data.held_out})
    return found.model_copy(update={"data": data})


def _start_network(
    weights: Path | None, tuning: Recipe, starting: Recipe, folder: Path, **options: Any
) -> Network:
    if weights is None:
        return _trained(starting, folder, **options).network
    trained = load_trained(weights)
    if trained.recipe.data.name != tuning.data.name:
        raise ValueError(
            f"{weights.name} was trained on {trained.recipe.data.name}, the short training is on "
            f"{tuning.data.name}: take weights or a recipe of the same data set"
        )
    return trained.network


def _trained(recipe: Recipe, folder: Path, **options: Any) -> Trained:
    """Trains by a recipe, goes on with that, or reads what is finished."""
    weights = folder / "weights.safetensors"
    if not weights.is_file():
        train(recipe, out=folder, resume=True, **options)
    return load_trained(weights)


def _cost(recipe: NetAdaptRecipe, start: Network, resolution: int, out: Path) -> Latency:
    """From a table to multiply-adds, or to milliseconds by a table that stays in the folder."""
    by = recipe.latency
    if by.by == "macs":
        return macs_at(resolution)
    file = out / "latency-table.json"
    if not file.is_file():
        settings = recipe.settings
        grid = width_grid(start.spec, settings.divisor, settings.smallest_share)
        table = (
            LatencyTable.load(Path(by.file))
            if by.by == "table"
            else _measured(start, resolution, grid, by)
        )
        table.save(file)
    return table_latency_at(LatencyTable.load(file), resolution)


def _measured(start: Network, resolution: int, grid: WidthGrid, how: ByRuntime) -> LatencyTable:
    """Times of all rows within reach, scaled so that the start comes out as it was measured."""
    rows = list(reachable_rows(start.spec, resolution, grid))
    table, measured_ms = measure_table(
        {"start": (start, resolution)},
        how.runtime,
        how.threads,
        more_rows=rows,
        rounds=how.rounds,
    )
    return table.calibrated([table.predict(start, resolution)], [measured_ms["start"]])


def _train_result(
    recipe: NetAdaptRecipe, adaptation: Adaptation, out: Path, options: dict[str, Any]
) -> Trained | None:
    """Trains the adapted table from scratch on all training images, where that is asked for."""
    if not recipe.final.train:
        return None
    again = with_table(recipe.start.load(), adaptation.network.spec)
    # The number of steps names the folder: a run that is resumed may have come further.
    return _trained(again, out / f"result-{len(adaptation.steps)}-steps", **options)
