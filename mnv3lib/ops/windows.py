"""Maps cut into square windows, so that attention stays local, and put together again.

Attention over all pixels of a map costs the square of their number. Inside windows of a fixed
side it costs the square of a window's, times the number of windows. EfficientViT pads a map with
zeros to whole windows and does not mask them: arXiv 2305.07027, official code,
``LocalWindowAttention``. Taught in the chapter on EfficientViT.
"""

import torch.nn.functional as F
from torch import Tensor

__all__ = ["from_windows", "to_windows"]


def to_windows(x: Tensor, side: int, window: int) -> Tensor:
    """Cuts square maps into windows, row by row; the last ones are filled up with zeros.

    Args:
        x: Feature maps, (N, C, side, side).
        side: Side of the maps in pixels. It is no secret of `x`, but a number that is known before
            the network runs, and so no operator of an exported graph.
        window: Side of a window in pixels.

    Returns:
        Windows, (N * n * n, C, window, window) with n windows a side; those of an image follow
        each other.

    Raises:
        ValueError: A window below one pixel.

    Example:
        >>> to_windows(torch.zeros(2, 8, 12, 12), 12, window=7).shape
        torch.Size([8, 8, 7, 7])
    """
    count = _windows_a_side(side, window)
    missing = count * window - side
    if missing:
        x = F.pad(x, (0, missing, 0, missing))
    x = x.unflatten(3, (count, window)).unflatten(2, (count, window))  # (N, C, n, w, n, w)
    return x.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)  # (N, n, n, C, w, w) -> (N n n, C, w, w)


def from_windows(windows: Tensor, side: int, window: int) -> Tensor:
    """Puts windows together to maps again and crops what was filled up.

    Args:
        windows: What :func:`to_windows` returns, (N * n * n, C, window, window), with any C.
        side: Side of the maps in pixels.
        window: Side of a window in pixels.

    Returns:
        Feature maps, (N, C, side, side).

    Raises:
        ValueError: A window below one pixel.
    """
    count = _windows_a_side(side, window)
    x = windows.unflatten(0, (-1, count, count))  # (N, n, n, C, w, w)
    x = x.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)  # (N, C, n w, n w)
    return x if count * window == side else x[:, :, :side, :side]


def _windows_a_side(side: int, window: int) -> int:
    if window < 1:
        raise ValueError(f"window must be at least 1 pixel, got {window}; EfficientViT uses 7")
    return -(-side // window)
