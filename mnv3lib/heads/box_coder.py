"""Boxes as the heads predict them: offsets from an anchor (chapter 10).

The centre moves by a share of the anchor's sides, the sides grow by a factor whose logarithm is
predicted; so a code means the same for small and for large anchors. The four numbers are scaled
to about unit variance: 10 for the centre, 5 for the sides (SSD's 'variances' 0.1 and 0.2 are their
inverses). Source: arXiv 1506.01497, section 3.1.2, for the code; arXiv 1512.02325's code for the
scaling.
"""

import math

import torch
from torch import Tensor

from mnv3lib.heads.boxes import check_boxes

__all__ = ["MAX_LOG_SCALE", "decode", "encode"]

_CENTRE_SCALE, _SIDE_SCALE = 10.0, 5.0
# A fresh network may predict any number; torchvision lets no box grow beyond this factor.
MAX_LOG_SCALE = math.log(1000 / 16)
_SMALLEST_SIDE_PX = 1e-6  # the logarithm of a side of zero would be infinite


def _centres_and_sides(boxes: Tensor) -> tuple[Tensor, Tensor]:
    corner, opposite = boxes[..., :2], boxes[..., 2:]
    return (corner + opposite) / 2, opposite - corner


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Codes that turn anchors into boxes.

    Args:
        boxes: Corners in pixels, (..., N, 4).
        anchors: Corners in pixels, one for each box, (N, 4).

    Returns:
        The targets tx, ty, tw and th of the box heads, (..., N, 4).

    Raises:
        ValueError: Not four numbers a box.

    Example:
        >>> encode(torch.tensor([[60.0, 50, 160, 150]]), torch.tensor([[50.0, 50, 150, 130]]))
        tensor([[1.0000, 1.2500, 0.0000, 1.1157]])
    """
    check_boxes(boxes)
    check_boxes(anchors, "anchors")
    centre, side = _centres_and_sides(boxes)
    anchor_centre, anchor_side = _centres_and_sides(anchors)
    shift = (centre - anchor_centre) / anchor_side * _CENTRE_SCALE
    growth = (side.clamp(min=_SMALLEST_SIDE_PX) / anchor_side).log() * _SIDE_SCALE
    return torch.cat([shift, growth], dim=-1)


def decode(codes: Tensor, anchors: Tensor) -> Tensor:
    """Boxes that codes stand for.

    Args:
        codes: tx, ty, tw, th as the box heads predict them, (..., N, 4).
        anchors: Corners in pixels, one for each code, (N, 4).

    Returns:
        Corners in pixels, (..., N, 4). They may leave the image.

    Raises:
        ValueError: Not four numbers a box.
    """
    check_boxes(codes, "codes")
    check_boxes(anchors, "anchors")
    anchor_centre, anchor_side = _centres_and_sides(anchors)
    centre = anchor_centre + codes[..., :2] / _CENTRE_SCALE * anchor_side
    growth = (codes[..., 2:] / _SIDE_SCALE).clamp(max=MAX_LOG_SCALE)
    half = growth.exp() * anchor_side / 2
    return torch.cat([centre - half, centre + half], dim=-1)
