"""Learning rates over the epochs: warm-up, the schedules, and timm's noise.

A schedule is a pure function of the epoch, so a resumed run needs no state for it. Epochs count
from 0 with the warm-up among them, and need not be whole: at step s of n an epoch, epoch = s / n.
Taught in chapter 7 (training).
"""

import math
from collections.abc import Callable

import torch

from mnv3lib.train.recipe import Schedule

__all__ = ["learning_rate", "noise_factor"]

_LARGEST_NOISE = 0.67


def learning_rate(
    schedule: Schedule, base_lr: float, epoch: float, epochs: int, *, seed: int = 42
) -> float:
    """The learning rate at a moment of training.

    Args:
        schedule: Section of the recipe.
        base_lr: Learning rate before the schedule.
        epoch: Epochs done, in [0, epochs], whole or not.
        epochs: Epochs of the whole training.
        seed: Seed of the noise; timm's by default.

    Raises:
        ValueError: The epoch is negative or past the end.
    """
    if not 0 <= epoch <= epochs:
        raise ValueError(f"epoch must lie in [0, {epochs}], the training, got {epoch}")
    if epoch < schedule.warmup_epochs:
        rise = epoch / schedule.warmup_epochs
        return base_lr * (schedule.warmup_start + (1 - schedule.warmup_start) * rise)
    factor = _SHAPES[schedule.name](schedule, epoch, epochs)
    if schedule.noise is not None:
        start, end = (share * epochs for share in schedule.noise)
        if start <= math.floor(epoch) < end:
            factor *= noise_factor(math.floor(epoch), seed=seed)
    return base_lr * factor


def noise_factor(epoch: int, *, seed: int = 42) -> float:
    """The 1 + n of an epoch: n is standard normal, drawn again until below 0.67 in size.

    As timm, the draws are seeded by ``seed + epoch``, so an epoch has the same noise wherever the
    training was resumed.
    """
    generator = torch.Generator().manual_seed(seed + epoch)
    while True:
        noise = torch.randn((), generator=generator).item()
        if abs(noise) < _LARGEST_NOISE:
            return 1 + noise


def _constant(schedule: Schedule, epoch: float, epochs: int) -> float:
    return 1.0


def _cosine(schedule: Schedule, epoch: float, epochs: int) -> float:
    """Half a wave, from the base rate at the end of the warm-up to `final` at the end."""
    length = epochs - schedule.warmup_epochs
    done = (epoch - schedule.warmup_epochs) / length if length > 0 else 0.0
    return schedule.final + (1 - schedule.final) * (1 + math.cos(math.pi * done)) / 2


def _step(schedule: Schedule, epoch: float, epochs: int) -> float:
    """Counted from epoch 0, warm-up or not, as timm and torchvision do.

    They set the rate once an epoch: with 2.4 epochs a step theirs falls at 3, 5, 8 and ours at
    2.4, 4.8, 7.2, which is the same at every whole epoch.
    """
    return schedule.gamma ** math.floor(epoch / schedule.every)


def _milestones(schedule: Schedule, epoch: float, epochs: int) -> float:
    """As many factors as milestones have passed; PyTorch's MultiStepLR."""
    return schedule.gamma ** sum(epoch >= milestone for milestone in schedule.milestones)


def _exponential(schedule: Schedule, epoch: float, epochs: int) -> float:
    """Counted from the end of the warm-up, so that there is no jump."""
    return schedule.gamma ** ((epoch - schedule.warmup_epochs) / schedule.every)


_SHAPES: dict[str, Callable[[Schedule, float, int], float]] = {
    "constant": _constant,
    "cosine": _cosine,
    "step": _step,
    "milestones": _milestones,
    "exponential": _exponential,
}
