"""What may enter a network: batches of RGB images that are large enough (chapter 5)."""

import torch
from torch import Tensor

__all__ = ["check_images"]


def check_images(x: Tensor, smallest: int, *, only: int | None = None) -> None:
    """Checks a batch of images; in a traced program, whose sizes are symbols, it does nothing.

    Args:
        x: What is to be a batch of images, (N, 3, H, W).
        smallest: Smallest height and width in pixels.
        only: The only height and width in pixels, for a network that is built for one size.

    Raises:
        ValueError: Not a batch of RGB images, too small, or not of the only size.
    """
    if torch.jit.is_tracing():  # comparing symbols warns
        return
    if x.ndim != 4 or x.shape[1] != 3:
        raise ValueError(
            f"expected RGB images of shape (N, 3, H, W), got {tuple(x.shape)}; "
            "add the batch axis with x[None], or convert to RGB"
        )
    height, width = x.shape[2:]
    if only is not None and (height, width) != (only, only):
        raise ValueError(
            f"this network is built for images of {only} x {only} pixels, got {height} x {width}; "
            f"resize them, or build it with create_model(..., resolution={min(height, width)})"
        )
    if min(height, width) < smallest:
        raise ValueError(
            f"images must be at least {smallest} pixels on both sides, "
            f"got {height} x {width}; resize them"
        )
