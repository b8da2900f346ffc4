"""What SSDLite puts on a network: further maps, and two light heads on each map (chapter 10)."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from mnv3lib.ops import ConvNormAct, Padding

__all__ = [
    "EXTRA_CHANNELS",
    "LightHead",
    "extra_map",
    "initialise_heads",
    "per_anchor",
    "scaled_extra_channels",
]

EXTRA_CHANNELS = (512, 256, 256, 128)
_FEWEST_EXTRA_CHANNELS = 16  # "min_depth" of the authors' code
_INITIAL_STD = 0.03  # in both published codes
_ACT = "relu6"  # whatever the network's is

NormLayer = Callable[[int], nn.Module]


def scaled_extra_channels(width_mult: float) -> tuple[int, ...]:
    """Channels of the extra maps under a width multiplier, as the authors' code scales them.

    Example:
        >>> scaled_extra_channels(0.35)
        (179, 89, 89, 44)
    """
    return tuple(max(_FEWEST_EXTRA_CHANNELS, int(c * width_mult)) for c in EXTRA_CHANNELS)


def extra_map(
    in_channels: int, out_channels: int, *, padding: Padding, norm_layer: NormLayer
) -> nn.Sequential:
    """Half of the channels, half of the size (rounded up), then all channels: 1x1, depthwise, 1x1.

    Args:
        in_channels: Channels of the map before.
        out_channels: Channels of this map.
        padding: ``"symmetric"`` or ``"same"``.
        norm_layer: Makes the normalisation from a channel count.
    """
    common = {"act": _ACT, "padding": padding, "norm_layer": norm_layer}
    half = out_channels // 2
    return nn.Sequential(
        ConvNormAct(in_channels, half, 1, **common),
        ConvNormAct(half, half, 3, stride=2, groups=half, **common),
        ConvNormAct(half, out_channels, 1, **common),
    )


class LightHead(nn.Sequential):
    """A depthwise 3x3 convolution with norm and activation, then 1x1 with bias: ``predict``.

    A head of plain SSD is one 3x3 convolution; this one has about a ninth of its weights.

    Args:
        in_channels: Channels of the map.
        out_channels: Numbers that it gives at each cell.
        norm_layer: Makes the normalisation from a channel count.
    """

    def __init__(self, in_channels: int, out_channels: int, *, norm_layer: NormLayer) -> None:
        super().__init__()
        self.depthwise = ConvNormAct(
            in_channels, in_channels, 3, groups=in_channels, act=_ACT, norm_layer=norm_layer
        )
        self.predict = nn.Conv2d(in_channels, out_channels, 1)


def per_anchor(heads: Iterable[nn.Module], maps: Sequence[Tensor], columns: int) -> Tensor:
    """The answers of all heads in the order of the anchors.

    Args:
        heads: One for each map.
        maps: Feature maps, (N, C, H, W) each.
        columns: Numbers for an anchor.

    Returns:
        Answers in the order anchors of a cell, then x, then y, then the map; (N, A, columns).
    """
    answers = []
    for head, own in zip(heads, maps, strict=True):
        cells = head(own).permute(0, 2, 3, 1)  # (N, H, W, shapes * columns)
        answers.append(cells.reshape(own.shape[0], -1, columns))
    return torch.cat(answers, dim=1)


@torch.no_grad()
def initialise_heads(heads: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draws convolutions from N(0, 0.03); biases 0, norms the identity."""
    for module in heads.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=_INITIAL_STD, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
