"""Running the rows of a table, one after the other, and those that look further back.

Most rows read what the row before them returns. A row whose module has an attribute ``source``
also reads the output of row ``source``: it is called as ``module(x, earlier)``.
"""

from collections.abc import Callable, Iterable, Iterator

from torch import Tensor, nn

__all__ = ["Rows", "earlier_rows", "run_rows"]


def earlier_rows(rows: Iterable[nn.Module]) -> dict[int, int]:
    """Which rows read an earlier row's output too.

    Args:
        rows: The modules of a table from its top.

    Returns:
        The row that is read, by the row that reads it; empty for a plain chain.
    """
    sources = ((index, getattr(row, "source", None)) for index, row in enumerate(rows))
    return {index: source for index, source in sources if source is not None}


def run_rows(
    rows: nn.Sequential, x: Tensor, *, call: Callable[..., Tensor] | None = None
) -> Iterator[Tensor]:
    """Yields the output of each row; it is kept only as long as the caller or a row needs it.

    Args:
        rows: The modules of a table from its top, such as ``network.rows`` or ``network.rows[:5]``.
        x: What enters the first of them, (N, C, H, W).
        call: Runs a row in a way of its own: from index, module, and one or two inputs to the
            output. Without it the module is called with them.
    """
    read_by = earlier_rows(rows)
    kept: dict[int, Tensor] = {}
    for index, row in enumerate(rows):
        inputs = (x, kept[read_by[index]]) if index in read_by else (x,)
        x = row(*inputs) if call is None else call(index, row, *inputs)
        if index in read_by.values():
            kept[index] = x
        yield x


class Rows(nn.Sequential):
    """The modules of a table; a slice from the top is one of these, too."""

    def forward(self, x: Tensor) -> Tensor:
        """x: What enters the first row, (N, C, H, W). Returns what leaves the last one."""
        for y in run_rows(self, x):
            x = y
        return x
