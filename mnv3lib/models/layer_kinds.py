"""Layers by what they do, apart from their widths: inverted, fused, Tucker.

A table of MobileDets, like the space it was found in, says of each layer only its kind, its kernel
and a ratio or two; channels belong to the block of layers around it. Each kind here makes its row
of a table once the channels are known, and tells what it costs. Source: arXiv 2004.14525, section
3. Taught in the chapter on MobileDets.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from mnv3lib.models.decomposed_rows import FusedRow, TuckerRow
from mnv3lib.models.rows import BneckRow, PlainBneckRow, Row
from mnv3lib.ops import nearest_multiple

__all__ = [
    "Fused",
    "Inverted",
    "LayerBlock",
    "LayerKind",
    "LayerPlace",
    "Macs",
    "Tucker",
    "unroll_blocks",
]

_SQUEEZE = 0.25  # of the middle, in squeeze-and-excite


class Macs(NamedTuple):
    """Multiply-adds by the kind of convolution that spends them.

    Attributes:
        pointwise: Of 1x1 convolutions.
        depthwise: Of depthwise ones.
        regular: Of kxk convolutions that mix channels.
    """

    pointwise: int = 0
    depthwise: int = 0
    regular: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self)


@dataclass(frozen=True)
class LayerPlace:
    """What a table decides about a layer besides its kind and its channels.

    Attributes:
        act: Activation.
        se: Whether an inverted residual has squeeze-and-excite; the other kinds never do.
        stride: Stride.
        residual: Whether the layer adds its input.
    """

    act: str
    se: bool = False
    stride: int = 1
    residual: bool = True


@dataclass(frozen=True)
class Inverted:
    """An inverted residual (IBN): 1x1, depthwise, 1x1.

    Attributes:
        kernel: Side of the depthwise kernel.
        expansion: Middle over input channels; 1 leaves the first convolution out.
    """

    kernel: int
    expansion: int

    def row(self, in_channels: int, out: int, at: LayerPlace) -> BneckRow:
        """The row of a table."""
        kind = BneckRow if at.residual else PlainBneckRow
        return kind(self.kernel, self.expansion * in_channels, out, at.se, at.act, at.stride)

    def macs(self, in_channels: int, out: int, side: int, at: LayerPlace) -> Macs:
        """What it costs on a square map of that side."""
        middle, pixels = self.expansion * in_channels, (-(-side // at.stride)) ** 2
        expand = side**2 * in_channels * middle if self.expansion > 1 else 0
        squeeze = 2 * middle * nearest_multiple(_SQUEEZE * middle) if at.se else 0
        pointwise = expand + pixels * middle * out + squeeze
        return Macs(pointwise, pixels * self.kernel**2 * middle)


@dataclass(frozen=True)
class Fused:
    """A fused inverted residual: regular convolution, 1x1. It has no squeeze-and-excite.

    Attributes:
        kernel: Side of the regular kernel.
        expansion: Middle over input channels.
    """

    kernel: int
    expansion: int

    def row(self, in_channels: int, out: int, at: LayerPlace) -> FusedRow:
        """The row of a table."""
        return FusedRow(self.kernel, self.expansion, out, at.act, at.stride, at.residual)

    def macs(self, in_channels: int, out: int, side: int, at: LayerPlace) -> Macs:
        """What it costs on a square map of that side."""
        middle, pixels = self.expansion * in_channels, (-(-side // at.stride)) ** 2
        return Macs(pixels * middle * out, 0, pixels * self.kernel**2 * in_channels * middle)


@dataclass(frozen=True)
class Tucker:
    """A Tucker block: 1x1, regular convolution, 1x1. It has no squeeze-and-excite.

    Attributes:
        in_ratio: Channels that enter the regular convolution over those of the input.
        out_ratio: Channels that leave it over those of the output.
        kernel: Side of the regular kernel.
    """

    in_ratio: float
    out_ratio: float
    kernel: int = 3

    def row(self, in_channels: int, out: int, at: LayerPlace) -> TuckerRow:
        """The row of a table."""
        ratios = self.in_ratio, self.out_ratio
        return TuckerRow(self.kernel, *ratios, out, at.act, at.stride, at.residual)

    def macs(self, in_channels: int, out: int, side: int, at: LayerPlace) -> Macs:
        """What it costs on a square map of that side."""
        a, b = nearest_multiple(self.in_ratio * in_channels), nearest_multiple(self.out_ratio * out)
        pixels = (-(-side // at.stride)) ** 2
        return Macs(
            side**2 * in_channels * a + pixels * b * out, 0, pixels * self.kernel**2 * a * b
        )


LayerKind = Inverted | Fused | Tucker


@dataclass(frozen=True)
class LayerBlock:
    """Layers of one width; only the first has the stride, and only the others add their input.

    Attributes:
        filters: Output channels of every layer.
        stride: Stride of the first layer.
        layers: The layers, of which None is left out; the first never adds its input, even where
            the shapes agree.
    """

    filters: int
    stride: int
    layers: tuple[LayerKind | None, ...]


def unroll_blocks(
    in_channels: int, blocks: Iterable[LayerBlock], *, act: str, se: bool
) -> Iterator[Row]:
    """Yields the rows of all layers, in order.

    Args:
        in_channels: Channels that enter the first block.
        blocks: The table, block by block.
        act: Activation of every layer.
        se: Whether inverted residuals have squeeze-and-excite.
    """
    for block in blocks:
        there = (layer for layer in block.layers if layer is not None)
        for index, layer in enumerate(there):
            place = LayerPlace(act, se, block.stride if index == 0 else 1, residual=index > 0)
            yield layer.row(in_channels, block.filters, place)
            in_channels = block.filters
