"""From raw outputs to boxes on the image (chapter 10).

Scores are computed, the best candidates of each class are decoded, duplicates are dropped class
by class, and the best of what is left are the answer. The published settings:

==================== ============= ======================
..                   TensorFlow    torchvision
==================== ============= ======================
scores               sigmoid       softmax
threshold            1e-8          0.001
candidates a class   all           300
overlap              0.6           0.55
detections an image  100           300
==================== ============= ======================

COCO counts the best 100 of an image, whatever is returned.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mnv3lib.heads.box_coder import decode
from mnv3lib.heads.boxes import clip_boxes
from mnv3lib.heads.detection_loss import LossKind
from mnv3lib.heads.nms import batched_nms
from mnv3lib.heads.predictions import Predictions

__all__ = ["Detections", "class_scores", "detect"]


@dataclass(frozen=True)
class Detections:
    """What was found on an image, best score first.

    Attributes:
        boxes: Corners in pixels, inside of the image; (D, 4).
        scores: From 0 to 1, (D,).
        labels: Classes from 0, without the background; (D,).
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.scores)


# A detector's scores are what its loss has trained: columns on their own, or against each other.
_SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "focal": torch.sigmoid,
    "hard_negatives": lambda logits: torch.softmax(logits, dim=-1),
}


def class_scores(class_logits: Tensor, kind: LossKind) -> Tensor:
    """Scores of the classes, the background left out.

    Args:
        class_logits: Column 0 is the background, (..., classes + 1).
        kind: The loss that the detector was trained with.

    Returns:
        (..., classes).

    Raises:
        ValueError: Unknown kind.
    """
    if kind not in _SCORES:
        raise ValueError(f"unknown loss {kind!r}; choose one of {list(_SCORES)}")
    return _SCORES[kind](class_logits)[..., 1:]


@torch.no_grad()
def detect(
    predictions: Predictions,
    anchors: Tensor,
    image_size: int,
    *,
    kind: LossKind = "focal",
    score_threshold: float = 0.001,
    nms_iou: float = 0.6,
    max_detections: int = 100,
    candidates: int = 300,
) -> list[Detections]:
    """Turns the outputs of a detector into boxes.

    Args:
        predictions: Of N images.
        anchors: Corners, (A, 4), of this image size.
        image_size: Side of the square images in pixels; boxes are clipped to it.
        kind: The loss that the detector was trained with.
        score_threshold: Scores have to be above it.
        nms_iou: Of two boxes of a class with more overlap, the better one stays.
        max_detections: At most that many an image, over all classes.
        candidates: At most that many of a class go into suppression, an image.

    Returns:
        The detections of each image, N of them.

    Raises:
        ValueError: Unknown kind, a threshold outside of 0 to 1, or anchors of another size.

    Example:
        >>> logits, codes = torch.tensor([[[0.0, 3.0], [0.0, -9.0]]]), torch.zeros(1, 2, 4)
        >>> anchors = torch.tensor([[-4.0, 2, 8, 8], [0.0, 0, 4, 4]])
        >>> (found,) = detect(Predictions(logits, codes), anchors, 10, score_threshold=0.5)
        >>> found.boxes, found.labels
        (tensor([[0., 2., 8., 8.]]), tensor([0]))
    """
    logits, codes = predictions
    if logits.shape[1] != len(anchors):
        raise ValueError(
            f"the predictions are for {logits.shape[1]} anchors, not for {len(anchors)}; "
            "take those of the images' size, as SSDLite.anchors_for gives them"
        )
    scores = class_scores(logits, kind)  # (N, A, K)
    limits = {"score_threshold": score_threshold, "candidates": candidates}
    found = []
    for own_scores, own_codes in zip(scores, codes, strict=True):
        index, labels, kept_scores = _candidates(own_scores, **limits)
        boxes = decode(own_codes[index], anchors[index])
        boxes = clip_boxes(boxes, (image_size, image_size))
        best = _suppress(boxes, kept_scores, labels, nms_iou, max_detections)
        found.append(Detections(boxes[best], kept_scores[best], labels[best]))
    return found


def _candidates(
    scores: Tensor, *, score_threshold: float, candidates: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Anchor, class and score of what is worth decoding on an image; scores are (A, K)."""
    best, anchor = scores.topk(min(candidates, len(scores)), dim=0)  # (candidates, K)
    label = torch.arange(scores.shape[1], device=scores.device).expand_as(anchor)
    wanted = best > score_threshold
    return anchor[wanted], label[wanted], best[wanted]


def _suppress(boxes: Tensor, scores: Tensor, labels: Tensor, iou: float, most: int) -> Tensor:
    """The first of :func:`batched_nms`, `most` at most, from as few candidates as give that many.

    What is kept depends on better boxes alone, so the worse ones need not be looked at.
    """
    best_first = scores.argsort(descending=True, stable=True)
    size = 4 * most
    while True:
        part = best_first[:size]
        kept = part[batched_nms(boxes[part], scores[part], labels[part], iou)][:most]
        if len(kept) == most or size >= len(best_first):
            return kept
        size *= 4
