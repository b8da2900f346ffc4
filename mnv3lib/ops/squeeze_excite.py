"""Squeeze-and-excite: a gate per channel, computed from the whole map.

Taught in chapter 3. Sources: arXiv 1709.01507, section 3; arXiv 1905.02244 (final version),
section 5.3. The papers differ in one number, the width of the squeezed layer:

=============  ============================  ==========
paper          squeezed channels             gate
=============  ============================  ==========
MnasNet        1/4 of the block's *input*    sigmoid
MobileNetV3    1/4 of the *expansion*        hard sigmoid
=============  ============================  ==========
"""

from collections import OrderedDict
from typing import Literal

from torch import Tensor, nn

from mnv3lib.ops.activations import activation
from mnv3lib.ops.channels import make_divisible

__all__ = ["SqueezeExcite", "squeeze_from_expansion", "squeeze_from_input"]


def squeeze_from_expansion(expanded_channels: int) -> int:
    """MobileNetV3's rule: a quarter of the expansion, rounded to eight (72 -> 24, 960 -> 240)."""
    return make_divisible(expanded_channels / 4)


def squeeze_from_input(in_channels: int) -> int:
    """MnasNet's and EfficientNet's rule: a quarter of the block's input (24 -> 6, 160 -> 40)."""
    return max(1, int(0.25 * in_channels))


class SqueezeExcite(nn.Sequential):
    """Scales each channel by a gate in [0, 1] that all channels decide together.

    Global average pool -> 1x1 conv to ``squeeze_channels`` (``reduce``) -> activation -> 1x1
    conv back (``expand``) -> gate -> multiply. The 1x1 convolutions carry a bias and no norm.

    Args:
        channels: C, channels of the map.
        squeeze_channels: Q, channels in the middle.
        gate: ``"hard_sigmoid"`` (MobileNetV3) or ``"sigmoid"`` (SE-Net, MnasNet).
        act: Activation between the convolutions.

    Raises:
        ValueError: ``squeeze_channels`` is below 1.
    """

    def __init__(
        self,
        channels: int,
        squeeze_channels: int,
        *,
        gate: Literal["hard_sigmoid", "sigmoid"] = "hard_sigmoid",
        act: str = "relu",
    ) -> None:
        if squeeze_channels < 1:
            raise ValueError(f"squeeze_channels must be at least 1, got {squeeze_channels}")
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["pool"] = nn.AdaptiveAvgPool2d(1)
        layers["reduce"] = nn.Conv2d(channels, squeeze_channels, kernel_size=1)
        layers["act"] = activation(act)
        layers["expand"] = nn.Conv2d(squeeze_channels, channels, kernel_size=1)
        layers["gate"] = activation(gate)
        super().__init__(layers)

    def scale(self, x: Tensor) -> Tensor:
        """The gate itself. x: (N, C, H, W). Returns (N, C, 1, 1), values in [0, 1]."""
        return super().forward(x)

    def forward(self, x: Tensor) -> Tensor:
        """x: Feature map, (N, C, H, W). Returns the gated map, the same shape."""
        return x * self.scale(x)
