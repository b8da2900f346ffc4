"""Stochastic depth: a residual block is sometimes left out while a network learns (chapter 7).

Source: Huang et al., "Deep Networks with Stochastic Depth", arXiv 1603.09382; EfficientNet's code
and timm's recipes for MobileNetV3 use it under the names drop connect and drop path.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mnv3lib.ops.blocks import ResidualBlock

__all__ = ["DropPath", "add_drop_path"]


class DropPath(nn.Module):
    """Sets whole images to zero with a probability, and scales the others up to keep the mean.

    Draws from PyTorch's global generator, and only in training mode.

    Args:
        rate: Probability of dropping an image, at least 0 and below 1.

    Raises:
        ValueError: A rate out of range.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"drop_path must be at least 0 and below 1, got {rate}")
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """x: Output of a block before its shortcut, (N, C, H, W). Returns the same shape."""
        if not self.training or self.rate == 0:
            return x
        kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.rate
        return x * (kept.to(x.dtype) / (1 - self.rate))

    def extra_repr(self) -> str:
        """The rate, for printing."""
        return f"rate={self.rate:g}"


def add_drop_path(blocks: Sequence[ResidualBlock], rate: float) -> None:
    """Appends :class:`DropPath` to blocks with a shortcut; the rate grows linearly with depth.

    Block *i* of *n* gets ``rate * i / n`` (timm's rule), so the first is never dropped.

    Args:
        blocks: All blocks of a network, in order; those without a shortcut stay as they are.
        rate: Rate that a block after the last one would have.
    """
    for index, block in enumerate(blocks):
        if block.use_residual:
            block.add_module("drop_path", DropPath(rate * index / len(blocks)))
