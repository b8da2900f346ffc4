"""Boxes: area, overlap, clipping (chapter 10).

A box is four numbers, its left, top, right and bottom edge: x0, y0, x1, y1 in pixels. Edges lie
between pixels, so that a box around the whole of a 320-pixel image is (0, 0, 320, 320) and width
is x1 - x0, without the + 1 of older code.
"""

import torch
from torch import Tensor

__all__ = ["box_area", "box_iou", "check_boxes", "clip_boxes"]


def check_boxes(boxes: Tensor, name: str = "boxes") -> None:
    """Raises a ValueError unless the last axis of a tensor has four entries."""
    if boxes.ndim < 2 or boxes.shape[-1] != 4:
        raise ValueError(
            f"{name} must have shape (N, 4), got {tuple(boxes.shape)}; "
            "no boxes at all are torch.zeros(0, 4)"
        )


def box_area(boxes: Tensor) -> Tensor:
    """Areas in square pixels.

    Args:
        boxes: Corners, (..., N, 4).

    Returns:
        (..., N).

    Example:
        >>> box_area(torch.tensor([[0.0, 0.0, 3.0, 2.0]]))
        tensor([6.])
    """
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of every box of one list with every box of another.

    Args:
        a: Corners, (..., N, 4).
        b: Corners, (..., M, 4).

    Returns:
        (..., N, M), from 0 (apart) to 1 (the same box). Two boxes without area have 0.

    Raises:
        ValueError: Not four numbers a box.

    Example:
        >>> box_iou(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[1.0, 0.0, 3.0, 2.0]]))
        tensor([[0.3333]])
    """
    check_boxes(a, "a")
    check_boxes(b, "b")
    first, second = a[..., :, None, :], b[..., None, :, :]
    shared_sides = [  # width, height of the intersection, each (..., N, M)
        torch.minimum(first[..., high], second[..., high])
        .sub_(torch.maximum(first[..., low], second[..., low]))
        .clamp_(min=0)
        for low, high in ((0, 2), (1, 3))
    ]
    shared = shared_sides[0].mul_(shared_sides[1])
    union = (box_area(a)[..., :, None] + box_area(b)[..., None, :]).sub_(shared)
    # Where there is no area at all, 0 / tiny is 0 and not 0 / 0.
    return shared.div_(union.clamp_(min=torch.finfo(union.dtype).tiny))


def clip_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Moves edges that lie outside of the image to its border.

    Args:
        boxes: Corners, (..., N, 4).
        size: Height and width of the image, in pixels.

    Returns:
        New corners, (..., N, 4); a box that was wholly outside has no area left.
    """
    check_boxes(boxes)
    height, width = size
    upper = boxes.new_tensor([width, height, width, height])
    return boxes.clamp(min=torch.zeros_like(upper), max=upper)
