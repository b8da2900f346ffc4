"""The recipe of an architecture search, as typed sections (chapter 8)."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mnv3lib.search.recipes import Trainer, Workers
from mnv3lib.search.reward import Reward
from mnv3lib.train.recipe_files import load_file
from mnv3lib.train.sections import Count, NotNegative, Positive, Section

__all__ = [
    "Budget",
    "ByBenchmark",
    "ByTraining",
    "Evolution",
    "Finalists",
    "NasRecipe",
    "PolicyGradient",
    "ProximalPolicy",
    "RandomDraw",
    "Rewarded",
    "load_nas",
]


class Budget(Section):
    """Where is searched, and how long.

    Attributes:
        space: Name of a space, see :func:`mnv3lib.search.list_spaces`.
        budget: Evaluations in all.
        batch: Evaluations between two lessons of the searcher.
    """

    space: str
    budget: Count
    batch: Count = 1


class RandomDraw(Section):
    """The searcher :class:`mnv3lib.search.RandomSearch`, which has no options.

    Attributes:
        name: ``"random"``.
    """

    name: Literal["random"]


class Evolution(Section):
    """The searcher :class:`mnv3lib.search.RegularizedEvolution`; None stands for its own default.

    Attributes:
        name: ``"evolution"``.
        population: Networks alive.
        tournament: Networks among which a parent is the best.
    """

    name: Literal["evolution"]
    population: Count | None = None
    tournament: Count | None = None


class PolicyGradient(Section):
    """The searcher :class:`mnv3lib.search.Reinforce`; None stands for its own default.

    Attributes:
        name: ``"reinforce"``.
        learning_rate: Step of Adam.
        entropy_weight: What a nat of entropy is worth in units of the reward.
        baseline_decay: What stays of the baseline from batch to batch.
        hidden: Units of the controller.
    """

    name: Literal["reinforce"]
    learning_rate: Positive | None = None
    entropy_weight: NotNegative | None = None
    baseline_decay: Annotated[float, Field(ge=0, lt=1)] | None = None
    hidden: Count | None = None


class ProximalPolicy(PolicyGradient):
    """The searcher :class:`mnv3lib.search.PPO`; None stands for its own default.

    Attributes:
        name: ``"ppo"``.
        epochs: Steps with each batch.
        clip: How far from 1 a ratio of probabilities may gain.
    """

    name: Literal["ppo"]
    epochs: Count | None = None
    clip: Positive | None = None


class Rewarded(Section):
    """What is searched for, see :class:`mnv3lib.search.Reward`.

    Attributes:
        target_ms: The latency aimed at, in milliseconds.
        w: The exponent of a soft constraint.
        hard: A hard constraint, in the place of `w`.
    """

    target_ms: Positive
    w: Annotated[float, Field(le=0)] | None = None
    hard: bool = False

    @model_validator(mode="after")
    def _one_constraint(self) -> "Rewarded":
        if self.hard is (self.w is not None):
            raise ValueError("give either w, such as -0.07, or hard = true")
        return self

    def build(self) -> Reward:
        """The reward."""
        return Reward.hard(self.target_ms) if self.hard else Reward.soft(self.target_ms, self.w)


class ByBenchmark(Section):
    """Candidates are looked up, see :mod:`mnv3lib.search.benchmark`: seconds for hundreds.

    Attributes:
        by: ``"benchmark"``.
        trained: Recorded run of trained networks: its name, or the path of a JSON file.
        latencies: Recorded run of the space's latency table, likewise.
    """

    by: Literal["benchmark"]
    trained: str = "search-benchmark"
    latencies: str = "search-latency"


class ByTraining(Trainer):
    """Candidates are trained, see :mod:`mnv3lib.search.candidates`; their latency is looked up.

    Attributes:
        by: ``"training"``.
        seeds: Each candidate is trained once with each.
        latencies: Recorded run of the space's latency table: its name, or the path of a JSON file.
    """

    by: Literal["training"]
    seeds: list[int] = Field(default_factory=lambda: [0], min_length=1)
    latencies: str = "search-latency"


class Finalists(Section):
    """The best candidates, measured on the runtime itself: one of these is the result.

    Attributes:
        measure: How many; 0 trusts the table.
        rounds: Timed rounds.
    """

    measure: Annotated[int, Field(ge=0)] = 0
    rounds: Count = 60


class NasRecipe(Section):
    """An architecture search.

    Attributes:
        source: Where it comes from, and what it is for.
        search: Space and budget.
        searcher: Who searches.
        reward: What for.
        candidates: Where accuracy and latency come from.
        final: What is measured in the end.
        executor: Where candidates are trained.
    """

    source: str
    search: Budget
    searcher: Annotated[
        RandomDraw | Evolution | PolicyGradient | ProximalPolicy, Field(discriminator="name")
    ]
    reward: Rewarded
    candidates: Annotated[ByBenchmark | ByTraining, Field(discriminator="by")]
    final: Finalists = Finalists()
    executor: Workers = Workers()


def load_nas(name: str, changes: Mapping[str, Mapping[str, Any]] | None = None) -> NasRecipe:
    """Reads the recipe of an architecture search.

    Args:
        name: A file below ``data/searches/nas``, without suffix, or the path of a TOML file.
        changes: Keys to replace, by section.

    Raises:
        FileNotFoundError: There is no such recipe.
        RecipeError: The file is not TOML, or holds a key or value that is not allowed.
    """
    return load_file(NasRecipe, name, "searches/nas", changes or {})
