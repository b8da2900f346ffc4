"""ImageNet's layout: one folder a class, one image a file.

Read are ``train/<class>/*.JPEG`` and ``val/<class>/*.JPEG`` in the data set's folder or in its
``ILSVRC/Data/CLS-LOC``. In Kaggle's archive the validation images lie in one flat folder, and their
classes in ``LOC_val_solution.csv``; that is read too. Classes are the folder names of ``train`` in
sorted order (ImageNet's usual order of labels), so that a validation part with fewer folders keeps
the labels. Files that do not end like an image are ignored. Used in chapter 7 (training).
"""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

from mnv3lib.data.base import ImageFiles, View

__all__ = ["load"]

_PLACES = (".", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC")
_SUFFIXES = (".jpeg", ".jpg", ".png", ".webp", ".bmp")
_SOLUTION = "LOC_val_solution.csv"


def load(
    split: str, *, root: Path, view: View | None = None, seed: int = 0, name: str, title: str
) -> ImageFiles:
    """Loads one split; images are decoded when they are asked for.

    Args:
        split: Name of the split's folder.
        root: Folder of the data set.
        view: What makes a square of each image.
        seed: Seed of the view.
        name: Name in the catalogue.
        title: Name to print.

    Raises:
        FileNotFoundError: No folder of this split, or no image in it.
        ValueError: A class of this split that the training split does not have.
    """
    folder = _split_folder(root, split)
    train = folder.parent / "train"
    classes = _class_folders(train if train.is_dir() else folder)
    files = list(_labelled(folder, root))
    if not files:
        raise FileNotFoundError(f"no images ({', '.join(_SUFFIXES)}) in {folder}")
    numbers = {wnid: label for label, wnid in enumerate(classes)}
    unknown = sorted({wnid for _, wnid in files} - set(numbers))
    if unknown:
        raise ValueError(
            f"{folder} has the class {unknown[0]} ({len(unknown)} such), which {train} does not "
            "have; both must come from the same data set"
        )
    paths = [path for path, _ in files]
    labels = [numbers[wnid] for _, wnid in files]
    return ImageFiles(paths, labels, classes, name, view, seed, title=title)


def _split_folder(root: Path, split: str) -> Path:
    """The folder of a split, in one of the known places."""
    for place in _PLACES:
        if (root / place / split).is_dir():
            return root / place / split
    raise FileNotFoundError(f"no folder {split} in {root}")


def _class_folders(folder: Path) -> list[str]:
    """Names of the class folders, sorted; hidden ones are none."""
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))


def _images(folder: Path) -> list[str]:
    """Names of the image files in a folder, sorted; any other file is ignored."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith(".")]
    return sorted(name for name in names if name.lower().endswith(_SUFFIXES))


def _labelled(folder: Path, root: Path) -> Iterator[tuple[str, str]]:
    """Path and class of each image of a split, class by class."""
    classes = _class_folders(folder)
    for wnid in classes:
        for name in _images(folder / wnid):
            yield os.path.join(folder, wnid, name), wnid
    if not classes:
        yield from _flat(folder, root)


def _flat(folder: Path, root: Path) -> Iterator[tuple[str, str]]:
    """Path and class of each image of Kaggle's flat validation folder."""
    names = _images(folder)
    solution = root / _SOLUTION
    if not names or not solution.is_file():
        return
    with solution.open(newline="", encoding="utf-8") as file:
        wnids = {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(file)}
    for name in names:
        stem = Path(name).stem
        if stem not in wnids:
            raise ValueError(f"{solution} does not name the class of {folder / name}")
        yield os.path.join(folder, name), wnids[stem]
