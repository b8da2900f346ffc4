"""Data sets by name: one function that loads them all. Taught in chapter 7 (training)."""

import inspect
import os
from importlib import import_module
from pathlib import Path
from types import ModuleType

from mnv3lib.data.base import DataNotFoundError, ImageDataset, View
from mnv3lib.data.cards import DatasetCard
from mnv3lib.data.catalogue import dataset_card, places

__all__ = ["load_dataset"]


def load_dataset(
    name: str,
    split: str = "train",
    *,
    root: str | os.PathLike[str] | None = None,
    view: View | None = None,
    seed: int = 0,
    download: bool = False,
    **options: object,
) -> ImageDataset:
    """Loads one split of a data set.

    Args:
        name: One of :func:`mnv3lib.data.list_datasets`.
        split: One of the card's splits, as `mnv3 data list` shows them.
        root: Where to look instead of in `MNV3_DATA`: the data set's own folder, or the one that
            holds it.
        view: For classification, what makes a square of each image (:mod:`mnv3lib.data.views`).
            Without, images keep their size.
        seed: Seed of all random choices.
        download: Fetch the data set first if it is missing and may be fetched.
        **options: What the layout's own ``load`` takes besides.

    Returns:
        A map-style data set of (image, target), see :class:`mnv3lib.data.ImageDataset`.

    Raises:
        DataNotFoundError: Its files are missing; the message says where to get them.
        ValueError: Unknown name, split or option, a view where none applies, or damaged files.
        ImportError: The layout needs a library that is not installed.
    """
    card = dataset_card(name)
    module = import_module(f"mnv3lib.data.{card.module}")
    own = _own_arguments(card, module, view, seed)
    _check_request(card, split, view)
    _check_options(card, module, own, options)
    arguments = {**own, **options}
    if card.shipped:
        return module.load(split, root=root, **arguments)
    failures: list[FileNotFoundError] = []
    for folder in places(card, root):
        try:
            return module.load(split, root=folder, **arguments)
        except FileNotFoundError as error:
            failures.append(error)
    if download:
        from mnv3lib.data.hub_download import download_dataset

        return module.load(split, root=download_dataset(name, root=root), **arguments)
    raise DataNotFoundError(_missing(card, split, root, failures)) from failures[0]


def _own_arguments(
    card: DatasetCard, module: ModuleType, view: View | None, seed: int
) -> dict[str, object]:
    """What is handed to a layout besides options: of the common arguments those that it takes."""
    taken = inspect.signature(module.load).parameters
    common = {"name": card.name, "title": card.title, "view": view, "seed": seed}
    return {**{key: value for key, value in common.items() if key in taken}, **card.fixed}


def _check_request(card: DatasetCard, split: str, view: View | None) -> None:
    """Holds split and view against the card."""
    if split not in card.splits:
        raise ValueError(f"{card.name} has the splits {', '.join(card.splits)}, not {split!r}")
    if view is not None and card.task != "classification":
        raise ValueError(
            f"{card.name} is for {card.task}: a view would move pixels away from their targets; "
            "load it without, at native size"
        )


def _check_options(
    card: DatasetCard, module: ModuleType, own: dict[str, object], options: dict[str, object]
) -> None:
    """Holds the options of the caller against what the layout takes."""
    taken = {"split", "root", *own}
    allowed = [key for key in inspect.signature(module.load).parameters if key not in taken]
    unknown = sorted(set(options) - set(allowed))
    if unknown:
        known = f"it takes {', '.join(allowed)}" if allowed else "it takes none"
        raise ValueError(f"{card.name} has no option {', '.join(unknown)}; {known}")


def _missing(
    card: DatasetCard,
    split: str,
    root: str | os.PathLike[str] | None,
    failures: list[FileNotFoundError],
) -> str:
    """The error for a data set that is not there, with the way to it."""
    known = os.environ.get("MNV3_DATA")
    where = "root was given" if root is not None else f"MNV3_DATA is {known or 'not set'}"
    looked = "; ".join(str(error) for error in failures)
    home = str(Path(root) if root is not None else places(card)[0])
    return (
        f"{card.title} ({split}) was not found: {looked} ({where}). Get it from {card.source}. "
        f"Put it into {home}, in this layout: {card.layout}. To keep data sets elsewhere, set "
        f"MNV3_DATA to the folder that holds {card.name}/, or pass root"
    )
