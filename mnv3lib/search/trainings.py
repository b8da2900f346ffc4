"""Many trainings, each finished one a file, so that nothing is repeated (chapters 8 and 9)."""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from mnv3lib.data import ImageDataset
from mnv3lib.executors import Executor
from mnv3lib.files import write_atomically
from mnv3lib.train.recipe import Model, Recipe
from mnv3lib.train.recipe_files import parse_recipe
from mnv3lib.train.run import load_images, train

__all__ = ["Training", "finish_trainings", "shared_images"]


class Training(NamedTuple):
    """One training, as a worker gets it.

    Attributes:
        recipe: How, and of which network.
        seed: Decides all that is random.
        root: Where the data lie; see :func:`mnv3lib.data.load_dataset`.
        file: Where its metrics are written in the end.
    """

    recipe: Recipe
    seed: int
    root: str | None
    file: Path


def finish_trainings(trainings: Sequence[Training], executor: Executor) -> list[float]:
    """Trains what has no file yet; trainings that share a file are one.

    Args:
        trainings: The trainings; those of one seed should stand together, since a worker keeps
            the images of one seed at a time.
        executor: Where they run.

    Returns:
        The top-1 accuracy of each, a share.
    """
    missing = {t.file: t for t in trainings if not t.file.is_file()}
    done = executor.map(_train, list(missing.values()))
    for _ in tqdm(done, "trainings", total=len(missing), delay=2, disable=None, leave=False):
        pass
    return [json.loads(t.file.read_text(encoding="utf-8"))["top1"] for t in trainings]


def shared_images(recipe: Recipe, seed: int, root: str | None) -> tuple[ImageDataset, ImageDataset]:
    """What a recipe trains on and what it evaluates on, loaded once for many short trainings.

    Args:
        recipe: The recipe; its network does not matter.
        seed: Decides what is random in the images; a process keeps those of one seed at a time.
        root: Where the data lie; see :func:`mnv3lib.data.load_dataset`.
    """
    any_network = recipe.model_copy(update={"model": Model(name="any")})
    return _images(any_network.model_dump_json(), seed, root)


@lru_cache(maxsize=1)
def _images(recipe: str, seed: int, root: str | None) -> tuple[ImageDataset, ImageDataset]:
    return load_images(parse_recipe(json.loads(recipe)), seed=seed, root=root)


def _train(training: Training) -> None:
    recipe, seed, root, file = training
    trained = train(recipe, seed=seed, images=shared_images(recipe, seed, root))
    write_atomically(file, json.dumps(trained.metrics).encode())
