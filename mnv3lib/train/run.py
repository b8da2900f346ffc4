"""Starting, resuming and finishing a run: what ``mnv3 train`` does (chapter 7).

A run that is given a folder leaves there ``checkpoint.safetensors`` while it goes on and, at its
end, ``weights.safetensors`` (the network that was evaluated, with its recipe) and ``run.json``
(a recorded run, see :mod:`mnv3lib.runs`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from torch import nn

from mnv3lib.data import ImageDataset
from mnv3lib.data.part import Part, held_out_indices
from mnv3lib.runs import write_run
from mnv3lib.train.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from mnv3lib.train.evaluate import evaluate
from mnv3lib.train.loop import Loop
from mnv3lib.train.processes import make_accelerator
from mnv3lib.train.progress import run_with_progress
from mnv3lib.train.recipe import Recipe
from mnv3lib.train.recipe_files import RecipeError, parse_recipe
from mnv3lib.train.task_kinds import TASKS

__all__ = ["Trained", "evaluate_trained", "load_images", "load_trained", "train"]


@dataclass(frozen=True)
class Trained:
    """What a run made.

    Attributes:
        network: The network that was evaluated (the average if the recipe keeps one), in
            evaluation mode.
        recipe: Its recipe.
        classes: Names of its classes.
        metrics: The numbers of the last evaluation, by name.
        details: Larger results of that evaluation, such as the confusion matrix.
        history: One entry an epoch; see :class:`mnv3lib.train.loop.Loop`.
    """

    network: nn.Module = field(repr=False)
    recipe: Recipe = field(repr=False)
    classes: tuple[str, ...]
    metrics: dict[str, float]
    details: dict[str, Any] = field(default_factory=dict, repr=False)
    history: list[dict[str, Any]] = field(default_factory=list, repr=False)


def train(
    recipe: Recipe,
    *,
    name: str = "run",
    command: str = "",
    seed: int = 0,
    out: Path | None = None,
    resume: bool = False,
    root: str | None = None,
    images: tuple[ImageDataset, ImageDataset] | None = None,
    start: nn.Module | None = None,
    on_epoch: Callable[[dict[str, Any]], object] | None = None,
) -> Trained:
    """Trains a network.

    Args:
        recipe: The recipe; see :func:`mnv3lib.train.recipe_files.load_recipe`.
        name: Name of the recorded run.
        command: What to type to repeat the run, for the record.
        seed: Decides all that is random.
        out: Folder for checkpoint, weights and recorded run; without one nothing is written.
        resume: Go on from the checkpoint in `out` if there is one.
        root: Where the data lie; see :func:`mnv3lib.data.load_dataset`.
        images: What to train on and to evaluate on, if it is loaded already or your own; see
            :func:`load_images`.
        start: A network of the recipe's table whose weights to begin with; fresh ones if not given.
        on_epoch: Called on the first process with each new entry of the history.

    Returns:
        The network and its numbers.

    Raises:
        FileExistsError: `out` holds a run, and `resume` is not asked for.
        FileNotFoundError: The data are not there.
        ValueError: The recipe does not fit the data or the processes, the loss is not finite
            (:class:`mnv3lib.train.loop.TrainingError`), or the checkpoint is of another run.
        Stopped: A signal asked for it, after a checkpoint was written.
    """
    checkpoint = None if out is None else out / "checkpoint.safetensors"
    if checkpoint is not None and checkpoint.exists() and not resume:
        raise FileExistsError(f"{out} already holds a run: resume it, or choose another folder")
    train_set, eval_set = images or load_images(recipe, seed=seed, root=root)
    task = TASKS[recipe.task](recipe, train_set.classes)
    places = {"checkpoint": checkpoint, "start": start}
    loop = Loop(recipe, task, train_set, eval_set, make_accelerator(), seed=seed, **places)
    if checkpoint is not None and checkpoint.exists():
        loop.resume()
    run_with_progress(loop, on_epoch=on_epoch)
    result = _result(loop)
    if out is not None and loop.accelerator.is_main_process:
        _keep(result, loop, name, command, out)
    return result


def load_images(
    recipe: Recipe, *, seed: int = 0, root: str | None = None
) -> tuple[ImageDataset, ImageDataset]:
    """Loads what a recipe trains on and what it evaluates on.

    Args:
        recipe: The recipe.
        seed: Decides what is random in the images to train on. Whatever is random in those to
            evaluate on is the same for all seeds.
        root: Where the data lie; see :func:`mnv3lib.data.load_dataset`.

    Raises:
        FileNotFoundError: The data are not there.
        ValueError: The recipe does not fit the data.
    """
    data, load = recipe.data, TASKS[recipe.task].load
    train_set = load(data, data.train_split, train=True, seed=seed, root=root)
    if data.held_out is None:
        return train_set, load(data, data.eval_split, train=False, seed=0, root=root)
    kept, aside = held_out_indices(len(train_set), data.held_out)
    whole = load(data, data.train_split, train=False, seed=0, root=root)
    return Part(train_set, kept), Part(whole, aside)


def load_trained(path: Path) -> Trained:
    """Reads ``weights.safetensors`` of a finished run.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: It is no such file, such as the checkpoint of an unfinished run, or it is
            damaged.
    """
    tensors, about = read_checkpoint(path)
    try:
        recipe, classes = parse_recipe(about["recipe"], place=path.name), tuple(about["classes"])
        network = TASKS[recipe.task](recipe, classes).build_network()
        network.load_state_dict(tensors["network"])
    except (RecipeError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} does not hold a finished network; expected the weights.safetensors that a "
            "run leaves in its folder when it ends"
        ) from error
    return Trained(network.eval(), recipe, classes, about["metrics"])


def evaluate_trained(
    trained: Trained, *, split: str | None = None, root: str | None = None
) -> Trained:
    """Measures a trained network again.

    Args:
        trained: See :func:`load_trained`.
        split: Another split than the recipe's.
        root: Where the data lie.

    Returns:
        The same with the new numbers.
    """
    recipe = trained.recipe
    kind = TASKS[recipe.task]
    split = split or recipe.data.eval_split
    dataset = kind.load(recipe.data, split, train=False, seed=0, root=root)
    accelerator = make_accelerator()
    network = trained.network.to(accelerator.device)
    task = kind(recipe, trained.classes)
    settings = {"batch_size": recipe.train.eval_batch_size, "workers": recipe.data.workers}
    measured = evaluate(network, dataset, task, accelerator, **settings)
    return replace(trained, metrics=measured.compute(), details=measured.details())


def _result(loop: Loop) -> Trained:
    # A run that is resumed after its last epoch has not measured yet.
    measured = loop.measured or loop.evaluate()
    network = loop.learner.evaluated.eval()
    metrics, details = measured.compute(), measured.details()
    return Trained(network, loop.recipe, loop.classes, metrics, details, loop.history)


def _keep(result: Trained, loop: Loop, name: str, command: str, out: Path) -> None:
    """Writes the weights and the recorded run."""
    about = {
        "recipe": result.recipe.model_dump(mode="json"),
        "classes": result.classes,
        "metrics": result.metrics,
    }
    write_checkpoint(out / "weights.safetensors", {"network": result.network.state_dict()}, about)
    write_run(
        name,
        command=command,
        config=result.recipe.model_dump(mode="json", exclude_defaults=True),
        seeds=[loop.seed],
        metrics={
            "classes": list(result.classes),
            "final": result.metrics,
            "history": result.history,
            **result.details,
        },
        started=datetime.now(UTC) - timedelta(seconds=loop.seconds),
        duration_s=loop.seconds,
        path=out / "run.json",
    )
