"""Detection sets in COCO's format: one JSON file a split, with images, categories and boxes.

Category numbers may have holes (COCO's 80 classes are numbered 1 to 90), so labels are 0 to C - 1
in the order of those numbers; ``category_ids`` keeps the way back for predictions. Crowd boxes are
kept and marked, images without a box are kept, and boxes without an area (a few in COCO) are
dropped and counted. Images come at native size, since boxes must move together with their image.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mnv3lib.data.base import ImageDataset
from mnv3lib.data.images import PathList, image_tensor, read_rgb

__all__ = ["BoxFiles", "load"]


class BoxFiles(ImageDataset):
    """Images with boxes.

    Everything is held in a few arrays, which loader processes share; the boxes of image *i* are
    rows ``starts[i]`` to ``starts[i + 1]``.

    Args:
        content: A parsed JSON file of COCO's format.
        folder: Where its images lie.
        name: Name in the catalogue.
        title: Name to print.

    Attributes:
        category_ids: COCO's category number for each label.
        image_ids: COCO's number of each image, int64 (N,).
        sizes: Width and height of each image as the file states them, int64 (N, 2).
        dropped: How many boxes without an area were left out.

    Raises:
        ValueError: An annotation whose category or image the file does not list.
    """

    task = "detection"

    def __init__(self, content: Mapping[str, Any], folder: Path, *, name: str, title: str) -> None:
        categories = sorted(content["categories"], key=lambda category: category["id"])
        classes = [category["name"] for category in categories]
        super().__init__(name=name, classes=classes, title=title)
        self.category_ids = tuple(category["id"] for category in categories)
        images = sorted(content["images"], key=lambda image: image["id"])
        self.paths = PathList([folder / image["file_name"] for image in images])
        self.image_ids = torch.tensor([image["id"] for image in images])
        self.sizes = torch.tensor([[image["width"], image["height"]] for image in images])
        self._set_boxes(content["annotations"])

    def _set_boxes(self, annotations: list[Mapping[str, Any]]) -> None:
        """Sorts the boxes by image into arrays."""
        labels = {number: label for label, number in enumerate(self.category_ids)}
        places = {number: place for place, number in enumerate(self.image_ids.tolist())}
        rows = []
        for annotation in annotations:
            category, image = annotation["category_id"], annotation["image_id"]
            if category not in labels or image not in places:
                raise ValueError(
                    f"{self.name}: annotation {annotation.get('id')} has category {category} of "
                    f"image {image}; categories are {list(labels)}, images {len(places)} others"
                )
            x, y, width, height = annotation["bbox"]
            if width > 0 and height > 0:
                box = (x, y, x + width, y + height)
                rows.append((places[image], box, labels[category], annotation.get("iscrowd", 0)))
        rows.sort(key=lambda row: row[0])
        self.dropped = len(annotations) - len(rows)
        self.boxes = torch.tensor([row[1] for row in rows], dtype=torch.float32).reshape(-1, 4)
        self.labels = torch.tensor([row[2] for row in rows], dtype=torch.int64)
        self.crowd = torch.tensor([row[3] for row in rows], dtype=torch.bool)
        owners = torch.tensor([row[0] for row in rows], dtype=torch.int64)
        self.starts = torch.searchsorted(owners, torch.arange(len(places) + 1))

    def __len__(self) -> int:
        return len(self.paths)

    def target(self, index: int) -> dict[str, Tensor | int]:
        """Boxes, labels and crowd marks of an image, and its COCO number; nothing is decoded."""
        rows = slice(int(self.starts[index]), int(self.starts[index + 1]))
        return {
            "boxes": self.boxes[rows].clone(),
            "labels": self.labels[rows].clone(),
            "image_id": int(self.image_ids[index]),
            "crowd": self.crowd[rows].clone(),
        }

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Tensor | int]]:
        """The image, uint8 (3, H, W), and its :meth:`target`."""
        return image_tensor(read_rgb(self.paths[index])), self.target(index)


def load(
    split: str,
    *,
    root: Path,
    name: str,
    title: str,
    annotations: str,
    images: str,
) -> BoxFiles:
    """Loads one split.

    Args:
        split: Name of the split.
        root: Folder of the data set.
        name: Name in the catalogue.
        title: Name to print.
        annotations: The JSON file relative to ``root``, with ``{split}`` in it.
        images: The folder of the images relative to ``root``, with ``{split}`` in it.

    Raises:
        FileNotFoundError: No JSON file or no folder of images for this split.
        ValueError: The file is damaged or not of COCO's format.
    """
    file, folder = root / annotations.format(split=split), root / images.format(split=split)
    if not file.is_file():
        raise FileNotFoundError(f"no {annotations.format(split=split)} in {root}")
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {images.format(split=split)} in {root}")
    try:
        return BoxFiles(json.loads(file.read_bytes()), folder, name=name, title=title)
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file} is not a JSON file of COCO's format ({error!r}); fetch it again"
        ) from error
