"""The order of images, cut into steps and micro-batches, as a function of the seed alone.

A step's batch consists of micro-batches. One process takes them in turn, several processes share
them: which process computes a micro-batch changes neither its images nor its random choices, so
the result depends on the recipe and the seed, not on the number of processes. Nothing about the
order has to be stored either: a resumed run computes it again. Taught in chapter 7 (training).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mnv3lib.data.base import ImageDataset, generator_for
from mnv3lib.data.loading import load_batches

__all__ = ["Plan", "micro_batches", "seed_of_micro_batch"]

# First numbers after the seed, so that order, weights and micro-batches never share random numbers.
_ORDER, _MICRO_BATCH = 1, 2


@dataclass(frozen=True)
class Plan:
    """Which images belong to which step.

    Attributes:
        images: Images of the data set.
        batch_size: Images a step, over all processes.
        parts: Micro-batches a step.
        seed: Seed of the order.
        subset: Train on that many images, the same for all seeds; all if None.

    Raises:
        ValueError: The numbers do not fit each other.
    """

    images: int
    batch_size: int
    parts: int = 1
    seed: int = 0
    subset: int | None = None

    def __post_init__(self) -> None:
        if self.batch_size % self.parts:
            raise ValueError(
                f"a batch of {self.batch_size} images cannot be cut into {self.parts} equal "
                "micro-batches; choose train.batch_size as a multiple"
            )
        if self.subset is not None and self.subset > self.images:
            raise ValueError(f"data.subset is {self.subset}, but there are {self.images} images")
        if self.steps == 0:
            raise ValueError(
                f"{self.subset or self.images} training images make no batch of "
                f"{self.batch_size}; choose a smaller train.batch_size"
            )

    @property
    def steps(self) -> int:
        """Steps an epoch; images that do not fill a batch wait for another epoch."""
        return (self.subset or self.images) // self.batch_size

    def order(self, epoch: int) -> Tensor:
        """Indices of an epoch's images, int64 (steps, parts, images of a micro-batch)."""
        chosen = torch.arange(self.images)
        if self.subset is not None:
            chosen = torch.randperm(self.images, generator=generator_for(0, _ORDER))[: self.subset]
        shuffle = torch.randperm(len(chosen), generator=generator_for(self.seed, _ORDER, epoch))
        kept = chosen[shuffle][: self.steps * self.batch_size]
        return kept.view(self.steps, self.parts, self.batch_size // self.parts)


def seed_of_micro_batch(seed: int, step: int, part: int) -> int:
    """Seed of everything random in a micro-batch: augmentation, dropout, stochastic depth.

    Args:
        seed: Seed of the run.
        step: Step, counted from the start of the run.
        part: Position of the micro-batch in its step.
    """
    return generator_for(seed, _MICRO_BATCH, step, part).initial_seed()


def micro_batches(
    dataset: ImageDataset,
    plan: Plan,
    epoch: int,
    *,
    first_step: int = 0,
    process: int = 0,
    processes: int = 1,
    workers: int = 0,
) -> Iterator[list[tuple[int, Tensor, Tensor]]]:
    """Loads the micro-batches of an epoch that belong to one process.

    Args:
        dataset: The training images.
        plan: Their order.
        epoch: The epoch, which also decides the data set's random choices.
        first_step: Step of the epoch to begin with, for a run that resumes.
        process: Number of this process.
        processes: How many there are; they share the parts of each step.
        workers: Processes that load images; 0 loads in this one.

    Yields:
        For each step its micro-batches as (part, images, targets).
    """
    dataset.set_epoch(epoch)
    own = range(process, plan.parts, processes)
    order = plan.order(epoch)[first_step:, list(own)]  # (steps, own parts, images)
    batches = load_batches(dataset, order.flatten(0, 1).tolist(), workers=workers)
    for _ in range(len(order)):
        yield [(part, *next(batches)) for part in own]
