"""How many different networks a space has: fewer than points (chapter 8).

A shortcut finds no place in a stage of one layer that changes the channels, and a pooled one may
cross a stride that an identity cannot: points that differ only where nothing shows build the same
table. Counting tables one by one is out of the question for MnasNet's space. But what a stage can
become depends on the points before it only through the channels that they hand over, so the
count goes stage by stage, with one number for each width.
"""

import itertools
from collections import Counter

from mnv3lib.search.networks import stage_rows
from mnv3lib.search.space import Space
from mnv3lib.search.stage import CHOICES, Stage, StageOptions

__all__ = ["count_networks"]


def count_networks(space: Space) -> int:
    """Counts the different tables among the points of a space, exactly.

    Args:
        space: A space whose stages can be told apart in a table: each but the first begins with a
            stride or with a width that the stage before does not offer.

    Returns:
        The number of tables.

    Raises:
        ValueError: Two neighbouring stages cannot be told apart.

    Example:
        >>> from mnv3lib.search import MNASNET
        >>> count_networks(MNASNET) / MNASNET.cardinality
        0.345679012345679
    """
    _check_told_apart(space)
    networks_by_width = Counter({space.stem[-1].out: 1})
    for options in space.stages:
        longer: Counter[int] = Counter()
        for width, networks in networks_by_width.items():
            for filters, variants in _variants_by_filters(options, width).items():
                longer[filters] += networks * variants
        networks_by_width = longer
    return networks_by_width.total()


def _variants_by_filters(options: StageOptions, in_channels: int) -> Counter[int]:
    """The number of different stages after a given width, by the width that they hand over."""
    points = itertools.product(*(getattr(options, name) for name in CHOICES))
    tables = {tuple(stage_rows(options, Stage(*values), in_channels)) for values in points}
    return Counter(rows[-1].out for rows in tables)


def _check_told_apart(space: Space) -> None:
    for before, after in itertools.pairwise(space.stages):
        shared = set(before.filters) & set(after.filters)
        if after.stride == 1 and shared:
            raise ValueError(
                f"neighbouring stages of {space.name} share {min(shared)} filters and no stride "
                "parts them: where one ends cannot be told from a table"
            )
