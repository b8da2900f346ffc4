"""``mnv3 train``, ``evaluate``, ``recipes`` and ``study``: networks that learn."""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from mnv3lib.cli.shared import (
    AsJson,
    Changes,
    Resume,
    Root,
    Seed,
    exit_when_stopped,
    print_result,
    tell_epoch,
)

__all__ = ["add_to", "evaluate", "recipes", "study", "train"]


def recipes(json: AsJson = False) -> None:
    """List the recipes that come with the package."""
    from mnv3lib import report_training as report
    from mnv3lib.train.recipe_files import load_recipe, recipe_names

    found = {name: load_recipe(name) for name in recipe_names()}
    print_result(json, found, report.recipes_data, report.recipes_text)


def train(
    recipe: Annotated[str, typer.Option(help="A recipe ('mnv3 recipes'), or a file.toml.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; runs/RECIPE/seed-N if not given.")
    ] = None,
    seed: Seed = 0,
    resume: Resume = False,
    change: Changes = None,
    threads: Annotated[int | None, typer.Option(help="Threads of this process.")] = None,
    root: Root = None,
    json: AsJson = False,
) -> None:
    """Train a network; under `accelerate launch` or `torchrun`, on several devices or machines."""
    import torch

    from mnv3lib import report_training as report
    from mnv3lib.train.recipe_files import load_recipe, parse_changes
    from mnv3lib.train.run import train as run

    loaded = load_recipe(recipe, **parse_changes(change or []))
    name = Path(recipe).stem if recipe.endswith(".toml") else recipe
    folder = out or Path("runs") / name / f"seed-{seed}"
    about = {"name": name.replace("/", "-").lower(), "command": _command(name, seed, change or [])}
    if threads is not None:
        torch.set_num_threads(threads)
    options = {"seed": seed, "out": folder, "resume": resume, "root": root}
    with exit_when_stopped():
        trained = run(loaded, **about, **options, on_epoch=tell_epoch)
    print_result(json, trained, report.trained_data, report.trained_text)


def evaluate(
    weights: Annotated[Path, typer.Argument(help="weights.safetensors of a finished run.")],
    split: Annotated[str | None, typer.Option(help="Another split than the recipe's.")] = None,
    root: Root = None,
    json: AsJson = False,
) -> None:
    """Measure a trained network on its data."""
    from mnv3lib import report_training as report
    from mnv3lib.train.run import evaluate_trained, load_trained

    measured = evaluate_trained(load_trained(weights), split=split, root=root)
    print_result(json, measured, report.trained_data, report.trained_text)


def study(
    name: Annotated[str, typer.Argument(help="A study of data/studies, or a file.toml.")],
    work: Annotated[Path, typer.Option(help="Folder of the single runs; finished ones stay.")],
    jobs: Annotated[int, typer.Option(help="Trainings at once, each with one thread.")] = 1,
    root: Root = None,
) -> None:
    """Train variants of a recipe with several seeds, and record their differences."""
    from mnv3lib.train.study import load_study, run_study

    run = run_study(load_study(name), Path(name).stem, work=work, jobs=jobs, root=root)
    typer.echo(f"{run.name}: {len(run.metrics['variants'])} variants, {run.duration_s:.0f} s")


def _command(recipe: str, seed: int, changes: list[str]) -> str:
    """What to type to repeat the run."""
    # Both are set by torchrun and accelerate launch.
    processes, here = (int(os.environ.get(k, "1")) for k in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    machines = f"--nnodes {processes // here} " if processes > here else ""
    many = f"torchrun {machines}--nproc_per_node {here} -m mnv3lib.cli"
    words = ["mnv3" if processes == 1 else many, f"train --recipe {recipe} --seed {seed}"]
    return " ".join([*words, *(f"--set {shlex.quote(change)}" for change in changes)])


def add_to(app: typer.Typer) -> None:
    """Adds these commands to an application."""
    for command in (train, evaluate, study, recipes):
        app.command()(command)
