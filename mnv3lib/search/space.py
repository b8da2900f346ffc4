"""A search space as data: for each stage, the options of six choices (chapter 8).

MnasNet's *factorised hierarchical* space (arXiv 1807.11626, section 4.1) cuts a network into
stages of fixed stride. All layers of a stage are alike, and each stage chooses for itself: that
keeps the number of networks near S^B for B stages of S variants, where S^(B N) would come of
letting each of B x N layers choose. A :class:`Space` holds the options, a *point* is a tuple with
one :class:`mnv3lib.search.stage.Stage` for each stage, and every draw takes a generator.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch

from mnv3lib.models import NetworkSpec
from mnv3lib.models.rows import Row
from mnv3lib.search.stage import CHOICES, Point, Stage, StageOptions

__all__ = ["Choice", "Space"]


class Choice(NamedTuple):
    """One choice of a space: which stage, which field, and its options."""

    stage: int
    name: str
    options: tuple


@dataclass(frozen=True)
class Space:
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

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The number of options of each choice, in the order of :attr:`choices`."""
        return tuple(len(choice.options) for choice in self.choices)

    @property
    def stage_cardinalities(self) -> tuple[int, ...]:
        """The number of variants of each stage."""
        width = len(CHOICES)
        return tuple(
            math.prod(self.sizes[start : start + width])
            for start in range(0, len(self.sizes), width)
        )

    @property
    def cardinality(self) -> int:
        """The number of points, exactly. Some build the same network (a skip may find no place)."""
        return math.prod(self.sizes)

    def sample(self, generator: torch.Generator) -> Point:
        """Draws a point; every point is equally likely."""
        return self.point([_draw(size, generator) for size in self.sizes])

    def mutate(self, point: Point, generator: torch.Generator) -> Point:
        """Changes exactly one choice of a point to another of its options.

        Choices with more than one option are equally likely, and so are their other options.

        Args:
            point: A point of this space; it is left alone.
            generator: Source of randomness.

        Raises:
            ValueError: The point is not of this space, or nothing in the space can change.
        """
        indices = list(self.indices(point))
        open_choices = [at for at, size in enumerate(self.sizes) if size > 1]
        if not open_choices:
            raise ValueError(f"{self.name} has a single point: there is nothing to mutate")
        at = open_choices[_draw(len(open_choices), generator)]
        step = 1 + _draw(self.sizes[at] - 1, generator)
        indices[at] = (indices[at] + step) % self.sizes[at]
        return self.point(indices)

    def point(self, indices: Sequence[int]) -> Point:
        """The point that takes option ``indices[i]`` of choice i.

        Raises:
            ValueError: Not one index for each choice, or one out of range.
        """
        if len(indices) != len(self.sizes):
            raise ValueError(f"{self.name} has {len(self.sizes)} choices, got {len(indices)}")
        values = []
        for choice, index in zip(self.choices, indices, strict=True):
            if not 0 <= index < len(choice.options):
                raise ValueError(
                    f"stage {choice.stage} of {self.name} has {len(choice.options)} options for "
                    f"{choice.name}, got index {index}"
                )
            values.append(choice.options[index])
        width = len(CHOICES)
        return tuple(Stage(*values[at : at + width]) for at in range(0, len(values), width))

    def indices(self, point: Point) -> tuple[int, ...]:
        """Which option each choice of a point takes, in the order of :attr:`choices`.

        Raises:
            ValueError: The point is not of this space; the message names the first misfit.
        """
        if len(point) != len(self.stages):
            raise ValueError(
                f"a point of {self.name} has {len(self.stages)} stages, got {len(point)}"
            )
        return tuple(self._index(choice, point) for choice in self.choices)

    def __contains__(self, point: Point) -> bool:
        return len(point) == len(self.stages) and all(
            getattr(point[choice.stage], choice.name) in choice.options for choice in self.choices
        )

    def _index(self, choice: Choice, point: Point) -> int:
        value = getattr(point[choice.stage], choice.name)
        if value not in choice.options:
            offered = ", ".join(str(option) for option in choice.options)
            raise ValueError(
                f"stage {choice.stage} of {self.name} offers {choice.name} {offered}; got {value!r}"
            )
        return choice.options.index(value)


def _draw(size: int, generator: torch.Generator) -> int:
    return int(torch.randint(size, (), generator=generator))
