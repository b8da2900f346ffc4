"""Tables trained from scratch, side by side, with several seeds (chapter 9).

What NetAdapt finds is a table; its accuracy is that of a training of its own. Every finished
training is a file, named after the rows, so that an interrupted comparison repeats nothing and
equal tables are trained once, whatever they are called.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from mnv3lib.executors import Executor
from mnv3lib.files import write_atomically
from mnv3lib.models import NetworkSpec
from mnv3lib.models.tables import to_table
from mnv3lib.search.candidates import shared_images
from mnv3lib.search.tuning import with_table
from mnv3lib.train.recipe import Recipe
from mnv3lib.train.run import train

__all__ = ["train_from_scratch"]


class Item(NamedTuple):
    """One training, as a worker gets it."""

    recipe: Recipe
    spec: NetworkSpec
    seed: int
    root: str | None
    file: Path


def train_from_scratch(
    recipe: Recipe,
    tables: Mapping[str, NetworkSpec],
    folder: Path,
    *,
    seeds: int,
    executor: Executor,
    root: str | None = None,
) -> dict[str, list[float]]:
    """Trains each table once with each seed, but for what is trained already.

    Args:
        recipe: How; of its ``model`` section only ``drop_path`` matters.
        tables: Tables by name.
        folder: Where the files of finished trainings lie. It must be that of one recipe.
        seeds: How many seeds, from 0.
        executor: Where the trainings run.
        root: Where the data lie; see :func:`mnv3lib.data.load_dataset`.

    Returns:
        Top-1 accuracies as shares by name, seed by seed.
    """
    # Seed by seed: a worker keeps the images of one seed at a time.
    files = {
        (seed, name): folder / f"seed-{seed}" / f"{_digest(spec)}.json"
        for seed in range(seeds)
        for name, spec in tables.items()
    }
    missing = {
        file: Item(recipe, tables[name], seed, root, file)
        for (seed, name), file in files.items()
        if not file.is_file()
    }
    done = executor.map(_train, list(missing.values()))
    for _ in tqdm(done, "trainings", len(missing), delay=2, disable=None, leave=False):
        pass
    top1 = {
        key: json.loads(file.read_text(encoding="utf-8"))["top1"] for key, file in files.items()
    }
    return {name: [top1[seed, name] for seed in range(seeds)] for name in tables}


def _digest(spec: NetworkSpec) -> str:
    """A name for the rows of a table, whatever it is called and wherever it comes from."""
    rows = json.dumps(to_table(spec)["rows"])
    return sha256(rows.encode()).hexdigest()[:16]


def _train(item: Item) -> None:
    images = shared_images(item.recipe, item.seed, item.root)
    trained = train(with_table(item.recipe, item.spec), seed=item.seed, images=images)
    write_atomically(item.file, json.dumps(trained.metrics).encode())
