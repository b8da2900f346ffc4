"""The short training of NetAdapt's proposals, by a recipe (chapter 9).

T, the number of steps of the short training, is the recipe's length: its images, or its subset of
them, over its batch, times its epochs. The paper takes 10,000 steps of ImageNet.
"""

from dataclasses import dataclass

from mnv3lib.models import Network, NetworkSpec
from mnv3lib.models.tables import to_table
from mnv3lib.search.netadapt import Tuned
from mnv3lib.search.trainings import shared_images
from mnv3lib.train.evaluate import evaluate
from mnv3lib.train.processes import make_accelerator
from mnv3lib.train.recipe import Model, Recipe
from mnv3lib.train.run import train
from mnv3lib.train.task_kinds import TASKS

__all__ = ["RecipeTuning", "with_table"]


def with_table(recipe: Recipe, spec: NetworkSpec) -> Recipe:
    """The recipe with a table as it is: options that would change it, such as a width, are left.

    Args:
        recipe: How it is trained.
        spec: The table.
    """
    kept = {key: value for key, value in recipe.model.options.items() if key == "drop_path"}
    model = Model(name=spec.family, table=to_table(spec), **kept)
    return recipe.model_copy(update={"model": model})


@dataclass(frozen=True)
class RecipeTuning:
    """Trains a network on from the weights that it has; what ``netadapt`` calls ``tune``.

    Attributes:
        recipe: How; of its ``model`` section only ``drop_path`` matters.
        seed: Decides all that is random: the same for every proposal.
        root: Where the data lie; see :func:`mnv3lib.data.load_dataset`.
    """

    recipe: Recipe
    seed: int = 0
    root: str | None = None

    def __call__(self, network: Network) -> Tuned:
        """Trains `network`'s table from its weights; `network` itself stays as it is."""
        trained = train(
            with_table(self.recipe, network.spec),
            seed=self.seed,
            images=shared_images(self.recipe, self.seed, self.root),
            start=network,
        )
        return Tuned(trained.metrics["top1"], trained.network)

    def accuracy(self, network: Network) -> float:
        """Top-1 accuracy of a network as it is, a share."""
        _, images = shared_images(self.recipe, self.seed, self.root)
        accelerator = make_accelerator()
        task = TASKS[self.recipe.task](with_table(self.recipe, network.spec), images.classes)
        measured = evaluate(network.to(accelerator.device).eval(), images, task, accelerator)
        return measured.compute()["top1"]
