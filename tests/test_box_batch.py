"""Boxes of several images as one batch."""

import pytest
import torch

from mnv3lib.data.box_batch import PADDING, collate_boxes


def target(*boxes: tuple, labels: list[int] | None = None, number: int = 1, crowd=()) -> dict:
    """What a view makes of an image."""
    marks = [index in crowd for index in range(len(boxes))]
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels or [0] * len(boxes), dtype=torch.int64),
        "crowd": torch.tensor(marks, dtype=torch.bool),
        "image_id": number,
        "size": (640, 480),
    }


TWO, NONE = target((0, 0, 10, 20), (5, 5, 30, 30), labels=[2, 1]), target(number=9)


def test_the_fullest_image_decides_the_width():
    batch = collate_boxes([TWO, NONE])
    assert batch.boxes.shape == (2, 2, 4)
    assert batch.labels.tolist() == [[2, 1], [PADDING, PADDING]]
    assert batch.image_ids.tolist() == [1, 9]
    assert batch.sizes.tolist() == [[640, 480]] * 2
    assert len(batch) == len(batch.to("cpu")) == 2


def test_a_batch_without_any_box():
    batch = collate_boxes([NONE, NONE])
    assert batch.boxes.shape == (2, 0, 4)
    boxes, labels = batch.flipped(torch.tensor([True, False]), 32).objects(0)
    assert boxes.shape == (0, 4)
    assert labels.shape == (0,)


def test_objects_are_what_is_no_padding_and_no_crowd():
    crowded = target((0, 0, 1, 1), (2, 2, 3, 3), (4, 4, 5, 5), labels=[0, 1, 2], crowd={1})
    boxes, labels = collate_boxes([TWO, crowded]).objects(1)
    assert boxes.tolist() == [[0, 0, 1, 1], [4, 4, 5, 5]]
    assert labels.tolist() == [0, 2]
    assert collate_boxes([TWO, crowded]).objects(0)[1].tolist() == [2, 1]


def test_flip_by_hand():
    batch = collate_boxes([TWO, TWO]).flipped(torch.tensor([True, False]), 32)
    assert batch.boxes[0].tolist() == [[22, 0, 32, 20], [2, 5, 27, 30]]
    assert torch.equal(batch.boxes[1], TWO["boxes"])


def test_bad_batches_are_named():
    with pytest.raises(ValueError, match="at least one image, got an empty list"):
        collate_boxes([])
    with pytest.raises(ValueError, match=r"image 1: labels must be of shape \(2,\), got \(1,\)"):
        collate_boxes([{**TWO, "labels": torch.tensor([1])}])
    with pytest.raises(ValueError, match=r"image 9: boxes must be of shape \(0, 4\), got \(0,\)"):
        collate_boxes([{**NONE, "boxes": torch.zeros(0)}])


@pytest.mark.parametrize("label", [2, -2])
def test_labels_of_no_class_are_named(label):
    batch = collate_boxes([target((0, 0, 1, 1), labels=[label]), NONE])
    with pytest.raises(ValueError, match=f"label {label}, but the classes are 0 to 1: cat, dog"):
        batch.check_labels(["cat", "dog"])
    collate_boxes([TWO, NONE]).check_labels(["cat", "dog", "bird"])
