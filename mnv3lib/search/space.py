"""A search space as data: for each stage, the options of six choices (chapter 8).

MnasNet's *factorised hierarchical* space (arXiv 1807.11626, section 4.1) cuts a network into
stages of fixed stride. All layers of a stage are alike, and each stage chooses for itself: that
keeps the number of networks near S^B for B stages of S variants, where S^(B N) would come of
letting each of B x N layers choose. A :class:`Space` holds the options, a *point* is a tuple with
one :class:`mnv3lib.search.stage.Stage` for each stage, and every draw takes a generator.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mnv3lib.models import NetworkSpec
from mnv3lib.models.rows import Row
from mnv3lib.search.choices import Choice, ChoiceSpace
from mnv3lib.search.stage import CHOICES, Point, Stage, StageOptions

__all__ = ["Space"]


@dataclass(frozen=True)
class Space(ChoiceSpace):
    """All networks that differ in the choices of their stages.

    Attributes:
        name: Name of the space.
        source: Where it comes from.
        base: The network whose conventions, first rows and last rows all points share.
        kept_top: How many rows of ``base`` come before the stages.
        kept_bottom: How many rows of ``base`` come after them.
        stages: Options, stage by stage.
    """

    name: str
    source: str
    base: NetworkSpec
    kept_top: int
    kept_bottom: int
    stages: tuple[StageOptions, ...]

    @property
    def stem(self) -> tuple[Row, ...]:
        """The rows before the stages."""
        return self.base.rows[: self.kept_top]

    @property
    def head(self) -> tuple[Row, ...]:
        """The rows after the stages."""
        return self.base.rows[len(self.base.rows) - self.kept_bottom :]

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """All choices, stage by stage, each stage's in the order of ``CHOICES``."""
        return tuple(
            Choice(index, name, getattr(options, name))
            for index, options in enumerate(self.stages)
            for name in CHOICES
        )

    @property
    def stage_cardinalities(self) -> tuple[int, ...]:
        """The number of variants of each stage."""
        width = len(CHOICES)
        return tuple(
            math.prod(self.sizes[start : start + width])
            for start in range(0, len(self.sizes), width)
        )

    def _assembled(self, options: list[Any]) -> Point:
        width = len(CHOICES)
        return tuple(Stage(*options[at : at + width]) for at in range(0, len(options), width))

    def _taken(self, point: Point) -> list[Any]:
        if len(point) != len(self.stages):
            raise ValueError(
                f"a point of {self.name} has {len(self.stages)} stages, got {len(point)}"
            )
        return [getattr(point[choice.stage], choice.name) for choice in self.choices]
