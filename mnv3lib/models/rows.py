"""Networks as data: one typed row for each line of a paper's table.

A :class:`NetworkSpec` is a table and the few conventions that a paper's text or code adds to
it. :mod:`mnv3lib.models.builder` turns it into a network whose ``rows[i]`` is line *i* of the
table. Taught in chapter 5 (the two networks).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from mnv3lib.ops import Padding, make_divisible

__all__ = [
    "HS",
    "RE",
    "BneckRow",
    "ConvRow",
    "DenseRow",
    "NetworkSpec",
    "PoolRow",
    "Row",
    "SeparableRow",
    "WidthRule",
    "expansion_ratios",
    "scale_rows",
]

RE, HS = "relu", "hard_swish"  # the two symbols of the 'NL' column of MobileNetV3's tables

Scaling = Literal["always", "wider", "never"]
WidthRule = Literal["paper", "torchvision"]


@dataclass(frozen=True)
class ConvRow:
    """``conv2d kxk``: convolution, batch norm, activation.

    Attributes:
        kernel: Side of the kernel.
        out: Output channels at width 1.
        act: Activation.
        stride: Stride.
        scaling: When the width multiplier applies: ``"always"``, only if it is ``"wider"``
            than 1, or ``"never"``.
    """

    kernel: int
    out: int
    act: str
    stride: int = 1
    scaling: Scaling = "always"

    @property
    def operator(self) -> str:
        """The row in words, as reports print it."""
        return f"conv2d {self.kernel}x{self.kernel}"


@dataclass(frozen=True)
class SeparableRow:
    """MobileNetV1's pair of lines ``conv dw / s`` and ``conv / s1``."""

    kernel: int
    out: int
    act: str
    stride: int = 1

    @property
    def operator(self) -> str:
        """The row in words, as reports print it."""
        return f"separable {self.kernel}x{self.kernel}"


@dataclass(frozen=True)
class BneckRow:
    """``bneck, kxk``: an inverted residual; fields in the order of MobileNetV3's tables.

    Attributes:
        kernel: Side of the depthwise kernel.
        exp: Channels of the expansion ('exp size') at width 1.
        out: Output channels ('#out') at width 1.
        se: Whether there is a squeeze-and-excite (the tick in column 'SE').
        act: Activation ('NL').
        stride: Stride ('s').
    """

    kernel: int
    exp: int
    out: int
    se: bool
    act: str
    stride: int = 1

    @property
    def operator(self) -> str:
        """The row in words, as reports print it."""
        return f"bneck {self.kernel}x{self.kernel}"


@dataclass(frozen=True)
class PoolRow:
    """``pool``: global average pooling; (N, C, H, W) becomes (N, C)."""

    @property
    def operator(self) -> str:
        """The row in words, as reports print it."""
        return "pool"


@dataclass(frozen=True)
class DenseRow:
    """A fully connected layer with bias (``conv2d 1x1, NBN`` after pooling is the same thing).

    Attributes:
        out: Output features.
        act: Activation, or None for the classifier.
        scaling: As in :class:`ConvRow`. The papers' widths never scale it.
    """

    out: int
    act: str | None = None
    scaling: Scaling = "never"

    @property
    def operator(self) -> str:
        """The row in words, as reports print it."""
        return "dense"


Row = ConvRow | SeparableRow | BneckRow | PoolRow | DenseRow


