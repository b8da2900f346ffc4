"""Cascaded group attention: heads that see different channels, one after the other.

In usual attention all heads read the same channels, and many learn the same map. EfficientViT
gives each head a part of the channels and adds the output of the head before it to that part: the
projections become h times smaller, and later heads work on what earlier ones found. Source: arXiv
2305.07027, section 2.2 and figure 3; details from the official code. Taught in the chapter on
EfficientViT.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from mnv3lib.ops.conv import ConvNormAct
from mnv3lib.ops.relative_bias import RelativeBias
from mnv3lib.ops.silent_norm import NormLayer, SilentNorm
from mnv3lib.ops.windows import from_windows, to_windows

__all__ = ["AttentionHead", "CascadedGroupAttention", "Feed", "WindowAttention"]

Feed = Literal["cascade", "split", "full"]
# What a head reads, from (whole input, the head's part of it, output of the head before or None).
_FEEDS: dict[str, Callable[[Tensor, Tensor, Tensor | None], Tensor]] = {
    "cascade": lambda whole, part, before: part if before is None else part + before,
    "split": lambda whole, part, before: part,
    "full": lambda whole, part, before: whole,
}


class AttentionHead(nn.Module):
    """One head: queries, keys and values from a 1x1 convolution, the queries filtered once more.

    Args:
        in_channels: Channels that the head reads.
        value_channels: d, channels of values and output.
        side: R, side of the window in pixels.
        key_channels: Channels of queries and keys.
        kernel_size: Side of the depthwise kernel over the queries.
        norm_layer: Makes the normalisation from a channel count.
    """

    def __init__(
        self,
        in_channels: int,
        value_channels: int,
        side: int,
        *,
        key_channels: int = 16,
        kernel_size: int = 5,
        norm_layer: NormLayer = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.side = side
        self.sizes = (key_channels, key_channels, value_channels)
        self.scale = key_channels**-0.5
        common = {"act": None, "norm_layer": norm_layer}
        self.qkv = ConvNormAct(in_channels, sum(self.sizes), 1, **common)
        self.query = ConvNormAct(
            key_channels, key_channels, kernel_size, groups=key_channels, **common
        )

    def forward(self, x: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Attends.

        Args:
            x: Windows, (N, C, R, R).
            bias: Added to the weights before the softmax, (R * R, R * R).

        Returns:
            Output and attention, of shapes (N, d, R, R) and (N, R * R, R * R). Row i of the
            attention says how much pixel i takes from each pixel, and sums to one.
        """
        q, k, v = self.qkv(x).split(self.sizes, dim=1)
        q, k, v = self.query(q).flatten(2), k.flatten(2), v.flatten(2)  # (N, channels, R R)
        attention = (q.transpose(1, 2) @ k * self.scale + bias).softmax(dim=-1)
        return (v @ attention.transpose(1, 2)).unflatten(2, (self.side, self.side)), attention


class CascadedGroupAttention(nn.Module):
    """Heads side by side or in a cascade, then ReLU and a 1x1 convolution over all of them.

    Its last norm starts at zero, see :class:`mnv3lib.ops.SilentNorm`.

    Args:
        channels: C, channels of input and output; a multiple of `heads`.
        heads: h, number of heads; each returns C / h channels.
        side: R, side of the window in pixels.
        kernels: Side of each head's depthwise kernel; the first h are used.
        key_channels: Channels of queries and keys.
        feed: What a head reads: ``"cascade"``, its part of the channels plus the output of the
            head before it; ``"split"``, its part alone; ``"full"``, all channels, as usual
            attention does. All have the same outputs; full needs h times the weights for
            queries, keys and values.
        norm_layer: Makes the normalisation from a channel count.

    Raises:
        ValueError: Channels that the heads cannot share evenly, too few kernels, or an unknown
            feed.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        side: int,
        *,
        kernels: Sequence[int] = (5, 5, 5, 5),
        key_channels: int = 16,
        feed: Feed = "cascade",
        norm_layer: NormLayer = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        _check(channels, heads, kernels, feed)
        self.feed = feed
        part = channels // heads
        seen = channels if feed == "full" else part
        options = {"key_channels": key_channels, "norm_layer": norm_layer}
        self.bias = RelativeBias(heads, side)
        self.heads = nn.ModuleList(
            AttentionHead(seen, part, side, kernel_size=kernel, **options)
            for kernel in kernels[:heads]
        )
        self.act = nn.ReLU(inplace=True)
        silent = SilentNorm.like(norm_layer)
        self.project = ConvNormAct(channels, channels, 1, act=None, norm_layer=silent)

    def forward(self, x: Tensor) -> Tensor:
        """x: Windows, (N, C, R, R). Returns the same shape."""
        return self.project(self.act(torch.cat(self._attend(x)[0], dim=1)))

    def maps(self, x: Tensor) -> Tensor:
        """What the heads look at. x: (N, C, R, R). Returns attention, (N, h, R * R, R * R)."""
        return torch.stack(self._attend(x)[1], dim=1)

    def _attend(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Outputs and attention of the heads, one after the other."""
        outputs: list[Tensor] = []
        maps: list[Tensor] = []
        parts = x.chunk(len(self.heads), dim=1)
        for head, part, bias in zip(self.heads, parts, self.bias().unbind(0), strict=True):
            given = _FEEDS[self.feed](x, part, outputs[-1] if outputs else None)
            output, attention = head(given, bias)
            outputs.append(output)
            maps.append(attention)
        return outputs, maps


class WindowAttention(nn.Module):
    """Cascaded group attention inside windows; over the whole map where one window holds it.

    Args:
        channels: C, channels of input and output.
        heads: Number of heads.
        side: Side of the map in pixels, fixed when the network is built.
        window: Largest side of a window in pixels.
        **options: Of :class:`CascadedGroupAttention`.

    Raises:
        ValueError: See :class:`CascadedGroupAttention`; or a map of another size.
    """

    def __init__(
        self, channels: int, heads: int, side: int, *, window: int = 7, **options: object
    ) -> None:
        super().__init__()
        self.side, self.window = side, min(window, side)
        self.attention = CascadedGroupAttention(channels, heads, self.window, **options)

    def forward(self, x: Tensor) -> Tensor:
        """x: Feature maps, (N, C, side, side). Returns the same shape."""
        if not torch.jit.is_tracing() and x.shape[2:] != (self.side, self.side):
            raise ValueError(
                f"this attention is built for maps of {self.side} x {self.side} pixels, got "
                f"{x.shape[2]} x {x.shape[3]}; create the network with resolution="
            )
        if self.window == self.side:
            return self.attention(x)
        windows = self.attention(to_windows(x, self.side, self.window))
        return from_windows(windows, self.side, self.window)


def _check(channels: int, heads: int, kernels: Sequence[int], feed: str) -> None:
    if feed not in _FEEDS:
        raise ValueError(f"unknown feed {feed!r}; choose one of {list(_FEEDS)}")
    if heads < 1 or channels % heads:
        raise ValueError(f"{heads} heads cannot share {channels} channels evenly")
    if len(kernels) < heads:
        raise ValueError(f"{heads} heads need as many kernels, got {tuple(kernels)}")
