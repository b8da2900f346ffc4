"""What ``mnv3 data list`` and ``mnv3 data check`` report, as plain data.

A check decodes every image once and collects what a training run would otherwise stumble over after
hours: damaged images, labels outside of the classes, boxes outside of their image, masks of another
size. Used in chapter 7 (training).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from mnv3lib.data.base import DataNotFoundError, ImageDataset
from mnv3lib.data.catalogue import dataset_card, list_datasets, places
from mnv3lib.data.coco import BoxFiles
from mnv3lib.data.registry import load_dataset

__all__ = ["CheckReport", "Problem", "check_dataset", "overview"]

_SLACK_PX = 1.0  # boxes are rounded when they are written


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        split: The split.
        where: The image: its file, or its index in sets that are held in memory.
        text: What is wrong with it.
    """

    split: str
    where: str
    text: str


@dataclass
class CheckReport:
    """What a check found.

    Attributes:
        name: The data set.
        title: Its name to print; it may tell the encoding.
        classes: Number of classes.
        images: Images of each split that is there.
        boxes: Boxes of each split, for detection.
        missing: Splits that are not there.
        problems: Everything that is wrong, in order.
    """

    name: str
    title: str
    classes: int = 0
    images: dict[str, int] = field(default_factory=dict)
    boxes: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; a missing split is not wrong."""
        return not self.problems


def overview(root: str | os.PathLike[str] | None = None) -> list[dict[str, str]]:
    """One row a data set: name, title, task, splits, folder (if it is there), source, licence."""
    rows = []
    for card in map(dataset_card, list_datasets()):
        there = [str(folder) for folder in places(card, root) if folder.is_dir()][:1]
        rows.append(
            {
                "name": card.name,
                "title": card.title,
                "task": card.task,
                "splits": ", ".join(card.splits),
                "folder": "in the package" if card.shipped else "".join(there),
                "source": card.source,
                "licence": card.licence,
            }
        )
    return rows


def check_dataset(
    name: str,
    root: str | os.PathLike[str] | None = None,
    *,
    workers: int = 0,
    progress: bool = True,
) -> CheckReport:
    """Reads everything of a data set once and reports what is wrong with it.

    Args:
        name: One of :func:`mnv3lib.data.list_datasets`.
        root: As for :func:`mnv3lib.data.load_dataset`.
        workers: Loader processes beside this one.
        progress: Whether to show a bar on the standard error, if that is a terminal.

    Raises:
        DataNotFoundError: No split of it is there.
        ValueError: Unknown name.
    """
    card = dataset_card(name)
    report = CheckReport(name=name, title=card.title)
    for split in card.splits:
        try:
            dataset = load_dataset(name, split, root=root)
        except DataNotFoundError as error:
            report.missing.append(split)
            absent = error
        except ValueError as error:
            report.problems.append(Problem(split, "the whole split", str(error)))
        else:
            _check_split(dataset, split, report, workers, progress)
    if report.missing == list(card.splits):
        raise absent
    return report


def _check_split(
    dataset: ImageDataset, split: str, report: CheckReport, workers: int, progress: bool
) -> None:
    """Adds one split to a report."""
    report.title, report.classes = dataset.title, len(dataset.classes)
    report.images[split] = len(dataset)
    if isinstance(dataset, BoxFiles):
        report.boxes[split] = len(dataset.boxes)
    found = DataLoader(
        _Inspected(dataset), batch_size=None, num_workers=workers, collate_fn=_unchanged
    )
    hidden = None if progress else True
    bar = tqdm(found, f"{dataset.name} {split}", unit="image", disable=hidden)
    for index, texts in enumerate(bar):
        where = str(dataset.paths[index]) if hasattr(dataset, "paths") else f"image {index}"
        report.problems += [Problem(split, where, text) for text in texts]


def _unchanged(sample: list[str]) -> list[str]:
    return sample


class _Inspected(Dataset):
    """A data set whose samples are what is wrong with those of another one."""

    def __init__(self, dataset: ImageDataset) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> list[str]:
        dataset = self._dataset
        try:
            image, _ = dataset[index]
        except (ValueError, FileNotFoundError) as error:
            return [str(error)]
        # With labels or masks, whatever can be wrong is an error when they are loaded.
        return list(_boxes(dataset, index, image)) if isinstance(dataset, BoxFiles) else []


def _boxes(dataset: BoxFiles, index: int, image: torch.Tensor) -> Iterator[str]:
    """Boxes against the image that was decoded."""
    height, width = image.shape[1:]
    if dataset.sizes[index].tolist() != [width, height]:
        stated = "x".join(str(side) for side in dataset.sizes[index].tolist())
        yield f"the image is {width}x{height} pixels, its annotations say {stated}"
    boxes = dataset.target(index)["boxes"]
    limit = torch.tensor([width, height, width, height]) + _SLACK_PX
    outside = ((boxes < -_SLACK_PX) | (boxes > limit)).any(dim=1)
    for box in boxes[outside].tolist():
        yield f"the box {box} (x0, y0, x1, y1) is outside of the {width}x{height} pixels"
