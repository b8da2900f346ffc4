"""Images that were made useless on purpose, with their labels kept.

Some of the images of a data set keep only four blobs of colour, so that nothing in them tells the
class. A loss that claims to learn less from useless images must be better off with them than one
that does not. Used in chapter 14.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from mnv3lib.data.base import ClassificationSet, generator_for

__all__ = ["Spoiled", "blurred"]

_SALT = 1  # second number after the seed; see mnv3lib.data.base.generator_for


class Spoiled(ClassificationSet):
    """A classification set, some images of which are blurred beyond recognition.

    Args:
        whole: The set; its images have one size.
        share: Share of its images to blur, at least 0 and at most 1. Which ones is the same for all
            seeds.

    Attributes:
        spoiled: Whether an image is blurred, bool, (N,).

    Raises:
        ValueError: A share out of range.
    """

    def __init__(self, whole: ClassificationSet, share: float) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"share must lie in [0, 1], got {share}")
        super().__init__(name=whole.name, classes=whole.classes, title=whole.title, seed=whole.seed)
        self._whole = whole
        self.labels = whole.labels
        order = torch.randperm(len(whole), generator=generator_for(0, _SALT, len(whole)))
        self.spoiled = torch.zeros(len(whole), dtype=torch.bool)
        self.spoiled[order[: round(share * len(whole))]] = True

    def set_epoch(self, epoch: int) -> None:
        """Says which epoch the next visits belong to."""
        super().set_epoch(epoch)
        self._whole.set_epoch(epoch)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, label = self._whole[index]
        return (blurred(image[None])[0] if self.spoiled[index] else image), label

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """A whole batch at once; PyTorch's ``DataLoader`` asks for it by this name."""
        if hasattr(self._whole, "__getitems__"):
            samples = self._whole.__getitems__(indices)
        else:
            samples = [self._whole[index] for index in indices]
        images, labels = self._whole.collate(samples)
        chosen = self.spoiled[torch.as_tensor(indices)]
        images = images.clone()
        images[chosen] = blurred(images[chosen])
        return images, labels


def blurred(images: Tensor) -> Tensor:
    """What is left of images after blurring them to 2x2 pixels.

    Args:
        images: uint8 (N, 3, H, W).

    Returns:
        Images of the same type and shape, made of the mean colours of the four quarters.
    """
    if not len(images):
        return images
    blobs = functional.adaptive_avg_pool2d(images.float(), 2)
    smooth = functional.interpolate(
        blobs, size=images.shape[-2:], mode="bilinear", align_corners=False
    )
    return smooth.round().to(torch.uint8)
