"""A part of a data set, and the cut of one into two. Used in chapter 8 (search).

What is chosen by its accuracy, such as a network among a thousand, looks better on the images that
chose it than on any others. So a search sets images aside from the training split, and the test
split is asked once, at the end.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mnv3lib.data.base import ImageDataset, generator_for

__all__ = ["Part", "held_out_indices"]


class Part(ImageDataset):
    """Some images of a data set, in a given order.

    Args:
        whole: The data set.
        indices: Which of its images, int64 (N,).

    Raises:
        ValueError: An index that the data set does not have.
    """

    def __init__(self, whole: ImageDataset, indices: Tensor) -> None:
        super().__init__(name=whole.name, classes=whole.classes, title=whole.title, seed=whole.seed)
        outside = indices[(indices < 0) | (indices >= len(whole))]
        if len(outside):
            raise ValueError(f"{whole.name} has {len(whole)} images, none at {outside[0].item()}")
        self.task = whole.task
        self._whole, self._indices = whole, indices

    def set_epoch(self, epoch: int) -> None:
        """Says which epoch the next visits belong to."""
        super().set_epoch(epoch)
        self._whole.set_epoch(epoch)

    def collate(self, samples: Any) -> tuple[Any, Any]:
        """Makes a batch as the whole data set does."""
        return self._whole.collate(samples)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._whole[int(self._indices[index])]

    def __getitems__(self, indices: Sequence[int]) -> Any:
        """A whole batch at once, where the data set can give one; else its samples."""
        chosen = self._indices[torch.as_tensor(indices)].tolist()
        batch = getattr(self._whole, "__getitems__", None)
        return batch(chosen) if batch else [self._whole[index] for index in chosen]


def held_out_indices(images: int, held_out: int) -> tuple[Tensor, Tensor]:
    """Cuts the numbers of all images into two, the same way every time.

    Args:
        images: How many there are.
        held_out: How many to set aside; at least 1, fewer than all.

    Returns:
        Those to train on and those set aside, int64, both in ascending order.

    Raises:
        ValueError: Nothing would be left on one side.
    """
    if not 0 < held_out < images:
        raise ValueError(f"cannot set {held_out} of {images} images aside")
    order = torch.randperm(images, generator=generator_for(0, images))
    return order[held_out:].sort().values, order[:held_out].sort().values
