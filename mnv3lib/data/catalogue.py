"""Which data sets there are, and in which folders each is looked for.

A data set called ``name`` is looked for in ``root`` if that is given, else in the folder ``name``
of the one that the environment variable ``MNV3_DATA`` names, and last among what
``mnv3 data download`` put into the user's cache. Taught in chapter 7 (training).
"""

import os
from pathlib import Path

from mnv3lib.data.cards import CARDS, DatasetCard
from mnv3lib.names import nearest_names
from mnv3lib.paths import cache_dir

__all__ = ["dataset_card", "list_datasets", "places"]


def list_datasets() -> list[str]:
    """Names of the data sets that :func:`mnv3lib.data.load_dataset` knows, sorted.

    Example:
        >>> "cifar10" in list_datasets()
        True
    """
    return sorted(CARDS)


def dataset_card(name: str) -> DatasetCard:
    """What is known about a data set.

    Raises:
        ValueError: Unknown name; the nearest ones are named.
    """
    if name not in CARDS:
        raise ValueError(f"unknown data set {name!r}; did you mean {nearest_names(name, CARDS)}?")
    return CARDS[name]


def places(card: DatasetCard, root: str | os.PathLike[str] | None = None) -> list[Path]:
    """Folders in which a data set is looked for, first to last.

    Args:
        card: The data set.
        root: Its own folder, or the one that holds the folder ``card.name``.
    """
    if root is not None:
        return [Path(root) / card.name, Path(root)]
    named = os.environ.get("MNV3_DATA")
    first = [Path(named).expanduser() / card.name] if named else []
    return [*first, cache_dir() / "data" / card.name]
