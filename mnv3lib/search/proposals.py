"""What NetAdapt proposes for a cut of the latency: one table for each group (chapter 9).

Source: arXiv 1804.03230 (NetAdapt), the step that it calls ChooseNumFilters. A group alone has to
pay the whole cut, and keeps as many channels as it can: the *largest* width with

    latency(proposal) <= latency(present) - cut.

The paper writes <=, and so do we; the authors' public code asks for strictly less. Measured
latencies need not fall with the width, so the widths are tried one after another from above.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from mnv3lib.models import NetworkSpec
from mnv3lib.search.shrinking import (
    Group,
    WidthGrid,
    keeps_structure,
    width_groups,
    with_width,
)

__all__ = ["Latency", "Proposal", "propose"]

Latency = Callable[[NetworkSpec], float]
"""From a table to its latency in milliseconds, or to any other cost that is to fall."""


@dataclass(frozen=True)
class Proposal:
    """A table with one group shrunk.

    Attributes:
        group: The group, as it was before.
        width: Its new width, in channels.
        spec: The table.
        latency_ms: Its latency.
    """

    group: Group
    width: int
    spec: NetworkSpec = field(repr=False)
    latency_ms: float


def propose(spec: NetworkSpec, latency: Latency, cut_ms: float, grid: WidthGrid) -> list[Proposal]:
    """Shrinks each group on its own until the latency has fallen by a cut.

    Args:
        spec: The present table.
        latency: From a table to milliseconds.
        cut_ms: What each proposal has to save at least, in milliseconds; above 0.
        grid: The widths that each group may take; see
            :func:`mnv3lib.search.shrinking.width_grid`.

    Returns:
        At most one proposal a group, in the order of the groups; groups that cannot save as much
        on their own have none.

    Raises:
        ValueError: A cut that is not above 0, or a grid for another number of groups.
        MissingRowsError: A latency table lacks a row.
    """
    if not cut_ms > 0:
        raise ValueError(f"a proposal must save something: the cut must be above 0, got {cut_ms}")
    limit_ms = latency(spec) - cut_ms
    groups = width_groups(spec)
    if len(groups) != len(grid):
        raise ValueError(f"the grid has {len(grid)} groups, the table {len(groups)}")
    tried = (_widest(spec, group, latency, limit_ms, grid[group.index]) for group in groups)
    return [proposal for proposal in tried if proposal is not None]


def _widest(
    spec: NetworkSpec, group: Group, latency: Latency, limit_ms: float, widths: tuple[int, ...]
) -> Proposal | None:
    """The largest width of a group that meets a limit, if any does."""
    for width in (w for w in widths if w < group.width):
        shrunk = with_width(spec, group, width)
        if keeps_structure(spec, shrunk):
            latency_ms = latency(shrunk)
            if latency_ms <= limit_ms:
                return Proposal(group, width, shrunk, latency_ms)
    return None
