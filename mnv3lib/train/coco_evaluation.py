"""COCO's evaluation of boxes, by pycocotools, from tensors instead of files (chapter 10)."""

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["SUMMARY", "BoxTable", "coco_evaluation"]

SUMMARY = (
    "AP",
    "AP50",
    "AP75",
    "AP small",
    "AP medium",
    "AP large",
    "AR@1",
    "AR@10",
    "AR@100",
    "AR@100 small",
    "AR@100 medium",
    "AR@100 large",
)
"""Names of the twelve numbers that COCO reports, in its order."""


class BoxTable(NamedTuple):
    """Boxes of many images, a row each: annotated ones, or detections.

    Attributes:
        image_ids: Number of the image, int64 (N,).
        boxes: Corners x0, y0, x1, y1 in pixels of the original image, float64 (N, 4).
        labels: Class, int64 (N,).
        values: Score of a detection; of an annotated box 1 for a crowd, else 0; float64 (N,).
    """

    image_ids: Tensor
    boxes: Tensor
    labels: Tensor
    values: Tensor

    @classmethod
    def join(cls, tables: Sequence["BoxTable"]) -> "BoxTable":
        """All rows of several tables; no tables make a table without rows."""
        numbers, reals = torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.float64)
        none = cls(numbers, reals.view(0, 4), numbers, reals)
        return cls(*map(torch.cat, zip(none, *tables, strict=True)))

    def annotations(self, category_ids: Sequence[int], key: str) -> list[dict[str, Any]]:
        """The rows in COCO's format, boxes as x, y, width and height.

        Args:
            category_ids: COCO's number of each class.
            key: What COCO calls the values: ``"score"`` or ``"iscrowd"``.
        """
        boxes = torch.cat([self.boxes[:, :2], self.boxes[:, 2:] - self.boxes[:, :2]], dim=1)
        columns = (self.image_ids, self.labels, boxes, self.values)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [
            {"image_id": image, "category_id": category_ids[label], "bbox": box, key: value}
            for image, label, box, value in rows
        ]


def coco_evaluation(
    truth: BoxTable,
    found: BoxTable,
    *,
    image_ids: Sequence[int],
    num_classes: int,
    by_area: bool = True,
) -> Any:
    """Compares detections with what was annotated, as COCO does.

    COCO sorts objects into small, medium and large ones by the area of their outline. Outlines
    are not known here, so boxes are sorted by their own area: those numbers differ from COCO's,
    all others are the same.

    Args:
        truth: Annotated boxes.
        found: Detections, at most 100 an image count.
        image_ids: All images that were looked at.
        num_classes: Classes.
        by_area: Whether to look at small, medium and large objects, too; else their numbers are -1,
            and it takes less than half of the time.

    Returns:
        A ``pycocotools.cocoeval.COCOeval`` that has run; its ``stats`` are the :data:`SUMMARY`.
    """
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(None):  # pycocotools prints what it does
        sides = (
            _coco(rows, image_ids, num_classes)
            for rows in (
                truth.annotations(range(num_classes), "iscrowd"),
                found.annotations(range(num_classes), "score"),
            )
        )
        evaluation = COCOeval(*sides, iouType="bbox")
        if not by_area:
            evaluation.params.areaRng = evaluation.params.areaRng[:1]
            evaluation.params.areaRngLbl = evaluation.params.areaRngLbl[:1]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def _coco(annotations: list[dict[str, Any]], image_ids: Sequence[int], num_classes: int) -> Any:
    """A data set as pycocotools holds one."""
    from pycocotools.coco import COCO

    for number, row in enumerate(annotations, start=1):
        # A match is marked by its number, so the first one must not be 0.
        row |= {"id": number, "area": row["bbox"][2] * row["bbox"][3]}
        row["iscrowd"] = int(row.get("iscrowd", 0))
    coco = COCO()
    coco.dataset = {
        "images": [{"id": number} for number in image_ids],
        "categories": [{"id": number} for number in range(num_classes)],
        "annotations": annotations,
    }
    coco.createIndex()
    return coco
