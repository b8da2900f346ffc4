"""Rows that no table of the papers needs, but MnasNet's search space offers (chapter 8).

MnasNet-A1 is made of inverted residuals with their input as shortcut, and
:class:`mnv3lib.models.rows.BneckRow` says just that. The space that it was found in (arXiv
1807.11626, section 4.1) also has blocks without shortcut or with a pooled one, and convolutions
with shortcut or squeeze-and-excite. The paper does not say which pooling; a 3x3 average is ours.

Importing this module teaches :class:`mnv3lib.models.Network` to build these rows.
"""

from dataclasses import dataclass, fields
from typing import Literal

import torch
from torch import Tensor, nn

from mnv3lib.models.initial_weights import initialise
from mnv3lib.models.row_modules import Place, row_module, squeeze_channels
from mnv3lib.models.rows import BneckRow, ConvRow, PlainBneckRow
from mnv3lib.ops import SqueezeExcite

__all__ = ["Skip", "SkipBneckRow", "SkipConvRow", "WithSkip"]

Skip = Literal["none", "identity", "pool"]
_IN_WORDS = {"none": "no shortcut", "identity": "shortcut", "pool": "pooled shortcut"}


@dataclass(frozen=True)
class SkipBneckRow(BneckRow):
    """An inverted residual whose shortcut is not its input.

    Attributes:
        skip: ``"none"`` or ``"pool"``.
    """

    skip: Skip = "none"

    @property
    def operator(self) -> str:
        """The row in words, as reports print it."""
        return f"{super().operator}, {_IN_WORDS[self.skip]}"


@dataclass(frozen=True)
class SkipConvRow(ConvRow):
    """A convolution with squeeze-and-excite or a shortcut.

    Attributes:
        se: Whether there is a squeeze-and-excite after the activation.
        skip: ``"none"``, ``"identity"`` or ``"pool"``.
    """

    se: bool = False
    skip: Skip = "none"

    @property
    def operator(self) -> str:
        """The row in words, as reports print it."""
        return f"{super().operator}{', SE' if self.se else ''}, {_IN_WORDS[self.skip]}"


class WithSkip(nn.Module):
    """A block, squeeze-and-excite if any, and a shortcut around both.

    Args:
        body: From (N, C, H, W) to (N, C', H / stride, W / stride), rounded up.
        stride: Stride of the body.
        skip: ``"identity"`` and ``"pool"`` need C' = C, the first also a stride of 1.
        se: Squeeze-and-excite over C' channels, or None.
    """

    def __init__(
        self, body: nn.Module, *, stride: int, skip: Skip, se: SqueezeExcite | None = None
    ) -> None:
        super().__init__()
        self.body = body
        self.se = se
        self.shortcut: nn.Module | None = None
        if skip == "identity":
            self.shortcut = nn.Identity()
        elif skip == "pool":  # an odd kernel with padding: the size of the body's map
            self.shortcut = nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: Feature map, (N, C, H, W). Returns (N, C', H / stride, W / stride), rounded up."""
        y = self.body(x)
        if self.se is not None:
            y = self.se(y)
        return y if self.shortcut is None else y + self.shortcut(x)


class _LateSqueezeExcite(SqueezeExcite):
    """Draws its weights after the rest of the network.

    So a network with it and the same one without share the weights of everything else.
    """

    def draw_weights(self, generator: torch.Generator | None) -> None:
        for layer in self.children():
            initialise(layer, generator)


@row_module.register
def _(row: SkipBneckRow, place: Place) -> nn.Module:
    body = row_module(PlainBneckRow(*(getattr(row, f.name) for f in fields(BneckRow))), place)
    if row.skip == "none":
        return body
    return WithSkip(body, stride=place.stride, skip=row.skip)


@row_module.register
def _(row: SkipConvRow, place: Place) -> nn.Module:
    body = row_module(ConvRow(row.kernel, row.out, row.act, row.stride, row.scaling), place)
    se = None
    if row.se:
        middle = squeeze_channels(place.spec, place.in_channels, row.out)
        se = _LateSqueezeExcite(row.out, middle, gate=place.spec.gate, act=place.spec.squeeze_act)
    return WithSkip(body, stride=place.stride, skip=row.skip, se=se)
