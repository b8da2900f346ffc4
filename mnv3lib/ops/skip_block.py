"""The skip block of SkipblockNet: what an early map saw, carried to a later one.

Taught in chapter 14.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnv3lib.ops.conv import ConvNormAct, Padding

__all__ = ["SkipBlock", "averaged_down"]


class SkipBlock(nn.Module):
    """Adds to a map what an inverted residual makes of an earlier, larger one.

    The earlier map is averaged down to the size of the later one, then 1x1 expansion (``expand``)
    -> depthwise (``depthwise``) -> 1x1 projection without activation (``project``), plus the later
    map. The published code fixes the sizes for images of 224 pixels, and fails at others where its
    maps do not fit; here the later map decides. It would also add the averaged map where the widths
    agree, which happens in no published network, and not here.

    Source: arXiv 2107.11170 and its code, the blocks of SkipblockNet (SkipNet in its first
    versions).

    Args:
        in_channels: Channels of the earlier map.
        expanded_channels: Channels of the middle.
        out_channels: Channels of the later map.
        kernel_size: Side of the depthwise kernel.
        dilation: Dilation of the depthwise convolution.
        act: Activation after expansion and depthwise convolution.
        padding: ``"symmetric"`` or ``"same"``.
        norm_layer: Makes the normalisation from a channel count.
    """

    def __init__(
        self,
        in_channels: int,
        expanded_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        dilation: int = 1,
        act: str = "relu",
        padding: Padding = "symmetric",
        norm_layer: Callable[[int], nn.Module] = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.expand = ConvNormAct(in_channels, expanded_channels, 1, act=act, norm_layer=norm_layer)
        self.depthwise = ConvNormAct(
            expanded_channels,
            expanded_channels,
            kernel_size,
            groups=expanded_channels,
            dilation=dilation,
            act=act,
            padding=padding,
            norm_layer=norm_layer,
        )
        self.project = ConvNormAct(
            expanded_channels, out_channels, 1, act=None, norm_layer=norm_layer
        )

    def forward(self, x: Tensor, earlier: Tensor) -> Tensor:
        """Adds the earlier map to the later one.

        Args:
            x: The later map, (N, C', h, w).
            earlier: The earlier map, (N, C, H, W), H at least h and W at least w.

        Returns:
            A map of the shape of x.
        """
        y = averaged_down(earlier, x.shape[-2:])  # (N, C, h, w)
        return x + self.project(self.depthwise(self.expand(y)))


def averaged_down(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Adaptive average pooling, as plain pooling wherever that is the same.

    Runtimes for devices have fast kernels for plain pooling only, and ONNX knows no other.

    Args:
        x: A map, (N, C, H, W).
        size: h and w of the result, at most H and W.

    Returns:
        A map, (N, C, h, w).
    """
    height, width = x.shape[-2:]
    # In a traced program sizes are symbols; ONNX's exporter finds plain pooling by itself.
    if torch.jit.is_tracing() or height % size[0] or width % size[1]:
        return F.adaptive_avg_pool2d(x, size)
    area = (height // size[0], width // size[1])
    # XNNPACK wants the stride spelt out, and padding, of which there is none, not counted.
    return F.avg_pool2d(x, area, stride=area, count_include_pad=False)
