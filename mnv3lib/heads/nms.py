"""Non-maximum suppression without a loop over boxes (chapter 10).

A detector answers with many boxes for one object. Greedy suppression goes through them from the
best score down and drops each that overlaps a box kept before it. As a rule rather than as a loop:

    *a box is kept if and only if no kept box with a better score overlaps it.*

That rule has exactly one solution, and iterating finds it. Start with all boxes kept and apply the
rule to all of them at once: the best box is right from the start, after one round every box that
depends on it alone is right, and so on. As many rounds as the longest chain of boxes that overlap
suffice, seldom more than ten, where the loop takes one for each box.
"""

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mnv3lib.heads.boxes import box_iou, check_boxes

__all__ = ["batched_nms", "nms"]

# Boxes that are decided at once. Overlaps are computed for pairs within a block, and of its boxes
# with those kept before: blocks bound the memory, and a small block stays in the processor's cache.
_BLOCK = 128


def nms(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    """Drops every box that overlaps a better one.

    Args:
        boxes: Corners, (N, 4).
        scores: Of equal scores, the box that comes first counts as the better one; (N,).
        iou: Boxes with an intersection over union *above* it overlap.

    Returns:
        Indices of the boxes that are kept, best score first.

    Raises:
        ValueError: Shapes that do not belong together, or a threshold outside of 0 to 1.

    Example:
        >>> corners = torch.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]])
        >>> nms(corners, torch.tensor([0.8, 0.9, 0.3]), iou=0.5)
        tensor([1, 2])
    """
    return batched_nms(boxes, scores, torch.zeros_like(scores, dtype=torch.long), iou)


def batched_nms(boxes: Tensor, scores: Tensor, labels: Tensor, iou: float) -> Tensor:
    """Suppression in each class on its own; boxes of different classes never compete.

    Args:
        boxes: Corners, (N, 4).
        scores: As in :func:`nms`, (N,).
        labels: Class of each box, (N,).
        iou: As in :func:`nms`.

    Returns:
        Indices of the boxes that are kept, of all classes, best score first.

    Raises:
        ValueError: As :func:`nms`.
    """
    _check(boxes, scores, labels, iou)
    if len(boxes) == 0:
        return torch.zeros(0, dtype=torch.long, device=boxes.device)
    best_first = scores.argsort(descending=True, stable=True)
    grouped = best_first[labels[best_first].argsort(stable=True)]  # class by class, best first
    lengths = labels[grouped].unique_consecutive(return_counts=True)[1]
    # Classes side by side, (K, M, 4). Short ones are filled with boxes without area, which
    # overlap nothing.
    padded = pad_sequence(boxes[grouped].split(lengths.tolist()), batch_first=True)
    is_real = torch.arange(padded.shape[1], device=boxes.device) < lengths[:, None]
    kept = torch.zeros_like(scores, dtype=torch.bool)
    kept[grouped] = _keep(padded, iou)[is_real]
    return best_first[kept[best_first]]


def _keep(boxes: Tensor, iou: float) -> Tensor:
    """Which of the boxes (K, M, 4), best first in each of K lists, are kept; (K, M)."""
    kept_boxes = boxes[:, :0]
    kept = []
    for block in boxes.split(_BLOCK, dim=1):
        free = ~(box_iou(kept_boxes, block) > iou).any(dim=1)
        kept.append(_keep_in_block(block, free, iou))
        kept_boxes = torch.cat([kept_boxes, _only(block, kept[-1])], dim=1)
    return torch.cat(kept, dim=1)


def _keep_in_block(boxes: Tensor, free: Tensor, iou: float) -> Tensor:
    """The rule, applied until nothing changes, to boxes that no earlier block drops."""
    overlaps = (box_iou(boxes, boxes) > iou).triu_(diagonal=1)  # [k, i, j]: i is better than j
    kept = free
    while True:
        dropped = (overlaps & kept[:, :, None]).any(dim=1)
        following = free & ~dropped
        if torch.equal(following, kept):
            return kept
        kept = following


def _only(boxes: Tensor, kept: Tensor) -> Tensor:
    """The kept boxes of each list, to its front; lists of one length, filled with zeros."""
    longest = int(kept.sum(dim=1).max())
    front = kept.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :longest]
    return (boxes * kept[..., None]).take_along_dim(front[..., None], dim=1)


def _check(boxes: Tensor, scores: Tensor, labels: Tensor, iou: float) -> None:
    check_boxes(boxes)
    if not len(boxes) == scores.numel() == labels.numel() or scores.ndim != 1 or labels.ndim != 1:
        raise ValueError(
            f"{len(boxes)} boxes need a score and a label each, "
            f"got scores {tuple(scores.shape)} and labels {tuple(labels.shape)}"
        )
    if not 0 <= iou <= 1:
        raise ValueError(f"iou must be between 0 and 1, got {iou}; SSDLite uses 0.6 or 0.55")
