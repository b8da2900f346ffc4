"""Recorded examples: what trained detectors and segmenters say about a few test images.

Neither the images nor their annotations are in the run, since they may not be passed on; who has
the data set finds them by split and number. How well an answer agrees with them was noted when it
was recorded. Boxes are in pixels of the image. Label maps are half as high and
wide (every second pixel) and stored as runs: ``a12b3`` is twelve pixels of class 0 and then three
of class 1, row by row. Written by :mod:`mnv3lib.ledger.record_head_examples`; read in chapters 10
and 11.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_letters
from typing import Any

import torch
from torch import Tensor

from mnv3lib.data.mask_folder import VOID
from mnv3lib.heads.detections import Detections
from mnv3lib.runs import read_run

__all__ = ["Example", "ExampleSet", "decode", "encode", "half_size", "read_examples"]

_VOID = "."
_RUN = re.compile(r"([a-zA-Z.])(\d+)")
_PIXEL_DIGITS, _SCORE_DIGITS = 1, 3

Answer = Detections | Tensor
"""Boxes, or a label map of half the image's size, uint8 (H, W)."""


@dataclass(frozen=True, eq=False)
class Example:
    """One test image.

    Attributes:
        index: Its number in the split.
        name: Its file's name; empty if it has none.
        size: Width and height, pixels.
        annotated: Objects in the image, or pixels with a class.
        found: What the network of each variant predicts, by variant.
        right: What of it is right: for boxes whether each has found an object, bool (N,); for
            label maps the number of pixels.
    """

    index: int
    name: str
    size: tuple[int, int]
    annotated: int
    found: Mapping[str, Answer] = field(repr=False)
    right: Mapping[str, Tensor] = field(repr=False)


@dataclass(frozen=True)
class ExampleSet:
    """The examples of a study.

    Attributes:
        task: ``"detection"`` or ``"segmentation"``.
        dataset: Name of the data set.
        split: Its split.
        classes: Names of the classes.
        examples: The images.
    """

    task: str
    dataset: str
    split: str
    classes: tuple[str, ...]
    examples: tuple[Example, ...]


def read_examples(
    name: str = "head-examples", *, path: Path | None = None
) -> dict[str, ExampleSet]:
    """Reads recorded examples.

    Args:
        name: Name of the run.
        path: Where it lies; among the project's runs when not given.

    Returns:
        The examples of each study, by its name.

    Raises:
        FileNotFoundError: There is no such run.
        ValueError: It is no run, or not one of examples.
    """
    run = read_run(name, path=path)
    try:
        return {study: _example_set(entry) for study, entry in run.metrics.items()}
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"the run {name} holds no examples ({error!r}); record it again"
        ) from error


def _example_set(entry: Mapping[str, Any]) -> ExampleSet:
    task = entry["task"]
    examples = tuple(
        Example(
            image["index"],
            image["name"],
            tuple(image["size"]),
            image["annotated"],
            {key: decode(task, stored, image["size"]) for key, stored in image["found"].items()},
            {key: torch.tensor(stored) for key, stored in image["right"].items()},
        )
        for image in entry["images"]
    )
    return ExampleSet(task, entry["dataset"], entry["split"], tuple(entry["classes"]), examples)


def half_size(labels: Tensor) -> Tensor:
    """Every second pixel of a label map, (H, W), in both directions."""
    return labels[::2, ::2]


def encode(task: str, answer: Answer) -> list | str:
    """What is stored for boxes (rows of corners, class and score) or for a label map (its runs).

    Args:
        task: ``"detection"`` or ``"segmentation"``.
        answer: Boxes, or a label map of the image's size, of which every second pixel is stored.

    Raises:
        ValueError: A class above 51, which has no letter.

    Example:
        >>> encode("segmentation", torch.tensor([[0, 0, 0, 0, 255, 255]]))
        'a2.1'
    """
    return _CODECS[task][0](answer)


def decode(task: str, stored: Any, size: tuple[int, int]) -> Answer:
    """The way back from :func:`encode`.

    Args:
        task: ``"detection"`` or ``"segmentation"``.
        stored: What `encode` returned.
        size: Width and height of the image, pixels; a label map has half of it, rounded up.

    Raises:
        ValueError: Runs that do not fill the label map.
    """
    return _CODECS[task][1](stored, size)


def _encode_boxes(found: Detections) -> list[list[float]]:
    columns = (found.boxes.tolist(), found.labels.tolist(), found.scores.tolist())
    return [
        [*(round(edge, _PIXEL_DIGITS) for edge in box), label, round(score, _SCORE_DIGITS)]
        for box, label, score in zip(*columns, strict=True)
    ]


def _decode_boxes(rows: list[list[float]], _: tuple[int, int]) -> Detections:
    table = torch.tensor(rows, dtype=torch.float64).reshape(-1, 6)
    return Detections(table[:, :4].float(), table[:, 5].float(), table[:, 4].long())


def _encode_labels(whole: Tensor) -> str:
    labels = half_size(whole)
    values, lengths = torch.unique_consecutive(labels.flatten(), return_counts=True)
    largest = int(values[values != VOID].max()) if (values != VOID).any() else 0
    if largest >= len(ascii_letters):
        raise ValueError(f"class {largest} has no letter: runs hold {len(ascii_letters)} classes")
    letters = [_VOID if value == VOID else ascii_letters[value] for value in values.tolist()]
    return "".join(f"{a}{n}" for a, n in zip(letters, lengths.tolist(), strict=True))


def _decode_labels(text: str, size: tuple[int, int]) -> Tensor:
    width, height = (-(-side // 2) for side in size)
    runs = _RUN.findall(text)
    values = [VOID if letter == _VOID else ascii_letters.index(letter) for letter, _ in runs]
    lengths = torch.tensor([int(length) for _, length in runs], dtype=torch.int64)
    if int(lengths.sum()) != width * height:
        raise ValueError(
            f"the runs cover {int(lengths.sum())} pixels, a label map of {width} x {height} has "
            f"{width * height}; record the examples again"
        )
    labels = torch.tensor(values, dtype=torch.uint8).repeat_interleave(lengths)
    return labels.view(height, width)


_CODECS: dict[str, tuple[Callable[[Any], Any], Callable[[Any, tuple[int, int]], Any]]] = {
    "detection": (_encode_boxes, _decode_boxes),
    "segmentation": (_encode_labels, _decode_labels),
}
