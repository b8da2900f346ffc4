"""Networks as data: one typed row for each line of a paper's table.

A :class:`NetworkSpec` is a table and the few conventions that a paper's text or code adds to
it. :mod:`mnv3lib.models.builder` turns it into a network whose ``rows[i]`` is line *i* of the
table. Taught in chapter 5 (the two networks).

The rows here are those of the MobileNets. Another kind is a frozen dataclass in a module of its
own, marked with :func:`row_kind`, which extends :func:`mnv3lib.models.row_modules.row_module` and
:func:`mnv3lib.models.scaling.scaled_row`. A network reads of it ``stride`` (1 if it has none),
``out`` (else as its input) and ``source`` (a row whose output it reads beside its input, if any).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby, takewhile
from typing import Any, Literal

from mnv3lib.ops import Padding

__all__ = [
    "HS",
    "RE",
    "ROW_KINDS",
    "BneckRow",
    "ConvRow",
    "DenseRow",
    "NetworkSpec",
    "PlainBneckRow",
    "PoolRow",
    "Row",
    "SeparableRow",
    "expansion_ratios",
    "row_kind",
    "with_input",
]

RE, HS = "relu", "hard_swish"  # the two symbols of the 'NL' column of MobileNetV3's tables

Row = Any
"""A line of a table: one of the frozen dataclasses here, or of another module of rows."""

Scaling = Literal["always", "wider", "never"]

ROW_KINDS: dict[str, type] = {}
"""Kinds of rows by the name that they have in tables stored as data."""


def row_kind(name: str) -> Callable[[type], type]:
    """A decorator: rows of this class are stored as data under a name, such as ``"bneck"``."""

    def register(kind: type) -> type:
        ROW_KINDS[name] = kind
        return kind

    return register


@row_kind("conv")
@dataclass(frozen=True)
class ConvRow:
    """``conv2d kxk``: convolution, batch norm, activation.

    Attributes:
        kernel: Side of the kernel.
        out: Output channels at width 1.
        act: Activation, or None.
        stride: Stride.
        scaling: When the width multiplier applies: ``"always"``, only if it is ``"wider"``
            than 1, or ``"never"``.
    """

    kernel: int
    out: int
    act: str | None
    stride: int = 1
    scaling: Scaling = "always"

    @property
    def operator(self) -> str:
        """The row in words, as reports print it."""
        return f"conv2d {self.kernel}x{self.kernel}"


@row_kind("separable")
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


@row_kind("bneck")
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


@row_kind("plain_bneck")
@dataclass(frozen=True)
class PlainBneckRow(BneckRow):
    """A :class:`BneckRow` that never adds its input."""

    @property
    def operator(self) -> str:
        """The row in words, as reports print it."""
        return f"{super().operator}, no shortcut"


@row_kind("pool")
@dataclass(frozen=True)
class PoolRow:
    """``pool``: global average pooling; (N, C, H, W) becomes (N, C)."""

    @property
    def operator(self) -> str:
        """The row in words, as reports print it."""
        return "pool"


@row_kind("dense")
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


@dataclass(frozen=True)
class NetworkSpec:
    """A whole network: the table's rows and the conventions around them.

    Attributes:
        family: Name under which foreign checkpoints know the network.
        rows: The table, top to bottom.
        source: Paper, table and version that the rows follow.
        squeeze: What a quarter is taken of in squeeze-and-excite: the block's ``"expansion"``
            (MobileNetV3) or its ``"input"`` (MnasNet, EfficientNet); a name in
            :data:`mnv3lib.models.row_modules.SQUEEZE_RULES`.
        gate: Gate of squeeze-and-excite.
        squeeze_act: Activation inside squeeze-and-excite.
        padding: ``"symmetric"`` (PyTorch) or ``"same"`` (TensorFlow).
        bn_eps: Epsilon of batch norm.
        bn_momentum: Momentum of batch norm in PyTorch's sense (1 - decay).
        dropout: Dropout rate before the classifier.
        output_stride: Pixels of the image a pixel of the last map; below 32 strides dilate.
        stages: Blocks in each stage, consecutive blocks of one width in the paper's table. Kept
            through width scaling, since foreign key layouts count by it.
        always_expand: Whether bnecks keep their first convolution where it does not widen.
        detector_maps: What a detector looks at beside the last map: the ``"expansion"`` of the
            last strided block (MobileNetV3), or the ``"output"`` of the block before it.
        detector_norm: Epsilon and momentum under a detector: the ``"head"``'s, or its ``"own"``.
        width_rule: How a width multiplier rounds, see :mod:`mnv3lib.models.scaling`.
        initial: How weights start; a name in :data:`mnv3lib.models.initial_weights.RULES`.
        resolution: Side in pixels of the images that it is made for; None means 224.
        any_size: Whether it takes other sizes too; if not, rows are built for their maps' sides.
    """

    family: str
    rows: tuple[Row, ...]
    source: str
    squeeze: str = "expansion"
    gate: Literal["hard_sigmoid", "sigmoid"] = "hard_sigmoid"
    squeeze_act: str = "relu"
    padding: Padding = "symmetric"
    bn_eps: float = 1e-3
    bn_momentum: float = 0.01
    dropout: float = 0.2
    output_stride: int = 32
    stages: tuple[int, ...] = ()
    always_expand: bool = False
    detector_maps: Literal["expansion", "output"] = "expansion"
    detector_norm: Literal["head", "own"] = "head"
    width_rule: str = "paper"
    initial: str = "mobilenet"
    resolution: int | None = None
    any_size: bool = True

    def __post_init__(self) -> None:
        if (self.resolution or 1) < 1 or not (self.any_size or self.resolution):
            raise ValueError(f"resolution must be a number of pixels, got {self.resolution}")
        if not self.stages:
            blocks = [row for row in self.rows if isinstance(row, BneckRow | SeparableRow)]
            lengths = tuple(len(list(group)) for _, group in groupby(blocks, key=lambda r: r.out))
            object.__setattr__(self, "stages", lengths)

    @property
    def map_rows(self) -> tuple[Row, ...]:
        """The rows that return maps: those before pooling."""
        return tuple(takewhile(lambda row: not isinstance(row, PoolRow | DenseRow), self.rows))

    def with_classes(self, num_classes: int) -> "NetworkSpec":
        """The same network with another number of classes."""
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}")
        return replace(self, rows=(*self.rows[:-1], replace(self.rows[-1], out=num_classes)))


def with_input(rows: tuple[Row, ...]) -> Iterator[tuple[Row, int]]:
    """Yields each row of a table with its input channels, starting from an RGB image."""
    channels = 3
    for row in rows:
        yield row, channels
        channels = getattr(row, "out", channels)


def expansion_ratios(rows: tuple[Row, ...]) -> list[float]:
    """Expansion over input channels, for each bneck of a table (MobileNetV2's *t*)."""
    return [row.exp / c_in for row, c_in in with_input(rows) if isinstance(row, BneckRow)]
