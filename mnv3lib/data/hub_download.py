"""Fetching the data sets that may be fetched without an account, from the Hugging Face hub.

What arrives is kept as one parquet file a split, in the layout that :mod:`mnv3lib.data.hub_parquet`
reads. For every other data set the way to it is told instead.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from mnv3lib.data.base import DataNotFoundError
from mnv3lib.data.catalogue import dataset_card, places
from mnv3lib.data.needs import needs_extra

__all__ = ["download_dataset"]


def download_dataset(name: str, *, root: str | os.PathLike[str] | None = None) -> Path:
    """Fetches a data set, unless it is there already.

    Args:
        name: One of :func:`mnv3lib.data.list_datasets`.
        root: Folder in which to make the folder ``name``; the one that ``MNV3_DATA`` names when
            not given, else the user's cache.

    Returns:
        The data set's folder, with one ``<split>.parquet`` a split.

    Raises:
        ValueError: Unknown name, or a data set that comes with the package.
        DataNotFoundError: It needs a registration or a conversion, or the hub cannot be reached.
        ImportError: The library `datasets` is not installed.
    """
    card = dataset_card(name)
    if card.shipped:
        raise ValueError(f"{name} comes with the package: load it, nothing is to be downloaded")
    folder = places(card, root)[0]
    if card.hub is None:
        raise DataNotFoundError(
            f"{card.title} cannot be fetched from here. Get it from {card.source} (licence: "
            f"{card.licence}), and put it into {folder}, in this layout: {card.layout}"
        )
    wanted = [split for split in card.splits if not _file(folder, split).is_file()]
    if wanted:
        fetched = _fetch(card.hub)
        for split in wanted:
            _keep(fetched[split], _file(folder, split))
    return folder


def _file(folder: Path, split: str) -> Path:
    return folder / f"{split}.parquet"


def _fetch(hub: str) -> Any:
    """All splits of a hub data set."""
    with needs_extra("train"):
        import datasets
    try:
        return datasets.load_dataset(hub)
    except Exception as error:  # each layer below has its own kind: sockets, HTTP, the hub's
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise DataNotFoundError(
            f"the hub data set {hub} could not be fetched ({reason[0]}); is there a network? "
            f"Elsewhere, fetch huggingface.co/datasets/{hub} and copy its parquet files"
        ) from error


def _keep(split: Any, file: Path) -> None:
    """Writes one split beside its final name and renames it when it is complete."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.stem}-") as folder:
        part = Path(folder) / file.name
        split.to_parquet(part)
        os.replace(part, file)
