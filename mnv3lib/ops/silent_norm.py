"""Batch norm that starts at zero, so that a residual starts as the identity.

Deep stacks of residuals learn more easily when each begins by returning its input. A body that
ends in a norm of scale zero does that without any other change. Used by EfficientViT (arXiv
2305.07027, official code, ``bn_weight_init=0``). Taught in the chapter on EfficientViT.
"""

from collections.abc import Callable

import torch
from torch import nn

__all__ = ["NormLayer", "SilentNorm"]

NormLayer = Callable[[int], nn.Module]
"""Makes a normalisation from a channel count."""


class SilentNorm(nn.BatchNorm2d):
    """Batch norm whose scale starts at zero: it returns zero until training wants something.

    At the end of a residual's body it makes a fresh residual return its input.
    """

    def reset_parameters(self) -> None:
        """Sets scale and shift to zero, and the running statistics to none."""
        super().reset_parameters()
        nn.init.zeros_(self.weight)

    def draw_weights(self, generator: torch.Generator | None = None) -> None:
        """As :meth:`reset_parameters`; nothing is random."""
        self.reset_parameters()

    @classmethod
    def like(cls, norm_layer: NormLayer) -> NormLayer:
        """The silent counterpart of what makes a batch norm from a channel count."""

        def make(channels: int) -> SilentNorm:
            norm = norm_layer(channels)
            return cls(channels, eps=norm.eps, momentum=norm.momentum)

        return make
