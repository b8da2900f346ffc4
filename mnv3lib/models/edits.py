"""Edits of a table: what studies change about a network, one row at a time (chapter 7).

Each takes the rows of a table and returns new ones; :func:`mnv3lib.models.registry.create_model`
offers them as options. MobileNetV3's own edits are in :mod:`mnv3lib.models.mobilenet_v3`.
"""

from dataclasses import replace

from mnv3lib.models.rows import Row

__all__ = ["remove_strides", "with_swish", "without_skip_blocks", "without_squeeze_excite"]


def remove_strides(rows: tuple[Row, ...], count: int) -> tuple[Row, ...]:
    """Sets the first strides of two to one, for images that are smaller than ImageNet's.

    At 32 pixels the five strides of a MobileNet leave a single pixel; without the first one the
    maps are those of an image of 64 pixels.

    Args:
        rows: A table.
        count: How many strides to remove, from the top.

    Raises:
        ValueError: A negative count, or more than the table has.
    """
    strided = [index for index, row in enumerate(rows) if getattr(row, "stride", 1) > 1]
    if not 0 <= count <= len(strided):
        raise ValueError(f"removed_strides must be 0 to {len(strided)} for this table, got {count}")
    freed = strided[:count]
    return tuple(replace(row, stride=1) if i in freed else row for i, row in enumerate(rows))


def without_skip_blocks(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Leaves out every row that adds something made of an earlier row's output to its input."""
    return tuple(row for row in rows if getattr(row, "source", None) is None)


def without_squeeze_excite(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Leaves squeeze-and-excite out of every row that can have it (its field ``se``)."""
    return tuple(replace(row, se=False) if getattr(row, "se", False) else row for row in rows)


def with_swish(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Puts swish, the curve that hard swish stands for, in its place; gates stay as they are."""

    def is_hard(row: Row) -> bool:
        return getattr(row, "act", None) == "hard_swish"

    return tuple(replace(row, act="swish") if is_hard(row) else row for row in rows)
