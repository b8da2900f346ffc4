"""Augmentation policies: AutoAugment, RandAugment, TrivialAugment, drawn anew for every image.

kornia draws one change for a whole batch and only its strength for each image; the papers draw
both for each image, and so do we, by giving each change of a policy the images that drew it.

The changes themselves are kornia's, on floats in [0, 1]. They are not PIL's: brightness adds and
contrast multiplies without looking at the mean. Taught in chapter 7 (training).
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["PerImage", "make_policy"]

Change = Callable[[Tensor], Tensor]
SubPolicy = list[tuple[str, float, float]]

# kornia turns a shear by 180 into degrees, 54 of them for the papers' 0.3; what they mean is a
# shift of 0.3 pixels a row.
_SHEAR = math.degrees(math.atan(0.3)) / 180
# The papers' largest shift is 150 of 331 pixels; kornia's RandAugment has 0.1.
_TRANSLATE = 150 / 331
_RANGES = {
    "shear_x": _SHEAR,
    "shear_y": _SHEAR,
    "translate_x": _TRANSLATE,
    "translate_y": _TRANSLATE,
}


class PerImage:
    """Changes of which each image gets `draws`, one after the other, drawn with replacement.

    Args:
        changes: What maps images (B, 3, H, W) in [0, 1] to such images.
        draws: Changes an image.
    """

    def __init__(self, changes: Sequence[Change], *, draws: int = 1) -> None:
        self.changes = changes
        self.draws = draws

    def __call__(self, images: Tensor) -> Tensor:
        """images: RGB in [0, 1], (B, 3, H, W). Returns changed copies."""
        images = images.clone()
        for drawn in torch.randint(len(self.changes), (self.draws, len(images))):
            for number, change in enumerate(self.changes):
                rows = (drawn == number).nonzero().flatten().to(images.device)
                if len(rows):
                    images[rows] = change(images[rows])
        return images


def make_policy(name: str, *, ops: int = 2, magnitude: int = 9) -> PerImage:
    """A policy of :class:`mnv3lib.train.recipe.Augmentation`.

    Args:
        name: ``"auto_augment"`` (the one learned on ImageNet), ``"rand_augment"`` or
            ``"trivial_augment"``.
        ops: Changes an image, for RandAugment.
        magnitude: Strength in [0, 30], for RandAugment.

    Raises:
        ValueError: Unknown name.
    """
    if name not in _POLICIES:
        raise ValueError(f"unknown policy {name!r}; there are {', '.join(_POLICIES)}")
    return _POLICIES[name](ops, magnitude)


def _auto_augment(ops: int, magnitude: int) -> PerImage:
    """25 pairs of changes, each with its probability and strength."""
    from kornia.augmentation.auto import AutoAugment
    from kornia.augmentation.auto.autoaugment.autoaugment import imagenet_policy

    return PerImage([AutoAugment(policy=[pair]) for pair in imagenet_policy])


def _rand_augment(ops: int, magnitude: int) -> PerImage:
    """15 changes, all of one strength; those with a direction draw it."""
    from kornia.augmentation.auto import RandAugment
    from kornia.augmentation.auto.rand_augment.rand_augment import default_policy

    strength = min(max(magnitude, 1e-3), 30 - 1e-3)  # kornia leaves out 0 and 30 themselves
    return PerImage(
        [RandAugment(1, strength, policy=[_in_range(one)]) for one in default_policy], draws=ops
    )


def _trivial_augment(ops: int, magnitude: int) -> PerImage:
    """One of 12 changes, of any strength."""
    from kornia.augmentation.auto import TrivialAugment
    from kornia.augmentation.auto.trivial_augment.trivial_augment import default_policy

    return PerImage([TrivialAugment(policy=[_in_range(one)]) for one in default_policy])


def _in_range(changes: SubPolicy) -> SubPolicy:
    """A single change, in the range of the papers where kornia's differs."""
    ((name, low, high),) = changes
    high = _RANGES.get(name, high)
    return [(name, -high if name in _RANGES else low, high)]


_POLICIES: dict[str, Callable[[int, int], PerImage]] = {
    "auto_augment": _auto_augment,
    "rand_augment": _rand_augment,
    "trivial_augment": _trivial_augment,
}
