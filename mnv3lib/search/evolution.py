"""Regularised evolution: mutate the best of a few, let the oldest die (chapter 8).

Real, Aggarwal, Huang and Le, arXiv 1802.01548, Algorithm 1: a population of P networks starts at
random. Each cycle draws S of them with replacement, copies the best of these with one mutation,
evaluates the child, and removes the *oldest* of the population, however good it is. A network
that was lucky once dies out, unless its children are good as well: that is the regularisation.
"""

import torch
from torch import Tensor

from mnv3lib.search.encoding import check_codes, sample_codes
from mnv3lib.search.history import check_told
from mnv3lib.search.space import Space

__all__ = ["RegularizedEvolution", "mutate_codes"]


class RegularizedEvolution:
    """Ageing evolution through ask and tell.

    With batches of one it is the paper's algorithm. In larger batches all parents come from the
    same population, and the children enter it together. Points are random until P of them have
    been told.

    Args:
        space: The space to search; some choice must have two options.
        seed: Decides what is drawn.
        population: P, the networks alive. The paper's large runs have 100 (as we recall); the
            default is ours, for budgets of some hundred evaluations.
        tournament: S, the networks among which a parent is the best; 25 in those runs.

    Attributes:
        codes: The population, the oldest first, int64 (at most P, D).
        rewards: Its rewards, float64 (at most P,).

    Raises:
        ValueError: A population or tournament below 1, or a space with nothing to mutate.
    """

    def __init__(
        self, space: Space, seed: int, *, population: int = 50, tournament: int = 10
    ) -> None:
        if population < 1 or tournament < 1:
            raise ValueError(
                f"population and tournament must be at least 1, got {population} and {tournament}"
            )
        _open_choices(space)  # checks
        self.space = space
        self.population = population
        self.tournament = tournament
        self.generator = torch.Generator().manual_seed(seed)
        self.codes = torch.empty(0, len(space.sizes), dtype=torch.int64)
        self.rewards = torch.empty(0, dtype=torch.float64)

    def ask(self, count: int) -> Tensor:
        """Proposes random points at first, then children: codes, int64 (count, D)."""
        if len(self.codes) < self.population:
            return sample_codes(self.space, count, self.generator)
        drawn = torch.randint(
            self.population, (count, self.tournament), generator=self.generator
        )  # (count, S)
        winners = drawn.gather(1, self.rewards[drawn].argmax(1, keepdim=True)).squeeze(1)
        return mutate_codes(self.space, self.codes[winners], self.generator)

    def tell(self, codes: Tensor, rewards: Tensor) -> None:
        """Adds points to the population, of which the youngest P stay.

        Raises:
            ValueError: Codes of another space, or not one finite reward for each.
        """
        check_codes(self.space, codes)
        check_told(codes, rewards)
        self.codes = torch.cat([self.codes, codes])[-self.population :]
        self.rewards = torch.cat([self.rewards, rewards])[-self.population :]


def mutate_codes(space: Space, codes: Tensor, generator: torch.Generator) -> Tensor:
    """Changes exactly one choice of each point to another of its options.

    What :meth:`mnv3lib.search.choices.ChoiceSpace.mutate` does for a point, for many codes at once.

    Args:
        space: Their space.
        codes: Codes, int64 (N, D); they are left alone.
        generator: Source of randomness.

    Returns:
        Mutated codes, int64 (N, D).

    Raises:
        ValueError: See :func:`mnv3lib.search.encoding.check_codes`; or nothing can change.
    """
    check_codes(space, codes)
    open_choices = _open_choices(space)
    rows = torch.arange(len(codes))
    at = open_choices[torch.randint(len(open_choices), rows.shape, generator=generator)]
    sizes = torch.tensor(space.sizes)[at]
    steps = 1 + torch.randint(2**62, rows.shape, generator=generator) % (sizes - 1)
    mutated = codes.clone()
    mutated[rows, at] = (codes[rows, at] + steps) % sizes
    return mutated


def _open_choices(space: Space) -> Tensor:
    """Which choices have more than one option, int64."""
    found = [at for at, size in enumerate(space.sizes) if size > 1]
    if not found:
        raise ValueError(f"{space.name} has a single point: there is nothing to mutate")
    return torch.tensor(found)
