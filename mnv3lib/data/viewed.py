"""A data set whose images and targets are changed together before they become a batch.

When an image is resized or cut, its boxes or its mask must move with it, so such a change is a
function of both: a *joint view*. Used in chapters 10 and 11.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from mnv3lib.data.base import ImageDataset

__all__ = ["JointView", "Viewed", "stack"]

JointView = Callable[[Tensor, Any, Generator], tuple[Tensor, Any]]


def stack(tensors: Sequence[Tensor], what: str) -> Tensor:
    """Makes one tensor of several of one shape.

    Args:
        tensors: At least one.
        what: What they are, in the plural, for the error.

    Raises:
        ValueError: There are none, or they differ in shape.

    Example:
        >>> stack([torch.zeros(2), torch.ones(2)], "masks").shape
        torch.Size([2, 2])
    """
    shapes = sorted({tuple(tensor.shape) for tensor in tensors})
    if len(shapes) != 1:
        found = f"have the shapes {', '.join(map(str, shapes))}" if shapes else "are missing"
        raise ValueError(f"the {what} of a batch {found}; a batch needs one shape for all")
    return torch.stack(list(tensors))


def _stack_masks(targets: Sequence[Tensor]) -> Tensor:
    return stack(targets, "masks")


class Viewed(ImageDataset):
    """A data set, looked at through a joint view.

    Args:
        whole: Pairs of an image, uint8 (3, H, W), and its target.
        view: Makes a pair of an image of fixed size and its target out of each, and of a
            generator, which alone decides what is random.
        seed: Seed of the view's random choices; with the epoch and the index of the image it
            decides them.
        collate_targets: Makes a batch of the targets; the default stacks tensors of one shape.
    """

    def __init__(
        self,
        whole: ImageDataset,
        view: JointView,
        *,
        seed: int = 0,
        collate_targets: Callable[[Sequence[Any]], Any] = _stack_masks,
    ) -> None:
        super().__init__(name=whole.name, classes=whole.classes, title=whole.title, seed=seed)
        self.task = whole.task
        self._whole, self._view, self._collate_targets = whole, view, collate_targets

    def set_epoch(self, epoch: int) -> None:
        """Says which epoch the next visits belong to."""
        super().set_epoch(epoch)
        self._whole.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self._whole)

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        image, target = self._whole[index]
        return self._view(image, target, self.generator(index))

    def collate(self, samples: Any) -> tuple[Tensor, Any]:
        """Makes a batch of pairs.

        Returns:
            Images, uint8 (B, 3, H, W), and the targets, collated as asked for.

        Raises:
            ValueError: No pairs, or images of several sizes.
        """
        images = stack([image for image, _ in samples], "images")
        return images, self._collate_targets([target for _, target in samples])
