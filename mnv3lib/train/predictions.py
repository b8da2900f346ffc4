"""Predictions: what a network says about an image, in terms of that image.

:mod:`mnv3lib.train.predict` makes them, :mod:`mnv3lib.report_prediction` shows them.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mnv3lib.heads.detections import Detections

__all__ = ["BoxPrediction", "ClassPrediction", "MaskPrediction", "Prediction"]


@dataclass(frozen=True, eq=False)
class ClassPrediction:
    """What an image shows.

    Attributes:
        size: Width and height of the image, pixels.
        classes: Names of the classes.
        probabilities: Of each of them, (K,); all classes together have 1.
    """

    task: ClassVar[str] = "classification"
    size: tuple[int, int]
    classes: tuple[str, ...]
    probabilities: Tensor

    def top(self, count: int) -> "ClassPrediction":
        """The most probable classes, the best first; all if there are no more than `count`.

        Raises:
            ValueError: A count below 1.
        """
        if count < 1:
            raise ValueError(f"top must be at least 1 class, got {count}")
        best = self.probabilities.argsort(descending=True, stable=True)[:count]
        names = tuple(self.classes[index] for index in best.tolist())
        return ClassPrediction(self.size, names, self.probabilities[best])


@dataclass(frozen=True, eq=False)
class BoxPrediction:
    """What is where on an image.

    Attributes:
        size: Width and height of the image, pixels.
        classes: Names of the classes.
        found: The boxes in pixels of the image, inside of it, the best score first.
    """

    task: ClassVar[str] = "detection"
    size: tuple[int, int]
    classes: tuple[str, ...]
    found: Detections

    def above(self, score: float) -> "BoxPrediction":
        """The boxes of at least this score.

        Raises:
            ValueError: A score outside of 0 to 1.
        """
        if not 0 <= score <= 1:
            raise ValueError(f"score must be from 0 to 1, got {score}")
        found, kept = self.found, self.found.scores >= score
        better = Detections(found.boxes[kept], found.scores[kept], found.labels[kept])
        return BoxPrediction(self.size, self.classes, better)


@dataclass(frozen=True, eq=False)
class MaskPrediction:
    """What every pixel of an image shows.

    Attributes:
        size: Width and height of the image, pixels.
        classes: Names of the classes.
        labels: Class of each pixel, uint8 (height, width).
    """

    task: ClassVar[str] = "segmentation"
    size: tuple[int, int]
    classes: tuple[str, ...]
    labels: Tensor

    def pixels(self) -> dict[int, int]:
        """How many pixels each class has that occurs, the largest first."""
        counts = torch.bincount(self.labels.flatten(), minlength=len(self.classes))
        order = counts.argsort(descending=True, stable=True).tolist()
        return {label: int(counts[label]) for label in order if counts[label]}


Prediction = ClassPrediction | BoxPrediction | MaskPrediction
