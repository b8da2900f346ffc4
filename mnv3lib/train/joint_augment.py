"""Training images whose targets lie in their pixels: flips with boxes or masks, and colours.

Detection and segmentation share this. What else :mod:`mnv3lib.train.augment` knows would move or
cover pixels without their boxes or labels, and is refused. Taught in chapters 10 and 11.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mnv3lib.train.augment import Augment
from mnv3lib.train.recipe import Augmentation, Recipe
from mnv3lib.train.sections import refuse_keys

__all__ = ["JointAugment"]

_ALLOWED = {"flip", "jitter"}


class JointAugment:
    """What a recipe does to the images of a batch, and which of them were flipped.

    Args:
        recipe: The recipe.
        classes: Names of the classes.

    Raises:
        ValueError: A key that would separate images from their targets.
    """

    def __init__(self, recipe: Recipe, classes: Sequence[str]) -> None:
        config, data = recipe.augment, recipe.data
        refused = {*Augmentation.model_fields} - _ALLOWED
        refuse_keys("augment", config, recipe.task, refused=refused)
        self._flip = config.flip
        colours = config.model_copy(update={"flip": 0.0})  # flips are told, so they are done here
        numbers = {"mean": data.mean, "std": data.std, "num_classes": len(classes)}
        self._augment = Augment(colours, **numbers)

    def train(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Augments a batch.

        Args:
            images: RGB, uint8, (N, 3, H, W).

        Returns:
            Normalised images, float32, and whether each was flipped, bool (N,). Targets must be
            flipped with them.
        """
        flips = (torch.rand(len(images)) < self._flip).to(images.device)
        images = torch.where(flips[:, None, None, None], images.flip(-1), images)
        images, _ = self._augment.train(images, flips)
        return images, flips

    def evaluate(self, images: Tensor) -> Tensor:
        """Normalises a batch, uint8 (N, 3, H, W), and changes nothing else."""
        return self._augment.evaluate(images)
