"""Boxes of several images as one batch: tensors of one size, padded.

Images hold different numbers of objects. A batch is as wide as its fullest image, and a label of
-1 marks what is padding, so that boxes move to a device and are flipped as one tensor. Used in
chapter 10 (detection).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

__all__ = ["PADDING", "BoxTargets", "collate_boxes"]

PADDING = -1


@dataclass(frozen=True)
class BoxTargets:
    """What is on the images of a batch.

    Attributes:
        boxes: Corners x0, y0, x1, y1 in pixels of the image that the network sees, (B, M, 4).
        labels: Class of each box, ``PADDING`` where there is none, int64 (B, M).
        crowd: Boxes around many objects, which nobody counted, bool (B, M).
        image_ids: The data set's number of each image, int64 (B,).
        sizes: Width and height of each image before it was resized, int64 (B, 2).
    """

    boxes: Tensor
    labels: Tensor
    crowd: Tensor
    image_ids: Tensor
    sizes: Tensor

    def __len__(self) -> int:
        return len(self.image_ids)

    def to(self, device: torch.device | str) -> "BoxTargets":
        """The same on another device."""
        return BoxTargets(*(getattr(self, field.name).to(device) for field in fields(self)))

    def flipped(self, chosen: Tensor, width: int) -> "BoxTargets":
        """Mirrors the boxes of some images, left to right.

        Args:
            chosen: Which images, bool (B,).
            width: Width of the images in pixels.
        """
        x0, y0, x1, y1 = self.boxes.unbind(-1)
        mirrored = torch.stack([width - x1, y0, width - x0, y1], dim=-1)
        return replace(self, boxes=torch.where(chosen[:, None, None], mirrored, self.boxes))

    def objects(self, index: int) -> tuple[Tensor, Tensor]:
        """What a network is to find on an image: boxes (N, 4) and labels (N,), without crowds."""
        kept = (self.labels[index] != PADDING) & ~self.crowd[index]
        return self.boxes[index, kept], self.labels[index, kept]

    def check_labels(self, classes: Sequence[str]) -> None:
        """Raises a ValueError if a label is the number of no class."""
        wrong = self.labels[(self.labels >= len(classes)) | (self.labels < PADDING)]
        if len(wrong):
            raise ValueError(
                f"a box has the label {int(wrong[0])}, but the classes are 0 to "
                f"{len(classes) - 1}: {', '.join(classes)}"
            )


def collate_boxes(targets: Sequence[Mapping[str, Any]]) -> BoxTargets:
    """Makes a batch of the targets of images.

    Args:
        targets: Of each image ``boxes`` (N, 4), ``labels`` (N,), ``crowd`` (N,), ``image_id`` and
            ``size``, width and height before it was resized; see :mod:`mnv3lib.data.box_views`.

    Raises:
        ValueError: No image, or boxes, labels and crowd marks of different number.

    Example:
        >>> one = {"boxes": torch.zeros(1, 4), "labels": torch.tensor([2]), "image_id": 7}
        >>> one |= {"crowd": torch.tensor([False]), "size": (640, 480)}
        >>> none = {"boxes": torch.zeros(0, 4), "labels": torch.tensor([]).long(), "image_id": 8}
        >>> none |= {"crowd": torch.tensor([]).bool(), "size": (640, 480)}
        >>> collate_boxes([one, none]).labels.tolist()
        [[2], [-1]]
    """
    if not targets:
        raise ValueError("a batch needs at least one image, got an empty list")
    for target in targets:
        _check(target)
    columns = {key: [target[key] for target in targets] for key in targets[0]}
    return BoxTargets(
        boxes=pad_sequence(columns["boxes"], batch_first=True),
        labels=pad_sequence(columns["labels"], batch_first=True, padding_value=PADDING),
        crowd=pad_sequence(columns["crowd"], batch_first=True),
        image_ids=torch.tensor(columns["image_id"]),
        sizes=torch.tensor(columns["size"]),
    )


def _check(target: Mapping[str, Any]) -> None:
    """Raises a ValueError if an image has more labels than boxes, or the like."""
    expected = {"boxes": (len(target["boxes"]), 4)}
    expected |= dict.fromkeys(("labels", "crowd"), expected["boxes"][:1])
    for key, shape in expected.items():
        if tuple(target[key].shape) != shape:
            raise ValueError(
                f"image {target['image_id']}: {key} must be of shape {shape}, got "
                f"{tuple(target[key].shape)}"
            )
