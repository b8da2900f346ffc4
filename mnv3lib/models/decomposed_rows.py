"""Rows whose blocks have regular convolutions in the place of depthwise ones (MobileDets).

Two kinds beside those of :mod:`mnv3lib.models.rows`: a fused inverted residual and a Tucker block.
Their middles are ratios, not channels, so that a width multiplier changes nothing but ``out``.
Source: arXiv 2004.14525, section 3. Taught in the chapter on MobileDets.
"""

from dataclasses import dataclass, replace

from torch import nn

from mnv3lib.models.row_modules import Place, row_module
from mnv3lib.models.rows import row_kind
from mnv3lib.models.scaling import Narrowing, scaled_out, scaled_row
from mnv3lib.ops import FusedInvertedResidual, TuckerBlock, nearest_multiple

__all__ = ["FusedRow", "TuckerRow"]


@row_kind("fused")
@dataclass(frozen=True)
class FusedRow:
    """A fused inverted residual: a regular convolution that widens, and 1x1 back.

    Attributes:
        kernel: Side of the regular kernel.
        expansion: Middle over input channels.
        out: Output channels at width 1.
        act: Activation.
        stride: Stride.
        residual: Whether the input is added; None where the shapes agree.
    """

    kernel: int
    expansion: int
    out: int
    act: str
    stride: int = 1
    residual: bool | None = None

    @property
    def operator(self) -> str:
        """The row in words, as reports print it."""
        return f"fused {self.kernel}x{self.kernel}"


@row_kind("tucker")
@dataclass(frozen=True)
class TuckerRow:
    """A Tucker block: 1x1 to few channels, a regular convolution, 1x1 to the output.

    Attributes:
        kernel: Side of the regular kernel.
        in_ratio: Channels that enter the regular convolution over those of the input.
        out_ratio: Channels that leave it over those of the output.
        out: Output channels at width 1.
        act: Activation.
        stride: Stride.
        residual: Whether the input is added; None where the shapes agree.
    """

    kernel: int
    in_ratio: float
    out_ratio: float
    out: int
    act: str
    stride: int = 1
    residual: bool | None = None

    @property
    def operator(self) -> str:
        """The row in words, as reports print it."""
        return f"tucker {self.kernel}x{self.kernel}"


@row_module.register
def _(row: FusedRow, place: Place) -> nn.Module:
    return FusedInvertedResidual(
        place.in_channels,
        row.expansion * place.in_channels,
        row.out,
        row.kernel,
        residual=row.residual,
        act=row.act,
        **place.conventions,
        **place.geometry,
    )


@row_module.register
def _(row: TuckerRow, place: Place) -> nn.Module:
    return TuckerBlock(
        place.in_channels,
        nearest_multiple(row.in_ratio * place.in_channels),
        nearest_multiple(row.out_ratio * row.out),
        row.out,
        row.kernel,
        residual=row.residual,
        act=row.act,
        **place.conventions,
        **place.geometry,
    )


@scaled_row.register
def _(row: FusedRow, at: Narrowing) -> FusedRow:
    return replace(row, out=scaled_out(row, at))


@scaled_row.register
def _(row: TuckerRow, at: Narrowing) -> TuckerRow:
    return replace(row, out=scaled_out(row, at))
