"""What a detector is trained on: two losses for classes, one for boxes (chapter 10).

Nearly all anchors are background. Either they all count, but the easy ones next to nothing (focal
loss), or only the hardest few count (hard negatives). The published codes normalise differently,
so a learning rate belongs to one of them:

====================== =============================== ==============================
..                     ``"focal"`` (TensorFlow)        ``"hard_negatives"`` (torchvision)
====================== =============================== ==============================
classes                a sigmoid each                  softmax, column 0 is background
background anchors     all                             three hardest per matched one
matched anchors, N     of the batch, at least 1        of the batch, at least 1
loss of classes        sum / N                         sum / N
loss of boxes          sum / 4 N                       sum / N
image without objects  teaches 'nothing here'          **counts nothing at all**
====================== =============================== ==============================
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mnv3lib.heads.box_coder import encode
from mnv3lib.heads.boxes import check_boxes
from mnv3lib.heads.matching import BACKGROUND, match_anchors
from mnv3lib.heads.predictions import Predictions

__all__ = [
    "DetectionLoss",
    "LossKind",
    "detection_loss",
    "focal_loss",
    "hard_negative_loss",
    "smooth_l1",
]

LossKind = Literal["focal", "hard_negatives"]


class DetectionLoss(NamedTuple):
    """The two parts of the loss; their sum is what is minimised.

    Attributes:
        classification: Loss of the classes, a scalar.
        localisation: Loss of the boxes, a scalar.
    """

    classification: Tensor
    localisation: Tensor


def focal_loss(logits: Tensor, targets: Tensor, alpha: float = 0.75, gamma: float = 2.0) -> Tensor:
    """Cross-entropy that fades out where the network is right already.

    With p the probability given to the truth, the loss is -(1 - p)^gamma ln p, weighted with
    alpha where the target is 1 and with 1 - alpha where it is 0.

    Source: arXiv 1708.02002, whose alpha is 0.25; MobileNetV3's detectors use 0.75.

    Args:
        logits: Any shape.
        targets: 0 or 1, the same shape.
        alpha: Weight of the ones.
        gamma: 0 is plain cross-entropy.

    Returns:
        The loss of each entry, the same shape.

    Example:
        >>> focal_loss(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 1.0]))
        tensor([0.1300, 0.0014])
    """
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    missed = torch.sigmoid(logits * (1 - 2 * targets))  # 1 - p
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    return weight * missed**gamma * cross_entropy


def hard_negative_loss(logits: Tensor, classes: Tensor, negatives: int = 3) -> Tensor:
    """Cross-entropy of the matched anchors and of those background anchors that look least like it.

    Args:
        logits: (N, A, columns), column 0 the background.
        classes: Column of each anchor's class, (N, A).
        negatives: Background anchors that count, for each matched one of the same image.

    Returns:
        The loss of each anchor, 0 for those that do not count; (N, A).
    """
    loss = F.cross_entropy(logits.transpose(1, 2), classes, reduction="none")
    matched = classes > 0
    hardness = loss.detach().masked_fill(matched, -1.0)  # cross-entropy is never below 0
    rank = hardness.argsort(dim=1, descending=True).argsort(dim=1)  # 0 is the hardest
    is_hard = rank < negatives * matched.sum(dim=1, keepdim=True)
    return loss * (matched | (is_hard & ~matched))


def smooth_l1(codes: Tensor, targets: Tensor) -> Tensor:
    """Half of the square up to a difference of 1, then linear; one value an entry."""
    return F.smooth_l1_loss(codes, targets, beta=1.0, reduction="none")


def _focal(logits: Tensor, classes: Tensor) -> Tensor:
    targets = F.one_hot(classes, logits.shape[-1]).to(logits.dtype)
    targets[..., 0] = 0  # the background column is never the target, and dropped in the end
    return focal_loss(logits, targets).sum()


def _hard_negatives(logits: Tensor, classes: Tensor) -> Tensor:
    return hard_negative_loss(logits, classes).sum()


# Loss of the classes, summed, and what the loss of the boxes is divided by besides N.
_KINDS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], int]] = {
    "focal": (_focal, 4),
    "hard_negatives": (_hard_negatives, 1),
}


def detection_loss(
    predictions: Predictions,
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    anchors: Tensor,
    kind: LossKind = "focal",
    *,
    iou: float = 0.5,
) -> DetectionLoss:
    """The loss of a batch of N images.

    Args:
        predictions: What the detector returns.
        boxes: Objects of each image in pixels of the network's input, N tensors (G, 4).
        labels: Their classes, from 0, without background; N tensors (G,) of integers.
        anchors: Corners, (A, 4), of that input size.
        kind: ``"focal"`` or ``"hard_negatives"``; see the module.
        iou: Least overlap of a match, see :func:`mnv3lib.heads.matching.match_anchors`.

    Returns:
        The two parts, scalars.

    Raises:
        ValueError: Unknown kind, lists of other lengths, or a class that the detector lacks.
    """
    if kind not in _KINDS:
        raise ValueError(f"unknown loss {kind!r}; choose one of {list(_KINDS)}")
    logits, codes = predictions
    _check_objects(boxes, labels, len(logits), logits.shape[-1] - 1)
    matches = torch.stack([match_anchors(own, anchors, iou) for own in boxes])  # (N, A)
    classes = torch.stack(
        [_classes(match, own) for match, own in zip(matches, labels, strict=True)]
    )
    matched = matches != BACKGROUND
    number = matched.sum().clamp(min=1)
    classification, codes_per_box = _KINDS[kind]
    targets = _code_targets(matches, boxes, anchors).to(codes.dtype)
    localisation = smooth_l1(codes[matched], targets).sum()
    return DetectionLoss(
        classification(logits, classes) / number, localisation / (codes_per_box * number)
    )


def _classes(match: Tensor, labels: Tensor) -> Tensor:
    """Column of each anchor's class: 0 for background, else label + 1; (A,)."""
    columns = torch.cat([labels.new_zeros(1, dtype=torch.long), labels.long() + 1])
    return columns[match + 1]


def _code_targets(matches: Tensor, boxes: Sequence[Tensor], anchors: Tensor) -> Tensor:
    """Codes of the matched anchors of all images, (matched, 4)."""
    codes = []
    for match, own in zip(matches, boxes, strict=True):
        taken = match != BACKGROUND
        codes.append(encode(own[match[taken]], anchors[taken]))
    return torch.cat(codes)


def _check_objects(
    boxes: Sequence[Tensor], labels: Sequence[Tensor], images: int, num_classes: int
) -> None:
    if not len(boxes) == len(labels) == images:
        raise ValueError(
            f"{images} images need as many tensors of boxes and labels, "
            f"got {len(boxes)} and {len(labels)}"
        )
    for own, classes in zip(boxes, labels, strict=True):
        check_boxes(own)
        if len(own) != len(classes):
            raise ValueError(f"{len(own)} boxes of an image have {len(classes)} labels")
    every = torch.cat(list(labels))
    if len(every) and not 0 <= int(every.min()) <= int(every.max()) < num_classes:
        raise ValueError(
            f"labels must be 0 to {num_classes - 1}, "
            f"got {int(every.min())} to {int(every.max())}; the background has no label"
        )
