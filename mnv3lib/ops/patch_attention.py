"""MobileViT's block: attention between patches, inside a block of convolutions.

A map is cut into patches of 2 x 2 pixels. Attention runs over all patches, once for the upper left
pixel of each, once for the upper right, and so on; the convolutions before and after exchange what
the four know. Source: MobileViT, arXiv 2110.02178, section 3.1; layout as in timm. Taught in the
chapter on EfficientViT, whose rival it is.
"""

from collections import OrderedDict
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnv3lib.ops.activations import activation
from mnv3lib.ops.conv import ConvNormAct

__all__ = ["PatchAttentionBlock", "SelfAttention", "TransformerLayer"]


class SelfAttention(nn.Module):
    """Attention as transformers have it: every head reads all features.

    Args:
        features: D, features of a token; a multiple of `heads`.
        heads: h, number of heads.

    Raises:
        ValueError: Features that the heads cannot share evenly.
    """

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        if heads < 1 or features % heads:
            raise ValueError(f"{heads} heads cannot share {features} features evenly")
        self.heads = heads
        self.scale = (features // heads) ** -0.5
        self.qkv = nn.Linear(features, 3 * features)
        self.project = nn.Linear(features, features)

    def forward(self, x: Tensor) -> Tensor:
        """x: Tokens, (N, T, D). Returns the same shape."""
        attention, v = self._attend(x)
        return self.project((attention @ v).transpose(1, 2).flatten(2))

    def maps(self, x: Tensor) -> Tensor:
        """What the heads look at. x: (N, T, D). Returns attention, (N, h, T, T)."""
        return self._attend(x)[0]

    def _attend(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Attention, (N, h, T, T), and values, (N, h, T, D / h)."""
        qkv = self.qkv(x).unflatten(2, (3, self.heads, -1))  # (N, T, 3, h, D / h)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        return (q @ k.transpose(2, 3) * self.scale).softmax(dim=-1), v


class TransformerLayer(nn.Module):
    """Attention and a feed-forward layer, each behind a layer norm and in a residual.

    Args:
        features: D, features of a token.
        heads: Number of heads.
        hidden_features: Features inside of the feed-forward layer.
        act: Name of the activation inside of it.
    """

    def __init__(
        self, features: int, heads: int, hidden_features: int, *, act: str = "swish"
    ) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(features)
        self.attention = SelfAttention(features, heads)
        self.norm_mix = nn.LayerNorm(features)
        self.mix = nn.Sequential(
            OrderedDict(
                expand=nn.Linear(features, hidden_features),
                act=activation(act),
                project=nn.Linear(hidden_features, features),
            )
        )

    @torch.no_grad()
    def draw_weights(self, generator: torch.Generator | None = None) -> None:
        """Draws linear layers from a normal distribution of deviation 0.02, cut at 2."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02, generator=generator)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm):
                module.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """x: Tokens, (N, T, D). Returns the same shape."""
        x = x + self.attention(self.norm_attention(x))
        return x + self.mix(self.norm_mix(x))


class PatchAttentionBlock(nn.Module):
    """Convolutions, transformer layers over patches, convolutions over the result and the input.

    3x3 convolution (``local``) -> 1x1 to D features (``enter``) -> layers -> 1x1 back (``leave``)
    -> 3x3 over input and result side by side (``fuse``). A map with an odd side is resized to the
    next even one for the layers, and back.

    Args:
        channels: C, channels of input and output.
        features: D, features of a token.
        depth: Number of transformer layers.
        heads: Heads of each layer.
        patch: Side of a patch in pixels.
        act: Name of the activation.
        dilation: Dilation of the first convolution.
        norm_layer: Makes the normalisation of the convolutions from a channel count.
    """

    def __init__(
        self,
        channels: int,
        features: int,
        depth: int,
        *,
        heads: int = 4,
        patch: int = 2,
        act: str = "swish",
        dilation: int = 1,
        norm_layer: Callable[[int], nn.Module] = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.patch = patch
        common = {"act": act, "norm_layer": norm_layer}
        self.local = ConvNormAct(channels, channels, 3, dilation=dilation, **common)
        self.enter = nn.Conv2d(channels, features, 1, bias=False)
        self.layers = nn.Sequential(
            *(TransformerLayer(features, heads, 2 * features, act=act) for _ in range(depth))
        )
        self.norm = nn.LayerNorm(features)
        self.leave = ConvNormAct(features, channels, 1, **common)
        self.fuse = ConvNormAct(2 * channels, channels, 3, **common)

    def forward(self, x: Tensor) -> Tensor:
        """x: Feature map, (N, C, H, W). Returns the same shape."""
        y = self.enter(self.local(x))
        height, width = (int(side) for side in y.shape[2:])
        even = tuple(-(-side // self.patch) * self.patch for side in (height, width))
        if even != (height, width):
            y = F.interpolate(y, even, mode="bilinear", align_corners=False)
        y = self._over_patches(y, even[0] // self.patch, even[1] // self.patch)
        if even != (height, width):
            y = F.interpolate(y, (height, width), mode="bilinear", align_corners=False)
        return self.fuse(torch.cat([x, self.leave(y)], dim=1))

    def _over_patches(self, y: Tensor, rows: int, columns: int) -> Tensor:
        """Runs the layers over a map of rows x columns patches, (N, D, rows p, columns p)."""
        p = self.patch
        y = y.unflatten(3, (columns, p)).unflatten(2, (rows, p))  # (N, D, r, p, c, p)
        tokens = y.permute(0, 3, 5, 2, 4, 1).flatten(3, 4).flatten(0, 2)  # (N p p, r c, D)
        tokens = self.norm(self.layers(tokens))
        y = tokens.unflatten(0, (-1, p, p)).unflatten(3, (rows, columns))  # (N, p, p, r, c, D)
        return y.permute(0, 5, 3, 1, 4, 2).flatten(4, 5).flatten(2, 3)
