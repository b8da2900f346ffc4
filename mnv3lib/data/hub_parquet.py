"""Image classification sets in the parquet layout of the Hugging Face hub, such as CIFAR-10.

Each row holds an encoded image (a struct of bytes and path) and a label, and the file's metadata
names the classes. The whole split is decoded into memory when it is loaded: the 50,000 images of
CIFAR-10 take about four seconds and 154 MB. Used in chapter 7 (training).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mnv3lib.data.base import ImageArray, View, generator_for
from mnv3lib.data.images import decode_rgb
from mnv3lib.data.needs import needs_extra

__all__ = ["load", "split_files"]

_PLACES = ("{split}.parquet", "{split}-*.parquet", "*/{split}-*.parquet")


def load(
    split: str,
    *,
    root: Path,
    view: View | None = None,
    seed: int = 0,
    name: str,
    title: str,
    image_column: str,
    label_column: str,
) -> ImageArray:
    """Loads one split.

    Args:
        split: ``"train"`` or ``"test"``.
        root: Folder of the data set.
        view: A view without randomness, applied once to each image; images keep their size
            without.
        seed: Handed to the view.
        name: Name in the catalogue.
        title: Name to print; the encoding is added where it is lossy, as in "CIFAR-10 (JPEG)".
        image_column: Column of the images.
        label_column: Column of the labels.

    Raises:
        FileNotFoundError: No parquet file of this split.
        ImportError: pyarrow is not installed.
        ValueError: A random view, a damaged image or file, images of several sizes, or labels
            without names.
    """
    if getattr(view, "random", False):
        raise ValueError(
            f"{name} is held in memory and cannot take a random view; use CenterView here, and "
            "random crops of whole batches from mnv3lib.train"
        )
    table = _read(split_files(root, split))
    absent = {image_column, label_column} - set(table.column_names)
    if absent:
        raise ValueError(
            f"the parquet files of {name} in {root} have no column {sorted(absent)[0]}, only "
            f"{', '.join(table.column_names)}; fetch them from the hub again"
        )
    rows = table[image_column].combine_chunks().field("bytes").to_pylist()
    pixels = _decode(rows, view, seed, f"{name} {split}")
    classes = _class_names(table.schema.metadata, label_column, name)
    labels = torch.from_numpy(table[label_column].to_numpy().astype(np.int64))
    lossy = " (JPEG)" if any(row.startswith(b"\xff\xd8") for row in rows) else ""
    return ImageArray(torch.from_numpy(pixels), labels, classes, name, title=title + lossy)


def split_files(root: Path, split: str) -> list[Path]:
    """The parquet files of a split, in order: ``train.parquet`` or the hub's own names.

    Raises:
        FileNotFoundError: There is none.
    """
    for place in _PLACES:
        found = sorted(root.glob(place.format(split=split)))
        if found:
            return found
    raise FileNotFoundError(f"no {_PLACES[0].format(split=split)} in {root}")


def _read(files: list[Path]) -> Any:
    """All rows of some parquet files as one arrow table."""
    with needs_extra("train"):
        import pyarrow
        from pyarrow import parquet
    try:
        return pyarrow.concat_tables([parquet.read_table(file) for file in files])
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(
            f"cannot read {', '.join(map(str, files))} ({error}): damaged; fetch it again"
        ) from error


def _decode(rows: list[bytes], view: View | None, seed: int, where: str) -> np.ndarray:
    """Decodes encoded images of one size into uint8 (N, 3, H, W)."""
    pixels: np.ndarray | None = None
    for index, row in enumerate(rows):
        image = decode_rgb(row, f"{index} of {where}")
        if view is None:
            one = np.asarray(image).transpose(2, 0, 1)
        else:
            one = view(image, generator_for(seed, index)).numpy()
        if pixels is None:
            pixels = np.empty((len(rows), *one.shape), np.uint8)
        if one.shape != pixels.shape[1:]:
            raise ValueError(
                f"image {index} of {where} has shape {one.shape}, those before it "
                f"{pixels.shape[1:]}; load with a view, for example CenterView(32)"
            )
        pixels[index] = one
    if pixels is None:
        raise ValueError(f"{where} holds no images; fetch it again")
    return pixels


def _class_names(metadata: dict[bytes, bytes] | None, column: str, name: str) -> list[str]:
    """Names of the classes, which the hub writes into the metadata of each file."""
    try:
        return json.loads(metadata[b"huggingface"])["info"]["features"][column]["names"]
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(
            f"the parquet files of {name} do not name their classes (metadata 'huggingface', "
            f"feature {column!r}); fetch them from the hub again"
        ) from error
