"""Rows of networks with attention: EfficientViT's and MobileViT's (chapter on EfficientViT).

The other lines of their tables are rows of the MobileNets: both start with plain convolutions, and
both make maps smaller by an inverted residual.
"""

from dataclasses import dataclass, replace

from torch import nn

from mnv3lib.models.row_modules import Place, row_module
from mnv3lib.models.rows import Row, row_kind
from mnv3lib.ops import (
    Feed,
    InteractedFeedForward,
    NormLinear,
    PatchAttentionBlock,
    Sandwich,
)

__all__ = ["InteractionRow", "NormDenseRow", "PatchAttentionRow", "SandwichRow", "feed_heads"]


@row_kind("interaction")
@dataclass(frozen=True)
class InteractionRow:
    """``dw 3x3, FFN``: token interaction and a feed-forward layer, as beside a subsampling block.

    It keeps the channels that enter it.
    """

    @property
    def operator(self) -> str:
        """The row in words, as reports print it."""
        return "interaction, FFN"


@row_kind("sandwich")
@dataclass(frozen=True)
class SandwichRow:
    """EfficientViT's block: feed-forward, attention in windows, feed-forward.

    It keeps the channels that enter it, and is built for the side of its map.

    Attributes:
        heads: Number of heads.
        kernels: Sides of the depthwise kernels over the queries; the first `heads` are used.
        key_channels: Channels of queries and keys.
        window: Largest side of a window in pixels.
        feed: What a head reads, see :class:`mnv3lib.ops.CascadedGroupAttention`.
    """

    heads: int
    kernels: tuple[int, ...]
    key_channels: int = 16
    window: int = 7
    feed: Feed = "cascade"

    @property
    def operator(self) -> str:
        """The row in words, as reports print it."""
        return f"sandwich, {self.heads} heads"


@row_kind("norm_dense")
@dataclass(frozen=True)
class NormDenseRow:
    """Batch norm over the pooled features, then the classifier.

    Attributes:
        out: Classes.
    """

    out: int

    @property
    def operator(self) -> str:
        """The row in words, as reports print it."""
        return "norm, dense"


@row_kind("patch_attention")
@dataclass(frozen=True)
class PatchAttentionRow:
    """MobileViT's block: transformer layers over patches of 2 x 2 pixels, between convolutions.

    It keeps the channels that enter it.

    Attributes:
        features: Features of a token.
        depth: Transformer layers.
        act: Activation.
        heads: Heads of each layer.
    """

    features: int
    depth: int
    act: str
    heads: int = 4

    @property
    def operator(self) -> str:
        """The row in words, as reports print it."""
        return f"patch attention, {self.depth} layers"


def feed_heads(rows: tuple[Row, ...], feed: Feed) -> tuple[Row, ...]:
    """Changes what the heads read in every sandwich of a table.

    Args:
        rows: A table.
        feed: See :class:`mnv3lib.ops.CascadedGroupAttention`.
    """
    return tuple(replace(row, feed=feed) if isinstance(row, SandwichRow) else row for row in rows)


@row_module.register
def _(row: InteractionRow, place: Place) -> nn.Module:
    place.refuse(row, "dilation")
    norm_layer = place.conventions["norm_layer"]
    return InteractedFeedForward(place.in_channels, silent=False, norm_layer=norm_layer)


@row_module.register
def _(row: SandwichRow, place: Place) -> nn.Module:
    place.refuse(row, "dilation", "side")
    return Sandwich(
        place.in_channels,
        row.heads,
        place.side,
        window=row.window,
        kernels=row.kernels,
        key_channels=row.key_channels,
        feed=row.feed,
        norm_layer=place.conventions["norm_layer"],
    )


@row_module.register
def _(row: NormDenseRow, place: Place) -> nn.Module:
    spec = place.spec
    conventions = {"eps": spec.bn_eps, "momentum": spec.bn_momentum, "dropout": spec.dropout}
    return NormLinear(place.in_channels, row.out, **conventions)


@row_module.register
def _(row: PatchAttentionRow, place: Place) -> nn.Module:
    return PatchAttentionBlock(
        place.in_channels,
        row.features,
        row.depth,
        heads=row.heads,
        act=row.act,
        dilation=place.dilation,
        norm_layer=place.conventions["norm_layer"],
    )
