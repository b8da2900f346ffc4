"""From a row to its module, by the kind of row (chapter 5).

:func:`row_module` is the table of kinds; a module with rows of its own extends it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, singledispatch

from torch import Tensor, nn

from mnv3lib.models.rows import (
    BneckRow,
    ConvRow,
    DenseRow,
    NetworkSpec,
    PlainBneckRow,
    PoolRow,
    Row,
    SeparableRow,
)
from mnv3lib.ops import (
    ConvNormAct,
    DepthwiseSeparable,
    InvertedResidual,
    activation,
    squeeze_from_expansion,
    squeeze_from_input,
)

__all__ = [
    "SQUEEZE_RULES",
    "Dense",
    "GlobalAveragePool",
    "Place",
    "row_module",
    "squeeze_channels",
]

SQUEEZE_RULES: dict[str, Callable[[int, int], int]] = {
    "expansion": lambda in_channels, expanded: squeeze_from_expansion(expanded),
    "input": lambda in_channels, expanded: squeeze_from_input(in_channels),
}
"""Middle channels of squeeze-and-excite from a block's input and expansion, by rule."""


@dataclass(frozen=True)
class Place:
    """Where in a network a row is built.

    Attributes:
        in_channels: Channels (or features) that enter it.
        spec: Conventions of the network around it.
        stride: Its stride there.
        dilation: Dilation of its kernel.
        side: Side in pixels of the square map that enters it, for networks that are built for one
            size of images; None for the others.
        earlier_channels: Channels of the earlier row that it reads as well; None if it reads none.
    """

    in_channels: int
    spec: NetworkSpec
    stride: int = 1
    dilation: int = 1
    side: int | None = None
    earlier_channels: int | None = None

    @property
    def geometry(self) -> dict[str, int]:
        """Stride and dilation, as the blocks of :mod:`mnv3lib.ops` take them."""
        return {"stride": self.stride, "dilation": self.dilation}

    @property
    def conventions(self) -> dict[str, object]:
        """Padding and norm layer, as the blocks of :mod:`mnv3lib.ops` take them."""
        momentum = self.spec.bn_momentum
        norm_layer = partial(nn.BatchNorm2d, eps=self.spec.bn_eps, momentum=momentum)
        return {"padding": self.spec.padding, "norm_layer": norm_layer}

    def refuse(self, row: Row, *options: str) -> None:
        """Raises a ValueError if an option that a kind of row does not know has been used.

        Args:
            row: The row.
            *options: Out of ``"padding"`` (other than symmetric), ``"dilation"`` (other than 1) and
                ``"side"`` (unknown).
        """
        what = type(row).__name__
        if "padding" in options and self.spec.padding != "symmetric":
            raise ValueError(
                f"a {what} pads symmetrically, got padding={self.spec.padding!r}; leave it out"
            )
        if "dilation" in options and (self.dilation != 1 or self.stride != _own_stride(row)):
            raise ValueError(
                f"a {what} cannot trade its stride for dilation, as "
                f"output_stride={self.spec.output_stride} asks; leave it out"
            )
        if "side" in options and self.side is None:
            raise ValueError(
                f"a {what} is built for one size of maps: set resolution in the network's spec"
            )


def _own_stride(row: Row) -> int:
    return getattr(row, "stride", 1)


def squeeze_channels(spec: NetworkSpec, in_channels: int, expanded: int) -> int:
    """Middle channels of a block's squeeze-and-excite.

    Args:
        spec: Conventions of the network.
        in_channels: Channels that enter the block.
        expanded: Channels that are gated.

    Raises:
        ValueError: The specification names a rule that there is not.
    """
    if spec.squeeze not in SQUEEZE_RULES:
        raise ValueError(f"unknown squeeze {spec.squeeze!r}; choose one of {list(SQUEEZE_RULES)}")
    return SQUEEZE_RULES[spec.squeeze](in_channels, expanded)


class GlobalAveragePool(nn.Module):
    """The mean of each channel over the map."""

    def forward(self, x: Tensor) -> Tensor:
        """x: Feature map, (N, C, H, W). Returns (N, C)."""
        return nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)


class Dense(nn.Module):
    """Dropout, a fully connected layer with bias, and an activation; the last two as asked.

    Args:
        in_features: Features of the input.
        out_features: Features of the output.
        act: Name of the activation, or None.
        dropout: Dropout rate on the input.
    """

    def __init__(
        self, in_features: int, out_features: int, *, act: str | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout) if dropout else None
        self.linear = nn.Linear(in_features, out_features)
        self.act = None if act is None else activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """x: Features, (N, C). Returns (N, C')."""
        if self.dropout is not None:
            x = self.dropout(x)
        x = self.linear(x)
        return x if self.act is None else self.act(x)


@singledispatch
def row_module(row: Row, place: Place) -> nn.Module:
    """The module of a row; a kind of row registers here how it is built.

    Args:
        row: A line of a table.
        place: Where it stands.

    Returns:
        A module from (N, C, H, W), or from (N, C) behind pooling; called with the earlier row's
        output as second argument if it has an attribute ``source``.

    Raises:
        ValueError: A kind of row that nobody registered.
    """
    raise ValueError(
        f"no module is known for a row of type {type(row).__name__}: import the module that has "
        "its kind, or register it with mnv3lib.models.row_modules.row_module"
    )


@row_module.register
def _(row: ConvRow, place: Place) -> nn.Module:
    options = {**place.conventions, **place.geometry}
    return ConvNormAct(place.in_channels, row.out, row.kernel, act=row.act, **options)


@row_module.register
def _(row: SeparableRow, place: Place) -> nn.Module:
    options = {**place.conventions, **place.geometry}
    return DepthwiseSeparable(place.in_channels, row.out, row.kernel, act=row.act, **options)


@row_module.register
def _(row: BneckRow, place: Place) -> nn.Module:
    return _inverted_residual(row, place)


@row_module.register
def _(row: PlainBneckRow, place: Place) -> nn.Module:
    return _inverted_residual(row, place, residual=False)


def _inverted_residual(
    row: BneckRow, place: Place, residual: bool | None = None
) -> InvertedResidual:
    spec, c_in = place.spec, place.in_channels
    return InvertedResidual(
        c_in,
        row.exp,
        row.out,
        row.kernel,
        squeeze_channels=squeeze_channels(spec, c_in, row.exp) if row.se else None,
        gate=spec.gate,
        squeeze_act=spec.squeeze_act,
        act=row.act,
        residual=residual,
        always_expand=spec.always_expand,
        **place.conventions,
        **place.geometry,
    )


@row_module.register
def _(row: PoolRow, place: Place) -> nn.Module:
    return GlobalAveragePool()


@row_module.register
def _(row: DenseRow, place: Place) -> nn.Module:
    dropout = place.spec.dropout if row.act is None else 0.0
    return Dense(place.in_channels, row.out, act=row.act, dropout=dropout)
