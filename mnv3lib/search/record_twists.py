"""Records what a small budget is best spent on: resolution, depth or width.

    python -m mnv3lib.search.record_twists --out data/runs/cifar10-twists.json

Twists of a small EfficientNet that cost the same are trained at two budgets. How the accuracy goes
along each axis is told by :mod:`mnv3lib.search.twist_trends`, seed by seed. The best twists make a
tiny formula, whose network for a budget in between is trained beside the inverse giant formula's.
Finished trainings stay in a folder, so an interrupted recording goes on. Two cores take hours.

Images are resized down only: a larger side than their own would bring multiply-adds and no detail.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mnv3lib.executors import Executor, make_executor
from mnv3lib.measure import count
from mnv3lib.models import Network
from mnv3lib.models.tinynet import Twist
from mnv3lib.recorder import record_from_command_line
from mnv3lib.runs import RecordedRun, write_run
from mnv3lib.search.from_scratch import train_from_scratch
from mnv3lib.search.search_folder import without_folders
from mnv3lib.search.tiny_formula import TinyFormula, TrainedTwist, frontier
from mnv3lib.search.twist_costs import macs_of, matched_giant
from mnv3lib.search.twist_grid import SMALL_BASE, TwistCell, twist_grid
from mnv3lib.search.twist_trends import correlations, slopes
from mnv3lib.train.recipe import Recipe
from mnv3lib.train.recipe_files import load_recipe

__all__ = ["fronts", "main", "record", "train_cells"]

_MODULE = "mnv3lib.search.record_twists"


def train_cells(
    recipe: Recipe,
    cells: Sequence[TwistCell],
    folder: Path,
    *,
    seeds: int,
    executor: Executor,
    root: str | None = None,
) -> list[list[float]]:
    """Trains each cell at its own resolution, but for what is trained already.

    Random shifts are an eighth of the side, the same share of every image.

    Args:
        recipe: How; network, resolution and shift do not matter.
        cells: What is trained.
        folder: Where finished trainings lie. It must be that of one recipe.
        seeds: How many seeds, from 0.
        executor: Where the trainings run.
        root: Where the data lie; see :func:`mnv3lib.data.load_dataset`.

    Returns:
        Top-1 accuracies as shares, for each cell one a seed.
    """
    found: dict[int, list[float]] = {}
    for side in sorted({cell.spec.resolution for cell in cells}):
        here = [index for index, cell in enumerate(cells) if cell.spec.resolution == side]
        data = recipe.data.model_copy(update={"resolution": side})
        augment = recipe.augment.model_copy(update={"pad_crop": side // 8})
        top1 = train_from_scratch(
            recipe.model_copy(update={"data": data, "augment": augment}),
            {str(index): cells[index].spec for index in here},
            folder / f"side-{side}",
            seeds=seeds,
            executor=executor,
            root=root,
        )
        found |= {int(index): list(values) for index, values in top1.items()}
    return [found[index] for index in range(len(cells))]


def record(
    out: Path,
    *,
    recipe: str = "cifar10/twists",
    budgets: Sequence[float] = (0.25, 0.125),
    held_out_budget: float = 0.18,
    sides: Sequence[int] = (16, 22, 28),
    depths: Sequence[float] = (0.5, 0.75, 1.0),
    seeds: int = 3,
    executor: str = "processes",
    workers: int = 2,
    work: str = "runs/twists",
    root: str = "",
) -> RecordedRun:
    """Trains the grids, fits the formula, trains what it says, and writes the run.

    Args:
        out: The run's file; its stem is the run's name.
        recipe: How all are trained.
        budgets: Multiply-adds of the grids, over the base's, to the thousandth.
        held_out_budget: The same for the comparison of the two formulas.
        sides: Sides of the images in pixels.
        depths: Factors of the blocks.
        seeds: How many seeds, from 0.
        executor: Where to train, see :func:`mnv3lib.executors.make_executor`.
        workers: Trainings at once, each with one thread.
        work: Folder of the finished trainings.
        root: Where the data lie; empty for `MNV3_DATA`.

    Returns:
        The run as written.

    Raises:
        ValueError: Unknown recipe, or a side beyond the base's.
        FileNotFoundError: The data are not there.
    """
    if max(sides) > SMALL_BASE.spec.resolution:
        raise ValueError(
            f"images of {SMALL_BASE.spec.resolution} pixels are not enlarged, got sides {sides}"
        )
    started, start = datetime.now(UTC), time.perf_counter()
    trained_by, whole = load_recipe(recipe), macs_of(Twist(), SMALL_BASE)
    common = {"seeds": seeds, "executor": make_executor(executor, workers), "root": root or None}
    grids = {share: list(twist_grid(share * whole, sides, depths)) for share in budgets}
    cells = [cell for grid in grids.values() for cell in grid]
    trained = train_cells(trained_by, cells, Path(work, "grid"), **common)
    top1 = dict(zip(cells, trained, strict=True))
    best = fronts(grids, top1)
    final = _compare(trained_by, best, held_out_budget, Path(work, "final"), common)
    words = {"budgets": budgets, "sides": sides, "depths": depths}
    listed = " ".join(f"--{name} {' '.join(map(str, values))}" for name, values in words.items())
    return write_run(
        out.stem,
        command=f"python -m {_MODULE} {listed} --held_out_budget {held_out_budget} "
        f"--seeds {seeds} --workers {workers} --out data/runs/{out.name}",
        config={
            "recipe": without_folders(recipe),
            "changes": trained_by.model_dump(mode="json", exclude_defaults=True),
            **{name: list(values) for name, values in words.items()},
        },
        seeds=list(range(seeds)),
        metrics={
            "base_macs": whole,
            "grids": {
                f"{1000 * share:g}": _grid_metrics(grid, [top1[cell] for cell in grid])
                for share, grid in grids.items()
            },
            "front": [{**vars(t.twist), "macs": t.macs, "top1": t.accuracy} for t in best],
            "formulas": final,
        },
        started=started,
        duration_s=time.perf_counter() - start,
        path=out,
    )


def fronts(
    grids: Mapping[float, Sequence[TwistCell]], top1: Mapping[TwistCell, Sequence[float]]
) -> list[TrainedTwist]:
    """The twists that no other beats, for each seed by itself.

    All cells of a grid count as costing its budget: else the one that rounding makes cheapest
    would always be on the front.

    Args:
        grids: Cells by budget, over the base's multiply-adds.
        top1: Accuracies, for each cell one a seed.

    Returns:
        The fronts one after the other; a twist that leads for two seeds is there twice.
    """
    whole = macs_of(Twist(), SMALL_BASE)
    costs = {cell: round(share * whole) for share, grid in grids.items() for cell in grid}
    by_seed = zip(*(top1[cell] for cell in costs), strict=True)
    trained = (
        [TrainedTwist(cell.twist, costs[cell], x) for cell, x in zip(costs, values, strict=True)]
        for values in by_seed
    )
    return [twist for of_seed in trained for twist in frontier(of_seed)]


def _grid_metrics(grid: Sequence[TwistCell], top1: Sequence[list[float]]) -> dict[str, Any]:
    sizes = {
        "resolution": [cell.spec.resolution for cell in grid],
        "depth": [sum(cell.spec.stages) for cell in grid],
    }
    points = [[100 * value for value in values] for values in top1]
    return {
        "cells": [_describe_cell(cell, values) for cell, values in zip(grid, top1, strict=True)],
        "spearman": correlations({**sizes, "width": [cell.twist.width for cell in grid]}, top1),
        "points_a_doubling": slopes(sizes, points),
    }


def _compare(
    recipe: Recipe,
    front: Sequence[TrainedTwist],
    share: float,
    folder: Path,
    common: Mapping[str, Any],
) -> dict[str, Any]:
    """The tiny formula of a front beside the inverse giant formula, on test images."""
    whole = macs_of(Twist(), SMALL_BASE)
    formula = TinyFormula([t.twist for t in front], [t.macs / whole for t in front], noise=1e-2)
    twists = {
        "tiny": formula.twist(share * whole, SMALL_BASE),
        "giant": matched_giant(share * whole, SMALL_BASE),
    }
    cells = [TwistCell.of(twist) for twist in twists.values()]
    data = recipe.data.model_copy(update={"held_out": None})
    tiny, giant = train_cells(recipe.model_copy(update={"data": data}), cells, folder, **common)
    return {
        "predicted": vars(formula.predict(share)),
        "tiny": _describe_cell(cells[0], tiny),
        "giant": _describe_cell(cells[1], giant),
        "tiny_over_giant": [100 * (a - b) for a, b in zip(tiny, giant, strict=True)],
    }


def _describe_cell(cell: TwistCell, top1: list[float]) -> dict[str, Any]:
    counted = count(Network(cell.spec))
    return {
        **vars(cell.twist),
        "side": cell.spec.resolution,
        "repeats": list(cell.spec.stages),
        "macs": counted.macs,
        "params": counted.params,
        "top1": top1,
    }


def _describe(run: RecordedRun) -> str:
    gains = run.metrics["formulas"]["tiny_over_giant"]
    said = ", ".join(f"{gain:+.1f}" for gain in gains)
    return f"tiny over giant, points: {said}; {run.duration_s:.0f} s"


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
