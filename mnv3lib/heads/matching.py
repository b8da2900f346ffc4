"""Which anchor answers for which object (chapter 10).

An anchor that overlaps an object well is to predict it; all others are to predict nothing. So that
no object goes without, the anchor that overlaps it best is given to it even below the threshold:
the *forced match*.
"""

from typing import Literal

import torch
from torch import Tensor

from mnv3lib.heads.boxes import box_iou, check_boxes

__all__ = ["BACKGROUND", "MatchRule", "match_anchors"]

BACKGROUND = -1
MatchRule = Literal["overlapping", "tf", "torchvision"]


def match_anchors(
    boxes: Tensor, anchors: Tensor, iou: float = 0.5, *, rule: MatchRule = "overlapping"
) -> Tensor:
    """Gives each anchor an object or the background.

    An anchor belongs to the object that it overlaps best if that overlap reaches the threshold.
    Then each object claims its best anchor, whoever had it; of several claims, the object that
    comes first wins.

    There is a trap. An object that overlaps no anchor at all has an overlap of 0 with each of them,
    and 'the best' of equals is the first: in both published codes it claims anchor 0 and can take
    it from its rightful owner. Here it claims nothing.

    Args:
        boxes: Corners of the G objects of an image, (G, 4).
        anchors: Corners, (A, 4).
        iou: Least intersection over union of a match that is not forced.
        rule: ``"overlapping"`` as above. ``"tf"`` keeps the trap. ``"torchvision"`` keeps it and
            lets the last of several claims win.

    Returns:
        For each anchor the index of its object, or :data:`BACKGROUND`; (A,).

    Raises:
        ValueError: Shapes that are not boxes, or an unknown rule.

    Example:
        >>> anchors = torch.tensor([[0.0, 0, 10, 10], [10, 0, 20, 10], [20, 0, 30, 10]])
        >>> match_anchors(torch.tensor([[11.0, 0, 21, 10]]), anchors)
        tensor([-1,  0, -1])
    """
    check_boxes(boxes)
    check_boxes(anchors, "anchors")
    if rule not in ("overlapping", "tf", "torchvision"):
        raise ValueError(f"unknown rule {rule!r}; choose 'overlapping', 'tf' or 'torchvision'")
    if len(boxes) == 0:
        return torch.full((len(anchors),), BACKGROUND, device=anchors.device)
    overlaps = box_iou(boxes, anchors)  # (G, A)
    best, match = overlaps.max(dim=0)
    match = match.where(best >= iou, BACKGROUND)
    claimed = _claims(overlaps, rule)
    return claimed.where(claimed != BACKGROUND, match)


def _claims(overlaps: Tensor, rule: MatchRule) -> Tensor:
    """Forced matches alone: for each anchor the object that claims it, or BACKGROUND; (A,)."""
    best, anchor = overlaps.max(dim=1)  # (G,) each
    claims = torch.arange(len(best), device=best.device)
    if rule == "overlapping":
        anchor, claims = anchor[best > 0], claims[best > 0]
    winner = "amax" if rule == "torchvision" else "amin"
    nobody = torch.full((overlaps.shape[1],), BACKGROUND, device=best.device)
    return nobody.scatter_reduce(0, anchor, claims, reduce=winner, include_self=False)
