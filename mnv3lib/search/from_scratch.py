"""Tables trained from scratch, side by side, with several seeds (chapter 9).

What NetAdapt finds is a table; its accuracy is that of a training of its own. Every finished
training is a file, named after the rows, so that an interrupted comparison repeats nothing and
equal tables are trained once, whatever they are called.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from mnv3lib.executors import Executor
from mnv3lib.models import NetworkSpec
from mnv3lib.models.tables import to_table
from mnv3lib.search.trainings import Training, finish_trainings
from mnv3lib.search.tuning import with_table
from mnv3lib.train.recipe import Recipe

__all__ = ["train_from_scratch"]


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
    trainings = [
        Training(
            with_table(recipe, spec), seed, root, folder / f"seed-{seed}" / f"{_digest(spec)}.json"
        )
        for seed in range(seeds)
        for spec in tables.values()
    ]
    top1 = finish_trainings(trainings, executor)
    return {name: top1[at :: len(tables)] for at, name in enumerate(tables)}


def _digest(spec: NetworkSpec) -> str:
    """A name for the rows of a table, whatever it is called and wherever it comes from."""
    rows = json.dumps(to_table(spec)["rows"])
    return sha256(rows.encode()).hexdigest()[:16]
