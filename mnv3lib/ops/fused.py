"""The fused inverted residual: one regular convolution where a thin block has two layers.

An inverted residual widens its input by a 1x1 convolution and filters each channel by a depthwise
one. Fused, a single regular kxk convolution does both: more multiply-adds, but of the kind that
accelerators, and processors on large maps of few channels, run fastest. Taught in the chapter on
MobileDets.
"""

from collections import OrderedDict
from collections.abc import Callable

from torch import nn

from mnv3lib.ops.blocks import ResidualBlock
from mnv3lib.ops.conv import ConvNormAct, Padding

__all__ = ["FusedInvertedResidual", "takes_shortcut"]


def takes_shortcut(
    residual: bool | None, *, in_channels: int, out_channels: int, stride: int
) -> bool:
    """Whether a block adds its input to its output.

    Args:
        residual: What is asked for; None wants it wherever the shapes agree.
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Stride of the block.

    Raises:
        ValueError: A shortcut is asked for between maps of different shapes.
    """
    agree = stride == 1 and in_channels == out_channels
    if residual and not agree:
        raise ValueError(
            f"no shortcut from {in_channels} to {out_channels} channels at stride {stride}: give "
            "the block as many channels out as in and stride 1, or residual=None"
        )
    return agree if residual is None else residual


class FusedInvertedResidual(ResidualBlock):
    """Thin in, wide in the middle, thin out, without a depthwise convolution.

    Regular kxk convolution to the wide middle (``fused``) -> 1x1 projection without activation
    (``project``), plus the input where asked. With a kernel of 1 it is an inverted residual whose
    depthwise convolution does nothing.

    Used by MobileNetEdgeTPU and MobileDets (arXiv 2004.14525, section 3, 'fused inverted
    bottleneck').

    Args:
        in_channels: Channels of the input.
        expanded_channels: Channels of the middle.
        out_channels: Channels of the output.
        kernel_size: Side of the regular kernel.
        stride: Stride of the regular convolution.
        dilation: Dilation of the regular convolution.
        residual: Whether the input is added; None where the shapes agree.
        act: Activation after the regular convolution.
        padding: ``"symmetric"`` or ``"same"``.
        norm_layer: Makes the normalisation from a channel count.

    Raises:
        ValueError: A shortcut between different shapes, an even kernel, or an unknown padding or
            activation.
    """

    def __init__(
        self,
        in_channels: int,
        expanded_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        residual: bool | None = None,
        act: str = "relu",
        padding: Padding = "symmetric",
        norm_layer: Callable[[int], nn.Module] = nn.BatchNorm2d,
    ) -> None:
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["fused"] = ConvNormAct(
            in_channels,
            expanded_channels,
            kernel_size,
            stride=stride,
            dilation=dilation,
            act=act,
            padding=padding,
            norm_layer=norm_layer,
        )
        parts["project"] = ConvNormAct(
            expanded_channels, out_channels, 1, act=None, norm_layer=norm_layer
        )
        super().__init__(parts)
        self.use_residual = takes_shortcut(
            residual, in_channels=in_channels, out_channels=out_channels, stride=stride
        )
