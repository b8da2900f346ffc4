"""A folder of images beside one table of labels: the layout of the ImageNet sample.

``labels.csv`` has the columns index, wnid and name, one row a class, and ``images/<wnid>.jpg`` is
the one image of the class. It is a smoke test for pretrained networks: most of its images are from
ImageNet's training set, so its score is never an ImageNet accuracy. Used in chapter 7 (training).
"""

import csv
from pathlib import Path

from mnv3lib.data.base import ImageFiles, View

__all__ = ["load"]

_COLUMNS = ["index", "wnid", "name"]


def load(
    split: str, *, root: Path, view: View | None = None, seed: int = 0, name: str, title: str
) -> ImageFiles:
    """Loads the images in the order of their labels.

    Args:
        split: The one split; it is not looked at.
        root: Folder of the data set.
        view: What makes a square of each image.
        seed: Seed of the view.
        name: Name in the catalogue.
        title: Name to print.

    Raises:
        FileNotFoundError: No ``labels.csv``, or an image that it names is missing.
        ValueError: The table has other columns, or its indices are not 0 to N - 1, each once.
    """
    table = root / "labels.csv"
    if not table.is_file():
        raise FileNotFoundError(f"no {table.name} in {root}")
    with table.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != _COLUMNS:
            raise ValueError(f"{table} has the columns {reader.fieldnames}, expected {_COLUMNS}")
        rows = sorted(reader, key=lambda row: _index(row, table))
    for expected, row in enumerate(rows):
        if int(row["index"]) != expected:
            raise ValueError(
                f"{table}: index {row['index']} is out of range: {len(rows)} classes have the "
                f"indices 0 to {len(rows) - 1}, each once"
            )
    paths = [root / "images" / f"{row['wnid']}.jpg" for row in rows]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"no {path}, which {table.name} names")
    classes = [row["name"] for row in rows]
    return ImageFiles(paths, range(len(rows)), classes, name, view, seed, title=title)


def _index(row: dict[str, str], table: Path) -> int:
    try:
        return int(row["index"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{table}: index {row['index']!r} is not a whole number") from error
