"""A depthwise convolution that learns fast on maps smaller than its kernel.

Small images end in maps of a few pixels, where a 5x5 kernel reaches beyond all borders. oneDNN,
which computes PyTorch's convolutions on a processor, has no program of its own for the gradient of
the weights there, and what it falls back on may take more than half of a training step.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["DepthwiseConv2d"]


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution with symmetric padding; arguments are those of ``nn.Conv2d``.

    Where the map is smaller than the kernel, a step of training leaves out what cannot change the
    result: taps that meet nothing but padding are cut off, and what is left of the padding is laid
    around the map before. Outputs and gradients are the same up to rounding. In evaluation, and so
    in whatever is exported or counted, it is the plain convolution.
    """

    def _get_name(self) -> str:
        return "Conv2d"  # a description says what is computed; tables of latencies go by it

    def forward(self, x: Tensor) -> Tensor:
        """x: Feature map, (N, C, H, W). Returns (N, C, ceil(H / stride), ceil(W / stride))."""
        middle, dilation = self.kernel_size[0] // 2, self.dilation[0]
        largest = max(x.shape[-2:])
        is_tiny = 2 * middle * dilation >= largest
        if not (self.training and is_tiny) or torch.compiler.is_exporting():
            return super().forward(x)
        reach = min(middle, (largest - 1) // dilation)  # taps on each side that meet the map
        taps = slice(middle - reach, middle + reach + 1)
        weight = self.weight[..., taps, taps]  # (C, 1, 2 reach + 1, 2 reach + 1)
        padded = F.pad(x, 4 * [dilation * reach])
        return F.conv2d(padded, weight, self.bias, self.stride, 0, self.dilation, self.groups)
