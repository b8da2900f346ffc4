"""EfficientViT's sandwich: one attention between feed-forward layers that pixels talk before.

Attention moves much data for little arithmetic, so the block has one attention for two
feed-forward layers, and before each of these a depthwise convolution (*token interaction*) lets
neighbouring pixels exchange what they know. All five parts stand in a residual of their own.
Source: arXiv 2305.07027, section 2.2, equation 1 with N = 1; details from the official code.
Taught in the chapter on EfficientViT.
"""

from collections import OrderedDict

from torch import nn

from mnv3lib.ops.blocks import ResidualBlock
from mnv3lib.ops.cascaded_attention import WindowAttention
from mnv3lib.ops.conv import ConvNormAct
from mnv3lib.ops.silent_norm import NormLayer, SilentNorm

__all__ = ["FeedForward", "InteractedFeedForward", "Residual", "Sandwich"]


class Residual(ResidualBlock):
    """A part, ``body``, plus its input.

    Args:
        body: The part, from (N, C, H, W) to the same shape.
    """

    use_residual = True

    def __init__(self, body: nn.Module) -> None:
        super().__init__(OrderedDict(body=body))


class FeedForward(nn.Sequential):
    """Two 1x1 convolutions with ReLU between them: ``expand`` and ``project``, silent at first.

    Args:
        channels: Channels of input and output, C.
        hidden_channels: Channels between; EfficientViT uses 2 C where usual transformers use 4 C.
        norm_layer: Makes the normalisation from a channel count.
    """

    def __init__(
        self, channels: int, hidden_channels: int, *, norm_layer: NormLayer = nn.BatchNorm2d
    ) -> None:
        expand = ConvNormAct(channels, hidden_channels, 1, norm_layer=norm_layer)
        silent = SilentNorm.like(norm_layer)
        project = ConvNormAct(hidden_channels, channels, 1, act=None, norm_layer=silent)
        super().__init__(OrderedDict(expand=expand, project=project))


class InteractedFeedForward(nn.Sequential):
    """Token interaction, then a feed-forward layer, each in a residual: ``interact``, ``mix``.

    Args:
        channels: Channels of input and output, C.
        silent: Whether the interaction starts as silent as the feed-forward layer always does.
            It does in a sandwich, it does not beside a subsampling block.
        norm_layer: Makes the normalisation from a channel count.
    """

    def __init__(
        self, channels: int, *, silent: bool = True, norm_layer: NormLayer = nn.BatchNorm2d
    ) -> None:
        depthwise = ConvNormAct(
            channels,
            channels,
            3,
            groups=channels,
            act=None,
            norm_layer=SilentNorm.like(norm_layer) if silent else norm_layer,
        )
        parts = OrderedDict(
            interact=Residual(depthwise),
            mix=Residual(FeedForward(channels, 2 * channels, norm_layer=norm_layer)),
        )
        super().__init__(parts)


class Sandwich(nn.Sequential):
    """Feed-forward, attention, feed-forward: ``before``, ``attention``, ``after``.

    A fresh sandwich returns its input unchanged.

    Args:
        channels: Channels of input and output, C.
        heads: Number of heads.
        side: Side of the map in pixels.
        norm_layer: Makes the normalisation from a channel count.
        **attention: Further options of :class:`mnv3lib.ops.WindowAttention`: ``window``,
            ``kernels``, ``key_channels`` and ``feed``.

    Raises:
        ValueError: See :class:`mnv3lib.ops.WindowAttention`.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        side: int,
        *,
        norm_layer: NormLayer = nn.BatchNorm2d,
        **attention: object,
    ) -> None:
        mixer = WindowAttention(channels, heads, side, norm_layer=norm_layer, **attention)
        parts = OrderedDict(
            before=InteractedFeedForward(channels, norm_layer=norm_layer),
            attention=Residual(mixer),
            after=InteractedFeedForward(channels, norm_layer=norm_layer),
        )
        super().__init__(parts)