@dataclass(frozen=True)
class NetworkSpec:
    """A whole network: the table's rows and the conventions around them.

    Attributes:
        family: Name under which foreign checkpoints know the network.
        rows: The table, top to bottom.
        source: Paper, table and version that the rows follow.
        squeeze: What a quarter is taken of in squeeze-and-excite: the block's ``"expansion"``
            (MobileNetV3) or its ``"input"`` (MnasNet, EfficientNet).
        gate: Gate of squeeze-and-excite.
        squeeze_act: Activation inside squeeze-and-excite.
        padding: ``"symmetric"`` (PyTorch) or ``"same"`` (TensorFlow).
        bn_eps: Epsilon of batch norm.
        bn_momentum: Momentum of batch norm in PyTorch's sense (1 - decay).
        dropout: Dropout rate before the classifier.
        output_stride: Input pixels per pixel of the last map; below 32, later strides become
            dilation.
        stages: Blocks in each stage, a stage being consecutive blocks of one width in the
            paper's table. Kept through width scaling, since foreign key layouts count by it.
    """

    family: str
    rows: tuple[Row, ...]
    source: str
    squeeze: Literal["expansion", "input"] = "expansion"
    gate: Literal["hard_sigmoid", "sigmoid"] = "hard_sigmoid"
    squeeze_act: str = "relu"
    padding: Padding = "symmetric"
    bn_eps: float = 1e-3
    bn_momentum: float = 0.01
    dropout: float = 0.2
    output_stride: int = 32
    stages: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.stages:
            blocks = [row for row in self.rows if isinstance(row, BneckRow | SeparableRow)]
            lengths = tuple(len(list(group)) for _, group in groupby(blocks, key=lambda r: r.out))
            object.__setattr__(self, "stages", lengths)

    def with_classes(self, num_classes: int) -> "NetworkSpec":
        """The same network with another number of classes."""
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}")
        return replace(self, rows=(*self.rows[:-1], replace(self.rows[-1], out=num_classes)))


def _with_input(rows: tuple[Row, ...]) -> Iterator[tuple[Row, int]]:
    """Pairs each row with its input channels, starting from an RGB image."""
    channels = 3
    for row in rows:
        yield row, channels
        channels = getattr(row, "out", channels)


def expansion_ratios(rows: tuple[Row, ...]) -> list[float]:
    """Expansion over input channels, for each bneck of a table (MobileNetV2's *t*)."""
    return [row.exp / c_in for row, c_in in _with_input(rows) if isinstance(row, BneckRow)]


def _scaled_out(row: ConvRow | SeparableRow | DenseRow | BneckRow, width_mult: float) -> int:
    scaling = getattr(row, "scaling", "always")
    factor = {"always": width_mult, "wider": max(1.0, width_mult), "never": 1.0}[scaling]
    return row.out if factor == 1.0 else make_divisible(row.out * factor)


def scale_rows(rows: tuple[Row, ...], width_mult: float, rule: WidthRule = "paper") -> tuple:
    """Applies a width multiplier to a table.

    Both rules scale output channels alike, ``make_divisible(out * width_mult)``; they differ in

    =============== ================================= ==============================
    ..              ``"paper"``                       ``"torchvision"``
    =============== ================================= ==============================
    expansion       scaled *input* times the ratio    scaled from the table's integer
    last conv       scaled like any output            its ratio to the scaled input
    hidden DenseRow stays (1280 or 1024)              scaled
    =============== ================================= ==============================

    Only the first reproduces the numbers of MobileNetV3's Table 9 (chapter 5).

    Args:
        rows: The table at width 1.
        width_mult: Above 0.
        rule: ``"paper"`` (slim's code, head kept) or ``"torchvision"``.

    Returns:
        The scaled table.

    Raises:
        ValueError: Width not above 0, or an unknown rule.
    """
    if not width_mult > 0:
        raise ValueError(
            f"width_mult must be above 0, got {width_mult}; the paper uses 0.35, 0.5, 0.75, 1, 1.25"
        )
    if rule not in ("paper", "torchvision"):
        raise ValueError(f"unknown width rule {rule!r}; choose 'paper' or 'torchvision'")
    by_table = rule == "torchvision"
    scaled: list[Row] = []
    channels = 3  # scaled counterpart of the table's input channels
    for index, (row, table_in) in enumerate(_with_input(rows)):
        if not isinstance(row, PoolRow):
            out = _scaled_out(row, width_mult)
            if isinstance(row, BneckRow):
                wanted = row.exp * width_mult if by_table else channels * row.exp / table_in
                row = replace(row, exp=make_divisible(wanted))
            elif by_table and isinstance(row, ConvRow) and index > 0:
                out = channels * row.out // table_in
            elif by_table and isinstance(row, DenseRow) and index < len(rows) - 1:
                out = make_divisible(row.out * width_mult)
            channels = out
            row = replace(row, out=out)
        scaled.append(row)
    return tuple(scaled)
