"""Small helpers that notebooks of the book call: numbers for the prose, tables for the eye.

Both work in the built book, in JupyterLab and in Colab. Numbers that are glued show up in the
text by their key; tables are Markdown for readers and aligned text for the comparison of stored
and fresh outputs.

Explained on the book's style page.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

__all__ = ["Table", "glue", "table"]

_RECORD = "application/papermill.record/text/plain"
_PLAIN = (str, int, float)

Cell = str | int | float | None


def glue(name: str, value: Any) -> None:
    """Keep a value under a key, so that the page's prose can show it.

    In the text, the role ``glue:text`` with ``name:,`` shows it with a format. The cell shows
    nothing, and where the book's tools are not installed nothing happens at all.

    Args:
        name: Key, unique on the page.
        value: A number or a string; one-element tensors and arrays are unwrapped.

    Raises:
        ValueError: The key is not a name, or the value is neither a number nor a string.
    """
    if not name.isidentifier():
        raise ValueError(f"glue key {name!r} is not a name: use letters, digits and underscores")
    single = hasattr(value, "item") and math.prod(value.shape) == 1
    plain = value.item() if single else value
    if not isinstance(plain, _PLAIN):
        raise ValueError(f"cannot glue {type(value).__name__} under {name!r}: give a number or str")
    if find_spec("myst_nb") is None:
        return
    from IPython.display import display

    # The record type that MyST-NB reads; writing it here spares every kernel the import of Sphinx.
    record = {"scrapbook": {"name": name, "mime_prefix": _RECORD.removesuffix("text/plain")}}
    display({_RECORD: repr(plain)}, raw=True, metadata=record)


@dataclass(frozen=True)
class Table:
    """A table that shows itself as Markdown and as aligned text.

    Attributes:
        headers: One a column.
        cells: Formatted cells, row by row.
        right: Whether each column is flushed right.
        caption: Text above the table, or empty.
        name: Label for ``{numref}``, or empty.
    """

    headers: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    right: tuple[bool, ...]
    caption: str = ""
    name: str = ""

    def __repr__(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.headers, *self.cells, strict=True)]
        ruler = tuple("-" * width for width in widths)
        lines = [self._line(row, widths) for row in (self.headers, ruler, *self.cells)]
        return "\n".join([self.caption, *lines] if self.caption else lines)

    def _line(self, row: tuple[str, ...], widths: Sequence[int]) -> str:
        columns = zip(row, widths, self.right, strict=True)
        padded = (text.rjust(size) if right else text.ljust(size) for text, size, right in columns)
        return "  ".join(padded).rstrip()

    def _repr_markdown_(self) -> str:
        marks = tuple("---:" if right else ":---" for right in self.right)
        rows = (self.headers, marks, *self.cells)
        body = "\n".join("| " + " | ".join(map(_escaped, row)) + " |" for row in rows)
        return f"**{self.caption}**\n\n{body}" if self.caption else body

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        data = {"text/plain": repr(self), "text/markdown": self._repr_markdown_()}
        about = {"caption": self.caption, "name": self.name}
        return data, {"captioned_table": about} if self.caption else {}


def table(
    rows: Sequence[Sequence[Cell]],
    headers: Sequence[str],
    *,
    formats: Sequence[str] | None = None,
    caption: str = "",
    name: str = "",
) -> Table:
    """Lay out rows under headers; as the last expression of a cell the table shows itself.

    Without formats, whole numbers get thousands separators, other numbers two decimals,
    ``None`` a dash. A column of numbers is flushed right.

    Args:
        rows: Cells, row by row.
        headers: One a column.
        formats: One ``str.format`` pattern a column, such as ``"{:.1f}"``; ``None`` for defaults.
        caption: Text above the table; the book then numbers it.
        name: Label for ``{numref}``, such as ``tbl-large-rows``; needs a caption, and a caption
            needs it.

    Returns:
        The table.

    Raises:
        ValueError: A row or ``formats`` has another length than ``headers``, there is no row, or
            only one of caption and name is given.
    """
    if not rows:
        raise ValueError("a table needs at least one row")
    for row in [*rows, formats or headers]:
        if len(row) != len(headers):
            raise ValueError(f"{len(row)} cells in {list(row)!r} for {len(headers)} headers")
    if bool(caption) != bool(name):
        raise ValueError("give both caption and name, or neither")
    patterns = formats or [""] * len(headers)
    cells = tuple(tuple(map(_formatted, row, patterns)) for row in rows)
    right = tuple(all(not isinstance(c, str) for c in col) for col in zip(*rows, strict=True))
    return Table(tuple(headers), cells, right, caption, name)


def _formatted(cell: Cell, pattern: str) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if pattern and not isinstance(cell, str):
        return pattern.format(cell)
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:,.2f}" if isinstance(cell, float) else str(cell)


def _escaped(text: str) -> str:
    return text.replace("|", r"\|")
