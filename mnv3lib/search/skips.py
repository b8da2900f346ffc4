"""Rows that no table of the papers needs, but MnasNet's search space offers (chapter 8).

MnasNet-A1 is made of inverted residuals with their input as shortcut, and
:class:`mnv3lib.models.rows.BneckRow` says just that. The space that it was found in (arXiv
1807.11626, section 4.1) also has blocks without shortcut or with a pooled one, and convolutions
with shortcut or squeeze-and-excite. The paper does not say which pooling; a 3x3 average is ours.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from mnv3lib.models import Network, NetworkSpec
from mnv3lib.models.builder import initialise
from mnv3lib.models.rows import BneckRow, ConvRow, Row
from mnv3lib.ops import (
    ConvNormAct,
    InvertedResidual,
    SqueezeExcite,
    squeeze_from_expansion,
    squeeze_from_input,
)

__all__ = ["Skip", "SkipBneckRow", "SkipConvRow", "WithSkip", "build"]

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


def build(spec: NetworkSpec, *, generator: torch.Generator | None = None) -> Network:
    """Builds a network whose table may have the rows of this module.

    Args:
        spec: A table, for instance of :func:`mnv3lib.search.networks.spec_of`.
        generator: Source of the initial weights; PyTorch's global one when not given.

    Returns:
        A network as :class:`mnv3lib.models.Network` makes it, with the same weights wherever
        the rows are the papers' own.
    """
    network = Network(replace(spec, rows=tuple(map(_plain, spec.rows))), generator=generator)
    for index, row in enumerate(spec.rows):
        if isinstance(row, SkipBneckRow):
            network.rows[index] = _with_bneck_skip(network.rows[index], row)
        elif isinstance(row, SkipConvRow):
            network.rows[index] = _with_conv_skip(network.rows[index], row, spec, generator)
    network.spec = spec
    return network


def _plain(row: Row) -> Row:
    """The row of the papers' tables that has the same convolutions."""
    if isinstance(row, SkipBneckRow):
        return BneckRow(row.kernel, row.exp, row.out, row.se, row.act, row.stride)
    if isinstance(row, SkipConvRow):
        return ConvRow(row.kernel, row.out, row.act, row.stride, row.scaling)
    return row


def _with_bneck_skip(body: InvertedResidual, row: SkipBneckRow) -> nn.Module:
    body.use_residual = False
    if row.skip == "none":
        return body
    return WithSkip(body, stride=body.depthwise.conv.stride[0], skip=row.skip)


def _with_conv_skip(
    body: ConvNormAct, row: SkipConvRow, spec: NetworkSpec, generator: torch.Generator | None
) -> WithSkip:
    se = None
    if row.se:
        by_input = spec.squeeze == "input"
        middle = (
            squeeze_from_input(body.conv.in_channels)
            if by_input
            else squeeze_from_expansion(row.out)
        )
        se = SqueezeExcite(row.out, middle, gate=spec.gate, act=spec.squeeze_act)
        initialise(se, generator)
    return WithSkip(body, stride=body.conv.stride[0], skip=row.skip, se=se)
