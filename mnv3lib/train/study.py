"""Studies: one recipe, a few variants of it, several seeds each, and their differences.

A study is a TOML file under ``data/studies``: the recipe, the seeds, for each variant the keys
that it changes, and the pairs of variants that answer a question. Each training is a run of its
own in its own folder, so a study that is interrupted goes on where it stopped; the result is one
recorded run. Taught in chapter 7 (training).
"""

import tomllib
from collections.abc import Collection, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from tqdm import tqdm

from mnv3lib.executors import Processes
from mnv3lib.measure import count
from mnv3lib.paths import data_root
from mnv3lib.runs import RecordedRun, read_run, write_run
from mnv3lib.train.recipe import Recipe
from mnv3lib.train.recipe_files import RecipeError, describe_problems, load_recipe, parse_recipe
from mnv3lib.train.run import load_trained, train
from mnv3lib.train.sections import Section
from mnv3lib.train.task_kinds import TASKS

__all__ = ["Study", "differences", "load_study", "run_study", "study_names"]

_OWN = {"classes", "final", "history"}  # what a run holds besides details of its task


class Study(Section):
    """What is compared.

    Attributes:
        question: What the study asks, in a sentence or two.
        recipe: Name of the recipe that all variants change.
        recipes: Variants that change another recipe, and its name.
        seeds: Seeds; each variant is trained once with each.
        variants: For each variant, the keys that it changes, by section.
        differences: For each question, the variant and the one that is subtracted from it.
    """

    question: str
    recipe: str
    seeds: list[int]
    recipes: dict[str, str] = Field(default_factory=dict)
    variants: dict[str, dict[str, dict[str, Any]]]
    differences: dict[str, list[str]] = Field(default_factory=dict)

    def recipe_of(self, variant: str) -> Recipe:
        """The recipe of a variant."""
        return load_recipe(self.recipes.get(variant, self.recipe), **self.variants[variant])


def study_names() -> list[str]:
    """Names of the studies that the project ships, sorted."""
    return sorted(path.stem for path in (data_root() / "studies").glob("*.toml"))


