"""The two blocks that MobileNets are made of, and what blocks with a shortcut share.

:class:`DepthwiseSeparable` is MobileNetV1's (chapter 1), :class:`InvertedResidual` is that of
MobileNetV2, MnasNet, EfficientNet and MobileNetV3 (chapters 2 and 3).
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from mnv3lib.ops.conv import ConvNormAct, Padding
from mnv3lib.ops.squeeze_excite import SqueezeExcite

__all__ = ["DepthwiseSeparable", "InvertedResidual", "ResidualBlock"]


class DepthwiseSeparable(nn.Sequential):
    """A depthwise convolution, then a pointwise one, each with norm and activation.

    ``depthwise`` filters each channel on its own, ``pointwise`` (1x1) mixes the channels.
    Used by MobileNetV1: arXiv 1704.04861, section 3.1.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the depthwise kernel.
        stride: Stride of the depthwise convolution.
        dilation: Dilation of the depthwise convolution.
        act: Name of the activation after both convolutions.
        padding: ``"symmetric"`` or ``"same"``.
        norm_layer: Makes the normalisation from a channel count.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        act: str = "relu",
        padding: Padding = "symmetric",
        norm_layer: Callable[[int], nn.Module] = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.depthwise = ConvNormAct(
            in_channels,
            in_channels,
            kernel_size,
            stride=stride,
            groups=in_channels,
            dilation=dilation,
            act=act,
            padding=padding,
            norm_layer=norm_layer,
        )
        self.pointwise = ConvNormAct(in_channels, out_channels, 1, act=act, norm_layer=norm_layer)


class ResidualBlock(nn.Sequential):
    """Named parts, one after the other, plus the input where :attr:`use_residual` says so.

    What looks inside blocks (taps, stochastic depth, activation memory) asks for this class, so a
    new block that is built on it needs nothing else.

    Attributes:
        use_residual: Whether the input is added to the output of the last part.
    """

    use_residual: bool = False

    def forward(self, x: Tensor) -> Tensor:
        """x: Feature map, (N, C, H, W). Returns what the last part returns, plus x if so set."""
        y = super().forward(x)
        return x + y if self.use_residual else y


class InvertedResidual(ResidualBlock):
    """Thin in, wide in the middle, thin out: the 'bneck' of MobileNetV3's tables.

    1x1 expansion (``expand``) -> depthwise (``depthwise``) -> squeeze-and-excite (``se``) ->
    1x1 projection without activation (``project``), plus the input where the shapes agree.
    The activation comes before squeeze-and-excite. Parts that a block does not have, ``expand``
    without widening and ``se`` without squeeze-and-excite, are None.

    Used by MobileNetV2 (arXiv 1801.04381, section 3), MnasNet (1807.11626), EfficientNet
    (1905.11946) and MobileNetV3 (1905.02244, figures 3 and 4).

    Args:
        in_channels: Channels of the input.
        expanded_channels: Channels of the middle; equal to ``in_channels``, it skips ``expand``.
        out_channels: Channels of the output.
        kernel_size: Side of the depthwise kernel.
        stride: Stride of the depthwise convolution.
        dilation: Dilation of the depthwise convolution.
        squeeze_channels: Middle channels of squeeze-and-excite; None leaves it out.
        gate: Gate of squeeze-and-excite.
        squeeze_act: Activation inside squeeze-and-excite.
        act: Activation after expansion and depthwise convolution.
        residual: Whether the input is added; None adds it where the shapes agree.
        always_expand: Keep ``expand`` even where it does not widen, as SkipblockNet does.
        padding: ``"symmetric"`` or ``"same"``.
        norm_layer: Makes the normalisation from a channel count.

    Raises:
        ValueError: The input is to be added, but the output has another shape.
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
        squeeze_channels: int | None = None,
        gate: Literal["hard_sigmoid", "sigmoid"] = "hard_sigmoid",
        squeeze_act: str = "relu",
        act: str = "relu",
        residual: bool | None = None,
        always_expand: bool = False,
        padding: Padding = "symmetric",
        norm_layer: Callable[[int], nn.Module] = nn.BatchNorm2d,
    ) -> None:
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        if always_expand or expanded_channels != in_channels:
            parts["expand"] = ConvNormAct(
                in_channels, expanded_channels, 1, act=act, norm_layer=norm_layer
            )
        parts["depthwise"] = ConvNormAct(
            expanded_channels,
            expanded_channels,
            kernel_size,
            stride=stride,
            groups=expanded_channels,
            dilation=dilation,
            act=act,
            padding=padding,
            norm_layer=norm_layer,
        )
        if squeeze_channels is not None:
            parts["se"] = SqueezeExcite(
                expanded_channels, squeeze_channels, gate=gate, act=squeeze_act
            )
        parts["project"] = ConvNormAct(
            expanded_channels, out_channels, 1, act=None, norm_layer=norm_layer
        )
        super().__init__(parts)
        for absent in {"expand", "se"} - set(parts):
            setattr(self, absent, None)
        shapes_agree = stride == 1 and in_channels == out_channels
        if residual and not shapes_agree:
            raise ValueError(
                f"{in_channels} channels at stride {stride} cannot be added to {out_channels}; "
                "leave residual at None"
            )
        self.use_residual = shapes_agree if residual is None else residual
