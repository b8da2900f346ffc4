"""What is counted while a detector is evaluated: COCO's average precision (chapter 10).

The matching of boxes and the curves are pycocotools' own, so the numbers are those that papers
report. This module only collects boxes, in pixels of the original images, and hands them over.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mnv3lib.data.box_batch import PADDING, BoxTargets
from mnv3lib.heads.detections import Detections
from mnv3lib.train.coco_evaluation import SUMMARY, BoxTable, coco_evaluation

__all__ = ["DetectionMetrics"]

_ALL_AREAS, _MOST_DETECTIONS, _IOU_50 = 0, -1, 0  # places along the axes of pycocotools' results


class DetectionMetrics:
    """Average precision of detections against annotated boxes.

    Args:
        classes: Names of the classes.
        detect: Makes the detections of each image of what the network put out; in pixels of the
            square image that it saw.
        resolution: Side of that square, pixels.
    """

    def __init__(
        self, classes: Sequence[str], detect: Callable[[Any], list[Detections]], resolution: int
    ) -> None:
        self._classes, self._detect, self._resolution = tuple(classes), detect, resolution
        self._image_ids: list[int] = []
        self._truth: list[BoxTable] = []
        self._found: list[BoxTable] = []
        self._evaluations: dict[bool, Any] = {}

    @torch.no_grad()
    def update(self, outputs: Any, targets: BoxTargets) -> None:
        """Adds a batch.

        Args:
            outputs: What the network put out.
            targets: What is on the images.

        Raises:
            ValueError: Not one entry of detections for each image, or a label of no class.
        """
        detections = self._detect(outputs)
        if len(detections) != len(targets):
            raise ValueError(f"{len(targets)} images got detections of {len(detections)}")
        targets.check_labels(self._classes)
        scales = (targets.sizes.double() / self._resolution).repeat(1, 2)  # (B, 4)
        self._image_ids += targets.image_ids.tolist()
        self._evaluations = {}
        rows = zip(targets.image_ids, scales, detections, strict=True)
        for number, (image_id, scale, found) in enumerate(rows):
            real = targets.labels[number] != PADDING
            truth = (part[number, real] for part in (targets.boxes, targets.labels, targets.crowd))
            self._truth.append(_table(image_id, scale, *truth))
            self._found.append(_table(image_id, scale, found.boxes, found.labels, found.scores))

    def merge(self, other: "DetectionMetrics") -> None:
        """Adds the images that other metrics of the same classes were given."""
        self._image_ids += other._image_ids
        self._truth += other._truth
        self._found += other._found
        self._evaluations = {}

    def __getstate__(self) -> dict[str, Any]:
        """What other processes get: what was counted, not how."""
        return {**self.__dict__, "_detect": None, "_evaluations": {}}

    def compute(self) -> dict[str, float]:
        """The numbers by name.

        Returns:
            ``map`` (mean over IoUs 0.5, 0.55 to 0.95 and over classes), ``map50``, ``map75``,
            ``ar100`` (largest recall with 100 detections an image), ``images`` and ``boxes``
            (without crowds).

        Raises:
            ValueError: Nothing was counted, or no box is annotated.
        """
        if not self._image_ids:
            raise ValueError("no image was counted: call update with a batch first")
        boxes = int((BoxTable.join(self._truth).values == 0).sum())
        if not boxes:
            raise ValueError("no box is annotated in any image: average precision has no value")
        stats = dict(zip(SUMMARY, self._evaluate(by_area=False).stats.tolist(), strict=True))
        names = {"map": "AP", "map50": "AP50", "map75": "AP75", "ar100": "AR@100"}
        numbers = {short: stats[name] for short, name in names.items()}
        return {**numbers, "images": len(self._image_ids), "boxes": boxes}

    def details(self) -> dict[str, list]:
        """What a figure needs, ready for JSON.

        Returns:
            ``summary``: pairs of a name of :data:`mnv3lib.train.coco_evaluation.SUMMARY` and its
            value; ``average_precision``: for each class its AP, AP50 and number of boxes;
            ``precision``: for each class the precision at IoU 0.5 and recall 0, 0.01 to 1. What
            has no value, such as the AP of a class without boxes, is None.
        """
        evaluation, truth = self._evaluate(by_area=True), BoxTable.join(self._truth)
        counted = truth.labels[truth.values == 0]
        counts = torch.bincount(counted, minlength=len(self._classes)).tolist()
        # (IoUs, recalls, classes, areas, most detections) -> (classes, IoUs, recalls)
        precision = torch.from_numpy(evaluation.eval["precision"])
        precision = precision[..., _ALL_AREAS, _MOST_DETECTIONS].permute(2, 0, 1)
        means = torch.stack([precision.mean((1, 2)), precision[:, _IOU_50].mean(1)], dim=1)
        rows = zip(means.tolist(), counts, strict=True)
        curves = zip(precision[:, _IOU_50].tolist(), counts, strict=True)
        return {
            "summary": [
                [name, value if value >= 0 else None]
                for name, value in zip(SUMMARY, evaluation.stats.tolist(), strict=True)
            ],
            "average_precision": [[*(pair if n else (None, None)), n] for pair, n in rows],
            "precision": [curve if n else None for curve, n in curves],
        }

    def predictions(self, category_ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """All detections in COCO's format for results, ready for JSON.

        Args:
            category_ids: The data set's number of each class, as ``BoxFiles.category_ids``; 1 to
                the number of classes if None.

        Raises:
            ValueError: Not one number for each class.
        """
        numbers = category_ids or range(1, len(self._classes) + 1)
        if len(numbers) != len(self._classes):
            raise ValueError(f"{len(self._classes)} classes have {len(numbers)} category numbers")
        return BoxTable.join(self._found).annotations(numbers, "score")

    def _evaluate(self, *, by_area: bool) -> Any:
        if by_area not in self._evaluations:
            self._evaluations[by_area] = coco_evaluation(
                BoxTable.join(self._truth),
                BoxTable.join(self._found),
                image_ids=self._image_ids,
                num_classes=len(self._classes),
                by_area=by_area,
            )
        return self._evaluations[by_area]


def _table(
    image_id: Tensor, scale: Tensor, boxes: Tensor, labels: Tensor, values: Tensor
) -> BoxTable:
    """Rows of one image, with boxes in its own pixels, on the CPU."""
    columns = (image_id.expand(len(labels)), boxes.double() * scale, labels, values.double())
    return BoxTable(*(column.cpu() for column in columns))
