"""The width multiplier: one number that thins or widens a whole table (chapter 5).

What it does to a row is decided by the kind of row, in :func:`scaled_row`; the walk through the
table, which knows the channels that enter each row before and after, is here.
"""

from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Literal

from mnv3lib.models.rows import BneckRow, ConvRow, DenseRow, PoolRow, Row, SeparableRow
from mnv3lib.ops import make_divisible, nearest_multiple

__all__ = ["Narrowing", "WidthRule", "is_scalable", "scale_rows", "scaled_out", "scaled_row"]

WidthRule = Literal["paper", "torchvision", "nearest"]
_ROUNDED = {"paper": make_divisible, "torchvision": make_divisible, "nearest": nearest_multiple}


@dataclass(frozen=True)
class Narrowing:
    """What a row needs to know to be scaled.

    Attributes:
        width_mult: Width multiplier.
        rule: ``"paper"``, ``"torchvision"`` or ``"nearest"``.
        table_in: Channels that enter the row in the table.
        scaled_in: Channels that enter it after scaling.
        is_first: Whether it is the first row.
        is_last: Whether it is the last row.
        table_earlier: Channels of the row that it reads as well, in the table; None if none.
        scaled_earlier: The same after scaling.
    """

    width_mult: float
    rule: WidthRule = "paper"
    table_in: int = 3
    scaled_in: int = 3
    is_first: bool = False
    is_last: bool = False
    table_earlier: int | None = None
    scaled_earlier: int | None = None


@singledispatch
def scaled_row(row: Row, at: Narrowing) -> Row:
    """A row after scaling; a kind of row registers here how it is scaled.

    Args:
        row: A line of a table.
        at: What is known at its place.

    Raises:
        ValueError: A kind of row whose width is no free number.
    """
    raise ValueError(
        f"a {type(row).__name__} cannot be scaled by width_mult={at.width_mult:g}; leave it at 1"
    )


def is_scalable(rows: tuple[Row, ...]) -> bool:
    """Whether a width multiplier other than 1 can be applied to all rows of a table."""
    refuses = scaled_row.dispatch(object)
    return all(scaled_row.dispatch(type(row)) is not refuses for row in rows)


def scale_rows(rows: tuple[Row, ...], width_mult: float, rule: WidthRule = "paper") -> tuple:
    """Applies a width multiplier to a table.

    The first two scale output channels alike, ``make_divisible(out * width_mult)``; they differ in

    =============== ================================= ==============================
    ..              ``"paper"``                       ``"torchvision"``
    =============== ================================= ==============================
    expansion       scaled *input* times the ratio    scaled from the table's integer
    last conv       scaled like any output            its ratio to the scaled input
    hidden DenseRow stays (1280 or 1024)              scaled
    =============== ================================= ==============================

    Only the first reproduces the numbers of MobileNetV3's Table 9 (chapter 5). ``"nearest"``
    (MobileDets) is the first with :func:`mnv3lib.ops.nearest_multiple` in the place of
    ``make_divisible``.

    Args:
        rows: The table at width 1.
        width_mult: Above 0.
        rule: ``"paper"`` (slim's code, head kept), ``"torchvision"`` or ``"nearest"``.

    Returns:
        The scaled table.

    Raises:
        ValueError: Width not above 0, an unknown rule, or a row that cannot be scaled.
    """
    if not width_mult > 0:
        raise ValueError(
            f"width_mult must be above 0, got {width_mult}; the paper uses 0.35, 0.5, 0.75, 1, 1.25"
        )
    if rule not in _ROUNDED:
        *others, last = map(repr, _ROUNDED)
        raise ValueError(f"unknown width rule {rule!r}; choose {', '.join(others)} or {last}")
    if width_mult == 1:
        return rows
    scaled: list[Row] = []
    table_outs, scaled_outs = [3], [3]  # channels after each row, behind those of the image
    for index, row in enumerate(rows):
        source = getattr(row, "source", None)
        at = Narrowing(
            width_mult,
            rule,
            table_outs[-1],
            scaled_outs[-1],
            index == 0,
            index == len(rows) - 1,
            None if source is None else table_outs[source + 1],
            None if source is None else scaled_outs[source + 1],
        )
        scaled.append(scaled_row(row, at))
        table_outs.append(getattr(row, "out", table_outs[-1]))
        scaled_outs.append(getattr(scaled[-1], "out", scaled_outs[-1]))
    return tuple(scaled)


def scaled_out(row: Row, at: Narrowing) -> int:
    """The output channels of a row after scaling, as most kinds of rows have it.

    Args:
        row: A line of a table with ``out`` and perhaps ``scaling``.
        at: What is known at its place.
    """
    scaling = getattr(row, "scaling", "always")
    factor = {"always": at.width_mult, "wider": max(1.0, at.width_mult), "never": 1.0}[scaling]
    return row.out if factor == 1.0 else _ROUNDED[at.rule](row.out * factor)


@scaled_row.register
def _(row: ConvRow, at: Narrowing) -> ConvRow:
    if at.rule == "torchvision" and not at.is_first:
        return replace(row, out=at.scaled_in * row.out // at.table_in)
    return replace(row, out=scaled_out(row, at))


@scaled_row.register
def _(row: SeparableRow, at: Narrowing) -> SeparableRow:
    return replace(row, out=scaled_out(row, at))


@scaled_row.register
def _(row: BneckRow, at: Narrowing) -> BneckRow:
    by_table = at.rule == "torchvision"
    wanted = row.exp * at.width_mult if by_table else at.scaled_in * row.exp / at.table_in
    return replace(row, exp=_ROUNDED[at.rule](wanted), out=scaled_out(row, at))


@scaled_row.register
def _(row: PoolRow, at: Narrowing) -> PoolRow:
    return row


@scaled_row.register
def _(row: DenseRow, at: Narrowing) -> DenseRow:
    if at.rule == "torchvision" and not at.is_last:
        return replace(row, out=make_divisible(row.out * at.width_mult))
    return replace(row, out=scaled_out(row, at))
