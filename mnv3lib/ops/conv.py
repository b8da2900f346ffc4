"""Convolution, normalisation, activation: the unit that every network here repeats.

Two padding rules exist, and weights trained under one lose accuracy under the other
(chapter 5 measures it): PyTorch's symmetric padding and TensorFlow's 'SAME'. Their output
sizes agree; on even sizes with stride 2 their alignment differs by one pixel.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mnv3lib.ops.activations import activation
from mnv3lib.ops.depthwise_conv import DepthwiseConv2d

__all__ = ["ConvNormAct", "Padding", "SamePadConv2d", "same_padding"]

Padding = Literal["symmetric", "same"]


def same_padding(size: int, kernel_size: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Pixels that TensorFlow's 'SAME' adds before and after one axis.

    Args:
        size: Input length along the axis, in pixels.
        kernel_size: Kernel length along the axis.
        stride: Stride along the axis.
        dilation: Spacing of the kernel's taps.

    Returns:
        (before, after); 'after' gets the odd pixel.

    Example:
        >>> same_padding(224, kernel_size=3, stride=2)  # symmetric padding would be (1, 1)
        (0, 1)
    """
    outputs = -(-size // stride)
    reach = dilation * (kernel_size - 1) + 1  # input pixels that one output sees
    total = max(0, (outputs - 1) * stride + reach - size)
    return total // 2, total - total // 2


class SamePadConv2d(nn.Conv2d):
    """A convolution that pads as TensorFlow's 'SAME' does, from the size of its input."""

    def forward(self, x: Tensor) -> Tensor:
        """x: Feature map, (N, C, H, W). Returns (N, C', ceil(H / stride), ceil(W / stride))."""
        (k_h, k_w), (s_h, s_w), (d_h, d_w) = self.kernel_size, self.stride, self.dilation
        top, bottom = same_padding(x.shape[-2], k_h, s_h, d_h)
        left, right = same_padding(x.shape[-1], k_w, s_w, d_w)
        return super().forward(F.pad(x, (left, right, top, bottom)))


def _conv(in_channels: int, out_channels: int, padding: Padding, **options: int) -> nn.Conv2d:
    reach = options["dilation"] * (options["kernel_size"] - 1)
    if padding == "symmetric" or (padding == "same" and options["stride"] == 1):
        # At stride 1 the two rules agree for odd kernels, and padding inside the call is faster.
        conv = DepthwiseConv2d if options["groups"] == in_channels else nn.Conv2d
        return conv(in_channels, out_channels, padding=reach // 2, bias=False, **options)
    if padding == "same":
        return SamePadConv2d(in_channels, out_channels, bias=False, **options)
    raise ValueError(f"unknown padding {padding!r}; choose 'symmetric' or 'same'")


class ConvNormAct(nn.Sequential):
    """Convolution without bias, batch norm, activation: ``conv``, ``norm``, ``act``.

    Used by every network of the book; without activation it is the *linear bottleneck* of
    MobileNetV2 (chapter 2).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Odd side of the square kernel.
        stride: Stride on both axes.
        groups: ``in_channels`` makes it depthwise.
        dilation: Spacing of the kernel's taps.
        act: Name for :func:`mnv3lib.ops.activation`; None leaves the output linear.
        padding: ``"symmetric"`` (PyTorch) or ``"same"`` (TensorFlow).
        norm_layer: Makes the normalisation from a channel count.

    Raises:
        ValueError: An even kernel, or an unknown padding or activation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
        act: str | None = "relu",
        padding: Padding = "symmetric",
        norm_layer: Callable[[int], nn.Module] = nn.BatchNorm2d,
    ) -> None:
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd to keep maps aligned, got {kernel_size}")
        geometry = {"stride": stride, "groups": groups, "dilation": dilation}
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["conv"] = _conv(
            in_channels, out_channels, padding, kernel_size=kernel_size, **geometry
        )
        layers["norm"] = norm_layer(out_channels)
        if act is not None:
            layers["act"] = activation(act)
        super().__init__(layers)

    def fold(self) -> None:
        """Folds the batch norm into the convolution, in place, for inference.

        w' = w * gamma / sqrt(var + eps) and b' = beta - mean * gamma / sqrt(var + eps): the same
        outputs in evaluation mode up to rounding. A second call does nothing.
        """
        if isinstance(getattr(self, "norm", None), nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv, self.norm)
            del self.norm
