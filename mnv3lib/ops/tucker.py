"""The Tucker block: a regular convolution between fewer channels than the block's own.

An inverted residual is thin outside and wide inside; this is the other corner, wide outside and
thin inside, as a bottleneck of ResNet is. Without activations it is exactly the Tucker-2
decomposition of a kxk kernel (:mod:`mnv3lib.ops.decomposition`). Taught in the chapter on
MobileDets.
"""

from collections import OrderedDict
from collections.abc import Callable

from torch import nn

from mnv3lib.ops.blocks import ResidualBlock
from mnv3lib.ops.conv import ConvNormAct, Padding
from mnv3lib.ops.fused import takes_shortcut

__all__ = ["TuckerBlock"]


class TuckerBlock(ResidualBlock):
    """Wide in, thin in the middle, wide out.

    1x1 convolution to few channels (``compress``) -> regular kxk convolution among few
    (``conv``) -> 1x1 projection without activation (``project``), plus the input where asked.

    Used by MobileDets (arXiv 2004.14525, section 3, 'Tucker convolution').

    Args:
        in_channels: Channels of the input.
        in_rank: Channels that it is compressed to, which enter the regular convolution.
        out_rank: Channels that leave the regular convolution.
        out_channels: Channels of the output.
        kernel_size: Side of the regular kernel.
        stride: Stride of the regular convolution.
        dilation: Dilation of the regular convolution.
        residual: Whether the input is added; None where the shapes agree.
        act: Activation after the first two convolutions.
        padding: ``"symmetric"`` or ``"same"``.
        norm_layer: Makes the normalisation from a channel count.

    Raises:
        ValueError: A shortcut between different shapes, an even kernel, or an unknown padding or
            activation.
    """

    def __init__(
        self,
        in_channels: int,
        in_rank: int,
        out_rank: int,
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
        parts["compress"] = ConvNormAct(in_channels, in_rank, 1, act=act, norm_layer=norm_layer)
        parts["conv"] = ConvNormAct(
            in_rank,
            out_rank,
            kernel_size,
            stride=stride,
            dilation=dilation,
            act=act,
            padding=padding,
            norm_layer=norm_layer,
        )
        parts["project"] = ConvNormAct(out_rank, out_channels, 1, act=None, norm_layer=norm_layer)
        super().__init__(parts)
        self.use_residual = takes_shortcut(
            residual, in_channels=in_channels, out_channels=out_channels, stride=stride
        )
