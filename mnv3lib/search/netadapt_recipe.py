"""The recipe of a run of NetAdapt, as typed sections (chapter 9)."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mnv3lib.search.adaptation import AdaptSettings
from mnv3lib.search.cut_schedule import CutSchedule
from mnv3lib.search.recipes import Trainer, Workers
from mnv3lib.train.recipe_files import load_file
from mnv3lib.train.sections import Count, Positive, Section

__all__ = [
    "ByMacs",
    "ByRuntime",
    "ByTable",
    "Cuts",
    "Final",
    "NetAdaptRecipe",
    "Proposals",
    "Short",
    "Start",
    "load_netadapt",
]

Share = Annotated[float, Field(gt=0, lt=1)]


class Start(Trainer):
    """The network to start from, and how it is trained: keys as in :class:`Trainer`."""


class Short(Trainer):
    """The short training of proposals: keys as in :class:`Trainer`; the network does not matter.

    Its ``data.held_out`` is also kept out of the training of the start.
    """


class Cuts(Section):
    """How far down, and in which steps; see :class:`mnv3lib.search.CutSchedule`.

    Attributes:
        delta: The first cut, as a share of the cost at the start.
        decay: Each cut over the one before.
        target_share: Where to stop, as a share of the cost at the start.
        target_ms: Where to stop in milliseconds, in its place.
    """

    delta: Share = 0.01
    decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    target_share: Share | None = None
    target_ms: Positive | None = None

    @model_validator(mode="after")
    def _one_target_in_reach(self) -> "Cuts":
        if (self.target_share is None) is (self.target_ms is None):
            raise ValueError("give either target_share, such as 0.7, or target_ms")
        limit = self.schedule.limit
        if self.target_share is not None and 1 - self.target_share >= limit:
            raise ValueError(
                f"target_share {self.target_share:g} is {1 - self.target_share:.1%} off, but cuts "
                f"of {self.delta:g} that decay by {self.decay:g} add up to less than {limit:.1%}: "
                "take a larger delta, or a decay of 1"
            )
        return self

    @property
    def schedule(self) -> CutSchedule:
        """The cuts of the steps."""
        return CutSchedule(self.delta, self.decay)

    def target(self, start_cost: float) -> float:
        """The cost to come down to, for the one at the start."""
        return self.target_ms if self.target_share is None else self.target_share * start_cost


class Proposals(Section):
    """Which proposals are made and kept, see :class:`mnv3lib.search.AdaptSettings`.

    Attributes:
        rule: ``"ratio"`` (MobileNetV3) or ``"accuracy"`` (NetAdapt).
        keep: Which channels stay.
        divisor: Widths are multiples of this.
        smallest_share: No width falls below this share of the one at the start.
    """

    rule: Literal["ratio", "accuracy"] = "ratio"
    keep: Literal["truncation", "l2"] = "truncation"
    divisor: Count = 8
    smallest_share: Annotated[float, Field(ge=0, lt=1)] = 0.0


class ByRuntime(Section):
    """Cost is latency: every row that can be reached is measured here, once, at the beginning.

    Attributes:
        by: ``"runtime"``.
        runtime: Where.
        threads: Threads to compute with.
        rounds: Timed rounds.
    """

    by: Literal["runtime"]
    runtime: Literal["eager", "onnxruntime", "executorch"] = "onnxruntime"
    threads: Count = 1
    rounds: Count = 60


class ByTable(Section):
    """Cost is latency, by a table that was measured elsewhere, on a phone for instance.

    Attributes:
        by: ``"table"``.
        file: Path of the table, as :meth:`mnv3lib.measure.latency_table.LatencyTable.save` writes.
    """

    by: Literal["table"]
    file: str


class ByMacs(Section):
    """Cost is the number of multiply-adds, which is the same on every machine.

    Attributes:
        by: ``"macs"``.
    """

    by: Literal["macs"]


class Final(Section):
    """What becomes of the result.

    Attributes:
        train: Train it from scratch by the recipe of the start, on all training images.
    """

    train: bool = False


class NetAdaptRecipe(Section):
    """A run of NetAdapt.

    Attributes:
        source: Where it comes from, and what it is for.
        start: The network to start from.
        tune: The short training.
        cuts: How far down, and in which steps.
        proposals: Which proposals are made and kept.
        latency: What the cost is.
        executor: Where proposals are trained.
        final: What becomes of the result.
    """

    source: str
    start: Start
    tune: Short
    cuts: Cuts
    proposals: Proposals = Proposals()
    latency: Annotated[ByRuntime | ByTable | ByMacs, Field(discriminator="by")]
    executor: Workers = Workers()
    final: Final = Final()

    @model_validator(mode="after")
    def _costs_of_a_kind(self) -> "NetAdaptRecipe":
        if self.latency.by == "macs" and self.cuts.target_ms is not None:
            raise ValueError("multiply-adds are no milliseconds: give cuts.target_share instead")
        return self

    @property
    def settings(self) -> AdaptSettings:
        """What decides the course of the run."""
        return AdaptSettings(self.cuts.schedule, **self.proposals.model_dump())


def load_netadapt(
    name: str, changes: Mapping[str, Mapping[str, Any]] | None = None
) -> NetAdaptRecipe:
    """Reads the recipe of a run of NetAdapt.

    It does as :func:`mnv3lib.search.nas_recipe.load_nas`, but from ``data/searches/netadapt``.

    Args:
        name: A file below that folder, without suffix, or the path of a TOML file.
        changes: Keys to replace, by section.

    Raises:
        FileNotFoundError: There is no such recipe.
        RecipeError: The file is not TOML, or holds a key or value that is not allowed.
    """
    return load_file(NetAdaptRecipe, name, "searches/netadapt", changes or {})
