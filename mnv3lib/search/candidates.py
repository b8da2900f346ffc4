"""What a candidate is worth: a short training, the same recipe for all (chapter 8).

A search cannot train each candidate to the end. It trains all of them alike and briefly, on images
held out of the training split, and hopes that the short training ranks as the long one would; that
hope is an assumption which chapter 8 tests. Every finished training is a small file of its own, so
that a search which is interrupted repeats nothing.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mnv3lib.executors import Executor, InProcess
from mnv3lib.files import write_atomically
from mnv3lib.models import NetworkSpec
from mnv3lib.models.tables import to_table
from mnv3lib.search.encoding import decode
from mnv3lib.search.history import Evaluation
from mnv3lib.search.networks import spec_of
from mnv3lib.search.space import Space
from mnv3lib.search.table_latency import AdditiveCost
from mnv3lib.search.trainings import Training, finish_trainings
from mnv3lib.train.recipe import Recipe
from mnv3lib.train.recipe_files import parse_recipe

__all__ = ["ShortTraining", "TrainedCandidates", "recipe_of"]


def recipe_of(recipe: Recipe, spec: NetworkSpec) -> Recipe:
    """The recipe with another network: the options of its ``model`` section stay.

    Args:
        recipe: How candidates are trained.
        spec: The candidate.
    """
    model = recipe.model.model_copy(update={"name": spec.family, "table": to_table(spec)})
    return recipe.model_copy(update={"model": model})


class ShortTraining:
    """Trains candidates, each with some seeds, and keeps what came out.

    Args:
        recipe: How candidates are trained; its network does not matter, only its options.
        folder: Where a file for each finished training lies.
        seeds: Seeds; each candidate is trained once with each.
        executor: Where the trainings run.
        root: Where the data lie; see :func:`mnv3lib.data.load_dataset`.

    Raises:
        ValueError: The folder holds trainings by another recipe.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        *,
        seeds: Sequence[int] = (0,),
        executor: Executor | None = None,
        root: str | None = None,
    ) -> None:
        self.recipe, self.folder, self.seeds = recipe, folder, tuple(seeds)
        self._executor, self._root = executor or InProcess(), root
        self._claim_folder()

    def accuracies(self, space: Space, codes: Tensor) -> Tensor:
        """Trains what is not trained yet.

        Args:
            space: A space.
            codes: Encoded points, int64 (N, D).

        Returns:
            Top-1 accuracy on the held-out images as shares, float64 (N, seeds).
        """
        specs = [spec_of(space, point) for point in decode(space, codes)]
        names = ["-".join(map(str, code)) for code in codes.tolist()]
        trainings = [
            Training(recipe_of(self.recipe, spec), seed, self._root, self._file(name, seed))
            for seed in self.seeds
            for name, spec in zip(names, specs, strict=True)
        ]
        top1 = finish_trainings(trainings, self._executor)
        return torch.tensor(top1, dtype=torch.float64).reshape(len(self.seeds), len(codes)).T

    def _file(self, name: str, seed: int) -> Path:
        return self.folder / f"seed-{seed}" / f"{name}.json"

    def _claim_folder(self) -> None:
        """Writes the recipe down, or holds it against the one that is there."""
        path = self.folder / "recipe.json"
        if not path.is_file():
            content = self.recipe.model_dump(mode="json")
            write_atomically(path, json.dumps(content, indent=1).encode())
        elif parse_recipe(json.loads(path.read_text("utf-8"))).decisive() != self.recipe.decisive():
            raise ValueError(
                f"{self.folder} holds candidates that another recipe trained: remove that folder, "
                "or choose another one"
            )


class TrainedCandidates:
    """An evaluator that trains: accuracy by :class:`ShortTraining`, latency by look-up.

    Args:
        space: The space of the candidates.
        training: How they are trained.
        latency: Latencies of the space, see :func:`mnv3lib.search.table_latency.table_latency`.
    """

    def __init__(self, space: Space, training: ShortTraining, latency: AdditiveCost) -> None:
        self._space, self._training, self._latency = space, training, latency

    def __call__(self, codes: Tensor) -> Evaluation:
        """codes: int64 (N, D). Returns the mean accuracy over seeds and the latency, each (N,)."""
        accuracies = self._training.accuracies(self._space, codes)
        return Evaluation(accuracies.mean(1), self._latency(codes))
