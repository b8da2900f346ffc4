"""What every search space is: a list of choices with options each (chapter 8).

Searchers, encodings and surrogates need to know no more than that: how many options each choice
has, and how a list of them becomes a point. What the choices mean, and which network a point is,
is the business of a kind of space, :class:`mnv3lib.search.space.Space` or
:class:`mnv3lib.search.layer_space.LayerSpace`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch

__all__ = ["Choice", "ChoiceSpace"]


class Choice(NamedTuple):
    """One choice of a space: which stage, which field, and its options."""

    stage: int
    name: str
    options: tuple


class ChoiceSpace(ABC):
    """All points that differ in the options which they take; a base class.

    Attributes:
        name: Name of the space.
        choices: All choices, in the order of codes.
    """

    name: str

    @property
    @abstractmethod
    def choices(self) -> tuple[Choice, ...]:
        """All choices, in the order of codes."""

    @abstractmethod
    def _assembled(self, options: list[Any]) -> tuple:
        """The point that takes these options, one a choice."""

    @abstractmethod
    def _taken(self, point: tuple) -> list[Any]:
        """The options that a point takes, one a choice; a ValueError if it has another shape."""

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The number of options of each choice, in the order of :attr:`choices`."""
        return tuple(len(choice.options) for choice in self.choices)

    @property
    def cardinality(self) -> int:
        """The number of points, exactly. Some build the same network (a skip may find no place)."""
        return math.prod(self.sizes)

    def sample(self, generator: torch.Generator) -> tuple:
        """Draws a point; every point is equally likely."""
        return self.point([_draw(size, generator) for size in self.sizes])

    def mutate(self, point: tuple, generator: torch.Generator) -> tuple:
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

    def point(self, indices: Sequence[int]) -> tuple:
        """The point that takes option ``indices[i]`` of choice i.

        Raises:
            ValueError: Not one index for each choice, or one out of range.
        """
        if len(indices) != len(self.sizes):
            raise ValueError(f"{self.name} has {len(self.sizes)} choices, got {len(indices)}")
        options = []
        for choice, index in zip(self.choices, indices, strict=True):
            if not 0 <= index < len(choice.options):
                raise ValueError(
                    f"stage {choice.stage} of {self.name} has {len(choice.options)} options for "
                    f"{choice.name}, got index {index}"
                )
            options.append(choice.options[index])
        return self._assembled(options)

    def indices(self, point: tuple) -> tuple[int, ...]:
        """Which option each choice of a point takes, in the order of :attr:`choices`.

        Raises:
            ValueError: The point is not of this space; the message names the first misfit.
        """
        taken = zip(self.choices, self._taken(point), strict=True)
        return tuple(self._index(choice, option) for choice, option in taken)

    def __contains__(self, point: tuple) -> bool:
        try:
            self.indices(point)
        except ValueError:
            return False
        return True

    def _index(self, choice: Choice, option: Any) -> int:
        if option not in choice.options:
            offered = ", ".join(str(other) for other in choice.options)
            raise ValueError(
                f"stage {choice.stage} of {self.name} offers {choice.name} {offered}; "
                f"got {option!r}"
            )
        return choice.options.index(option)


def _draw(size: int, generator: torch.Generator) -> int:
    return int(torch.randint(size, (), generator=generator))
