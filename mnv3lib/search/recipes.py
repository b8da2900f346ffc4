"""What the recipes of searches share: how something is trained, and where (chapters 8 and 9).

They are TOML files under ``data/searches/nas`` and ``data/searches/netadapt``, read and checked as
those of trainings are (:mod:`mnv3lib.train.recipe_files`). Sections that name a training recipe may
change its keys: ``changes = { train = { epochs = 1 } }``. The two kinds are
:class:`mnv3lib.search.nas_recipe.NasRecipe` and
:class:`mnv3lib.search.netadapt_recipe.NetAdaptRecipe`.
"""

from typing import Any, Literal

from pydantic import Field

from mnv3lib.train.recipe import Recipe
from mnv3lib.train.recipe_files import load_file
from mnv3lib.train.sections import Count, Section

__all__ = ["Trainer", "Workers"]


class Trainer(Section):
    """A recipe of training, with some of its keys replaced.

    Attributes:
        recipe: Its name, or the path of a TOML file.
        changes: Keys to replace, by section.
    """

    recipe: str
    changes: dict[str, dict[str, Any]] = Field(default_factory=dict)

    def load(self) -> Recipe:
        """The recipe of training."""
        return load_file(Recipe, self.recipe, "recipes", self.changes)


class Workers(Section):
    """Where trainings run, see :func:`mnv3lib.executors.make_executor`.

    Attributes:
        kind: In this process, in several, or on a Ray cluster.
        workers: Trainings at once.
    """

    kind: Literal["in-process", "processes", "ray"] = "in-process"
    workers: Count = 1
