"""All rows that any sequence of proposals can reach (chapter 9).

NetAdapt asks a latency table about rows that nobody names beforehand. But a row depends on three
widths at most, those of its input, its middle and its output, and these come from a grid. So all
rows can be listed and measured once, and no later step finds the table wanting. Their number is
the product of the grids at each row: a coarse divisor and a smallest share keep it small.
"""

import itertools
from collections.abc import Iterator
from dataclasses import replace

from mnv3lib.measure.placed_rows import PlacedRow
from mnv3lib.models import NetworkSpec
from mnv3lib.search.row_costs import place_row
from mnv3lib.search.row_places import RowPlace, row_places
from mnv3lib.search.shrinking import Group, WidthGrid, width_groups

__all__ = ["reachable_places", "reachable_rows"]


def reachable_places(spec: NetworkSpec, resolution: int, grid: WidthGrid) -> list[RowPlace]:
    """Lists the rows of all tables between one and the end of its grid.

    Args:
        spec: The table to start from.
        resolution: Side of the square image in pixels.
        grid: The widths that each group may take; see
            :func:`mnv3lib.search.shrinking.width_grid`.

    Returns:
        Each row at each place once, those of `spec` included.
    """
    found: dict[RowPlace, None] = {}
    group_of = {cell: group for group in width_groups(spec) for cell in group.cells}
    group_in = None  # that of the last output above
    for index, place in enumerate(row_places(spec, resolution)):
        own = {
            column: group_of[index, column]
            for column in ("exp", "out")
            if (index, column) in group_of
        }
        found.update(dict.fromkeys(_variants(place, group_in, own, grid)))
        group_in = own.get("out") if hasattr(place.row, "out") else group_in
    return list(found)


def reachable_rows(spec: NetworkSpec, resolution: int, grid: WidthGrid) -> Iterator[PlacedRow]:
    """Builds the rows of :func:`reachable_places` in deploy form, ready to be timed.

    Args:
        spec: The table to start from.
        resolution: Side of the square image in pixels.
        grid: The widths that each group may take.
    """
    for place in reachable_places(spec, resolution, grid):
        yield place_row(place, spec)


def _variants(
    place: RowPlace, group_in: Group | None, own: dict[str, Group], grid: WidthGrid
) -> Iterator[RowPlace]:
    """Yields one row with every combination of widths that leaves its structure as it is."""
    touched = {g.index: g for g in (group_in, *own.values()) if g is not None}
    choices = [(group.width, *grid[index]) for index, group in touched.items()]
    for widths in itertools.product(*choices):
        width_of = dict(zip(touched, widths, strict=True))
        row = replace(place.row, **{column: width_of[g.index] for column, g in own.items()})
        channels = place.in_channels if group_in is None else width_of[group_in.index]
        variant = replace(place, row=row, in_channels=channels)
        if (variant.expands, variant.adds) == (place.expands, place.adds):
            yield variant
