"""What is counted while a segmenter is evaluated: overlap with the masks, everywhere and at edges.

All is measured on the masks' own pixels, to which logits are resized. Pixels of no class count
nowhere. Taught in chapter 11 (segmentation).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mnv3lib.data.mask_folder import VOID

__all__ = ["SegmentationMetrics", "class_overlaps", "near_border"]

_DISTANCE = 0.005  # of the image's diagonal, for the boundary


def near_border(labels: Tensor, distance: int) -> Tensor:
    """Which pixels lie near a border between two labels.

    Args:
        labels: (N, H, W).
        distance: Steps in any of the eight directions, at least 1. A pixel is near if one of
            another label can be reached. The edge of the image is no border.

    Returns:
        bool (N, H, W).

    Example:
        >>> near_border(torch.tensor([[[5, 5, 5, 9]]]), 1).tolist()
        [[[False, False, True, True]]]
    """
    values = labels.float()
    return _largest_around(values, distance) != -_largest_around(-values, distance)


def class_overlaps(confusion: Tensor) -> Tensor:
    """Intersection over union of each class.

    Args:
        confusion: How many pixels of a class (row) were taken for a class (column), (K, K).

    Returns:
        float64 (K,), NaN for classes that neither occur nor were predicted.

    Example:
        >>> class_overlaps(torch.tensor([[3, 1, 0], [0, 4, 0], [0, 0, 0]])).tolist()
        [0.75, 0.8, nan]
    """
    shared = confusion.diagonal().double()
    return shared / (confusion.sum(0) + confusion.sum(1) - shared)


class SegmentationMetrics:
    """Mean IoU, boundary IoU and pixel accuracy of logits against masks.

    Boundary IoU (Cheng et al., 2021, arXiv 2103.16562) is the IoU of what lies near the border of
    each class, in the mask and in the prediction: it shows how well edges are met, which the
    insides of large regions hide from the mean IoU. Near is 0.5 % of the image's diagonal here, 3
    pixels for CamVid and 11 for Cityscapes; the paper takes 2 % for single objects. Both are
    means over the classes that occur in the masks or in the predictions.

    Args:
        num_classes: Classes.

    Attributes:
        confusion: How many pixels of a class (row) were taken for a class (column), int64 (K, K).
        borders: Pixels of each class near borders: in both, in the masks, in the predictions;
            int64 (3, K).
        images: Images counted.
    """

    def __init__(self, num_classes: int) -> None:
        self.confusion = torch.zeros(num_classes, num_classes, dtype=torch.int64)
        self.borders = torch.zeros(3, num_classes, dtype=torch.int64)
        self.images = 0

    @torch.no_grad()
    def update(self, logits: Tensor, masks: Tensor) -> None:
        """Adds a batch.

        Args:
            logits: (N, K, h, w), of any size, on any device.
            masks: Classes or 255, (N, H, W).

        Raises:
            ValueError: Another number of classes or images, or a mask with a class that there is
                not.
        """
        self._check(logits, masks)
        masks = masks.long()
        if logits.shape[-2:] != masks.shape[-2:]:
            logits = F.interpolate(logits, masks.shape[-2:], mode="bilinear", align_corners=False)
        # Where the mask says nothing the prediction cannot be wrong, nor have a border there.
        predicted = torch.where(masks == VOID, VOID, logits.argmax(1))
        self._count_pixels(masks, predicted)
        self._count_borders(masks, predicted)
        self.images += len(masks)

    def _count_pixels(self, masks: Tensor, predicted: Tensor) -> None:
        classes, known = len(self.confusion), masks != VOID
        pairs = masks[known] * classes + predicted[known]
        counts = torch.bincount(pairs, minlength=classes**2)
        self.confusion += counts.view(classes, classes).cpu()

    def _count_borders(self, masks: Tensor, predicted: Tensor) -> None:
        classes = len(self.confusion)
        distance = max(1, round(_DISTANCE * math.hypot(*masks.shape[-2:])))
        true, found = (
            torch.where(near_border(labels, distance), labels, VOID)
            for labels in (masks, predicted)
        )
        both = torch.where(true == found, true, VOID)
        for row, labels in enumerate((both, true, found)):
            counts = torch.bincount(labels[labels != VOID], minlength=classes)
            self.borders[row] += counts.cpu()

    def merge(self, other: "SegmentationMetrics") -> None:
        """Adds what other metrics of the same classes counted."""
        self.confusion += other.confusion
        self.borders += other.borders
        self.images += other.images

    def compute(self) -> dict[str, float]:
        """The numbers by name.

        Returns:
            ``miou``, ``boundary_iou`` and ``pixel_accuracy`` as shares, and ``images``. Without any
            border, ``boundary_iou`` is 1.

        Raises:
            ValueError: No pixel with a class was counted.
        """
        pixels = int(self.confusion.sum())
        if not pixels:
            raise ValueError(
                f"no pixel with a class was counted in {self.images} images: call update with a "
                "batch first, and check that the masks are not void"
            )
        borders = self._border_overlaps()
        return {
            "miou": float(class_overlaps(self.confusion).nanmean()),
            "boundary_iou": 1.0 if borders.isnan().all() else float(borders.nanmean()),
            "pixel_accuracy": float(self.confusion.diagonal().sum()) / pixels,
            "images": self.images,
        }

    def details(self) -> dict[str, list]:
        """What a figure needs, ready for JSON.

        Returns:
            ``iou`` and ``class_boundary_iou``, one number a class or None where there is none, and
            ``confusion``, rows of pixels.
        """
        return {
            "iou": _or_none(class_overlaps(self.confusion)),
            "class_boundary_iou": _or_none(self._border_overlaps()),
            "confusion": self.confusion.tolist(),
        }

    def _border_overlaps(self) -> Tensor:
        both, true, found = self.borders.double()
        return both / (true + found - both)

    def _check(self, logits: Tensor, masks: Tensor) -> None:
        classes = len(self.confusion)
        if logits.ndim != 4 or masks.ndim != 3 or logits.shape[:2] != (len(masks), classes):
            raise ValueError(
                f"logits must be (N, {classes}, h, w) and masks (N, H, W), got "
                f"{tuple(logits.shape)} and {tuple(masks.shape)}"
            )
        wrong = (masks != VOID) & ((masks < 0) | (masks >= classes))
        if bool(wrong.any()):
            raise ValueError(
                f"a mask holds the class {int(masks[wrong][0])}; classes are 0 to {classes - 1}, "
                f"and {VOID} for none"
            )


def _largest_around(values: Tensor, distance: int) -> Tensor:
    """The largest value in a square window around each pixel, rows first and then columns."""
    side = 2 * distance + 1
    along = F.max_pool2d(values, (1, side), stride=1, padding=(0, distance))
    return F.max_pool2d(along, (side, 1), stride=1, padding=(distance, 0))


def _or_none(values: Tensor) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]