def load_study(name: str) -> Study:
    """Reads a study by its name, or a TOML file of your own by its path.

    Raises:
        FileNotFoundError: There is no such study.
        RecipeError: It is no study, a variant's recipe is not valid, or a difference names a
            variant that is not there.
    """
    path = Path(name) if name.endswith(".toml") else data_root() / "studies" / f"{name}.toml"
    if not path.is_file():
        raise FileNotFoundError(f"no study {name!r}: there are {', '.join(study_names())}")
    try:
        study = Study(**tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise RecipeError(f"{path.name}: {describe_problems(error)}") from error
    unknown = sorted(set(study.recipes) - set(study.variants))
    if unknown:
        raise RecipeError(f"{path.name}: recipes.{unknown[0]} is none of the variants")
    for variant in study.variants:
        study.recipe_of(variant)
    for question, pair in study.differences.items():
        missing = sorted(set(pair) - set(study.variants))
        if missing or len(pair) != 2:
            raise RecipeError(f"{path.name}: differences.{question} must name two variants: {pair}")
    return study


def differences(
    metrics: dict[str, dict[str, Any]], pairs: dict[str, list[str]], points: Collection[str]
) -> dict[str, dict[str, list[float]]]:
    """Differences of pairs of variants, seed by seed.

    Args:
        metrics: For each variant, ``final``: one dictionary of numbers a seed.
        pairs: For each question, the variant and the one that is subtracted from it.
        points: Numbers that are shares, whose differences are told in percentage points.

    Returns:
        For each question and number, the differences.
    """
    return {
        question: {
            name: [
                (a[name] - b[name]) * (100 if name in points else 1)
                for a, b in zip(metrics[one]["final"], metrics[other]["final"], strict=True)
            ]
            for name in metrics[one]["final"][0]
        }
        for question, (one, other) in pairs.items()
    }


def run_study(
    study: Study,
    name: str,
    *,
    work: Path,
    jobs: int = 1,
    root: str | None = None,
    path: Path | None = None,
) -> RecordedRun:
    """Trains every variant with every seed, and records what came out.

    Args:
        study: The study.
        name: Its name, which becomes that of the recorded run.
        work: Folder for the single runs; what is finished there is not trained again.
        jobs: Trainings at once, each with one thread.
        root: Where the data lie; see :func:`mnv3lib.data.load_dataset`.
        path: Where to write the recorded run; ``data/runs/NAME.json`` if not given.

    Returns:
        The recorded run; its configuration holds the commits at which the cells were trained.

    Raises:
        RecipeError: A finished cell in `work` was trained by another recipe.
        ValueError: Fewer than one job.
        WorkerDiedError: A process that trains has died again and again, see
            :class:`mnv3lib.executors.WorkerDiedError`. What is finished stays, and the next call
            goes on from there.
    """
    cells = [(variant, seed) for seed in study.seeds for variant in study.variants]
    arguments = [
        (study.recipe_of(variant), f"{name}-{variant}", seed, _folder(work, variant, seed), root)
        for variant, seed in cells
    ]
    _train_all(arguments, jobs)
    runs = {cell: read_run("run", path=_folder(work, *cell) / "run.json") for cell in cells}
    for (variant, _), run in runs.items():
        _check_recipe(study, variant, run, work)
    metrics = {variant: _collect(study, variant, runs, work) for variant in study.variants}
    points = TASKS[load_recipe(study.recipe).task].points
    duration = sum(run.duration_s for run in runs.values())
    return write_run(
        name,
        command=f"mnv3 study {name} --work runs/{name}",
        # Cells may be older than this commit, which has only put them together.
        config={**_without_folder(study), "commits": sorted({r.commit for r in runs.values()})},
        seeds=study.seeds,
        metrics={
            "variants": metrics,
            "differences": differences(metrics, study.differences, points),
        },
        started=min(datetime.fromisoformat(run.started) for run in runs.values()),
        duration_s=duration,
        path=path,
    )


def _train_all(arguments: Iterable[tuple], jobs: int) -> None:
    """Trains what is not finished yet, a few at a time."""
    waiting = [row for row in arguments if not (row[3] / "run.json").is_file()]
    results = Processes(jobs).map(_train_one, waiting)
    for _ in tqdm(results, "runs", total=len(waiting), disable=None):
        pass  # each run is in its folder


def _train_one(row: tuple[Recipe, str, int, Path, str | None]) -> None:
    recipe, name, seed, out, root = row
    train(recipe, name=name, seed=seed, out=out, resume=True, root=root)


def _check_recipe(study: Study, variant: str, run: RecordedRun, work: Path) -> None:
    """Raises a RecipeError if a finished cell was trained by another recipe."""
    if parse_recipe(run.config).decisive() != study.recipe_of(variant).decisive():
        raise RecipeError(
            f"{work / variant} was trained by another recipe than the study has now: "
            "remove that folder, or choose another one for --work"
        )


def _folder(work: Path, variant: str, seed: int) -> Path:
    return work / variant / f"seed-{seed}"


def _collect(study: Study, variant: str, runs: dict, work: Path) -> dict[str, Any]:
    """Costs of a variant, and for each seed its numbers and its learning curve."""
    own = [runs[variant, seed].metrics for seed in study.seeds]
    trained = load_trained(_folder(work, variant, study.seeds[0]) / "weights.safetensors")
    cost = count(trained.network, trained.recipe.data.resolution)
    return {
        "classes": list(trained.classes),
        "macs": cost.macs,
        "params": cost.params,
        "final": [metrics["final"] for metrics in own],
        "history": [metrics["history"] for metrics in own],
        **{name: [metrics[name] for metrics in own] for name in own[0] if name not in _OWN},
    }


def _without_folder(study: Study) -> dict[str, Any]:
    """The study for the record: a recipe of one's own by the name of its file alone."""

    def shown(recipe: str) -> str:
        return Path(recipe).name if recipe.endswith(".toml") else recipe

    changed = {"recipe": shown(study.recipe)}
    changed["recipes"] = {variant: shown(name) for variant, name in study.recipes.items()}
    return {**study.model_dump(mode="json"), **changed}
