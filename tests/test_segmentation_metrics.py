"""Overlap of predictions and masks, by hand and against a slow reference."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import one_hot

from mnv3lib.train.segmentation_metrics import SegmentationMetrics, class_overlaps, near_border

VOID = 255


def logits_of(predicted: torch.Tensor, classes: int) -> torch.Tensor:
    """Logits whose largest is the prediction, (N, K, H, W)."""
    return one_hot(predicted, classes).permute(0, 3, 1, 2).float()


def measured(masks: torch.Tensor, predicted: torch.Tensor, classes: int) -> SegmentationMetrics:
    metrics = SegmentationMetrics(classes)
    metrics.update(logits_of(predicted, classes), masks)
    return metrics


def halves(*borders: int) -> torch.Tensor:
    """Rows of eight pixels: class 0 up to a column, class 1 from there on, (1, H, 8)."""
    return torch.stack([(torch.arange(8) >= border).long() for border in borders])[None]


def test_by_hand():
    """In the second of two rows the border is a pixel too far to the right.

    Near a border are, in the mask, columns 3 and 4; in the prediction columns 3 to 5. Class 0: the
    same two in both, three in the prediction. Class 1: one in both, of two and three.
    """
    metrics = measured(halves(4, 4), halves(4, 5), 2)
    assert metrics.confusion.tolist() == [[8, 0], [1, 7]]
    assert metrics.borders.tolist() == [[2, 1], [2, 2], [3, 3]]
    found = metrics.compute()
    assert found["miou"] == pytest.approx((8 / 9 + 7 / 8) / 2)
    assert found["boundary_iou"] == pytest.approx((2 / 3 + 1 / 4) / 2)
    assert found["pixel_accuracy"] == 15 / 16
    assert found["images"] == 1
    details = metrics.details()
    assert details["iou"] == pytest.approx([8 / 9, 7 / 8])
    assert details["class_boundary_iou"] == pytest.approx([2 / 3, 1 / 4])
    assert details["confusion"] == [[8, 0], [1, 7]]


def test_classes_that_do_not_occur_are_left_out():
    metrics = measured(halves(4), halves(4), 5)
    assert metrics.compute()["miou"] == 1.0
    assert metrics.details()["iou"] == [1.0, 1.0, None, None, None]
    # A class that is predicted but does not occur is a mistake, with an overlap of zero.
    assert measured(halves(8), halves(4), 2).details()["iou"] == [0.5, 0.0]


def test_pixels_of_no_class_count_nowhere():
    masks = halves(4, 4)
    masks[:, 1] = VOID
    for second_row in (0, 4, 8):
        metrics = measured(masks, halves(4, second_row), 2)
        assert metrics.compute()["miou"] == 1.0
        assert metrics.compute()["boundary_iou"] == 1.0
        assert int(metrics.confusion.sum()) == 8


def test_logits_are_resized_to_the_mask():
    metrics = SegmentationMetrics(2)
    metrics.update(logits_of(halves(4, 4), 2), torch.stack([halves(4)[0].repeat(6, 1)]).clone())
    metrics.update(logits_of(halves(4), 2), halves(4).repeat_interleave(2, 2)[:, :, :13])
    assert metrics.images == 2
    assert int(metrics.confusion.sum()) == 6 * 8 + 13


@given(seed=st.integers(0, 10**6), distance=st.integers(1, 3), classes=st.integers(1, 4))
def test_near_border_against_a_slow_reference(seed, distance, classes):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (1, 6, 9), generator=generator)
    labels[:, :, :4] = labels[:, :, :1]  # leave something far from any border
    found = near_border(labels, distance)
    for y in range(6):
        for x in range(9):
            rows = slice(max(0, y - distance), y + distance + 1)
            columns = slice(max(0, x - distance), x + distance + 1)
            around = labels[0, rows, columns]
            assert bool(found[0, y, x]) == bool((around != labels[0, y, x]).any())


@given(seed=st.integers(0, 10**6), classes=st.integers(1, 5))
def test_overlaps_against_a_slow_reference(seed, classes):
    generator = torch.Generator().manual_seed(seed)
    masks, predicted = (torch.randint(classes, (2, 5, 7), generator=generator) for _ in range(2))
    masks[torch.rand(2, 5, 7, generator=generator) < 0.2] = VOID
    masks[0, 0, 0] = 0
    metrics = measured(masks, predicted, classes)
    known = masks != VOID
    expected = []
    for label in range(classes):
        true, found = (masks == label) & known, (predicted == label) & known
        if bool((true | found).any()):
            expected.append(float((true & found).sum() / (true | found).sum()))
    assert metrics.compute()["miou"] == pytest.approx(sum(expected) / len(expected))


def test_parts_add_up():
    """Two processes with an image each count what one counts with both."""
    masks, predicted = torch.cat([halves(4, 4), halves(2, 3)]), torch.cat([halves(4, 5)] * 2)
    whole, total = measured(masks, predicted, 2), SegmentationMetrics(2)
    for part in range(2):
        total.merge(measured(masks[part : part + 1], predicted[part : part + 1], 2))
    assert total.compute() == whole.compute()
    assert total.details() == whole.details()


def test_no_border_at_all():
    assert measured(halves(8), halves(8), 2).compute()["boundary_iou"] == 1.0


def test_overlaps_of_nothing():
    assert class_overlaps(torch.zeros(2, 2, dtype=torch.int64)).isnan().all()
    with pytest.raises(ValueError, match="no pixel with a class was counted in 0 images"):
        SegmentationMetrics(2).compute()
    with pytest.raises(ValueError, match="no pixel with a class was counted in 1 images"):
        measured(torch.full((1, 2, 8), VOID), halves(4, 4), 2).compute()


@pytest.mark.parametrize(
    ("logits", "masks", "message"),
    [
        (torch.zeros(1, 3, 2, 8), halves(4, 4), r"must be \(N, 2, h, w\) .* got \(1, 3, 2, 8\)"),
        (torch.zeros(2, 2, 2, 8), halves(4, 4), r"got \(2, 2, 2, 8\) and \(1, 2, 8\)"),
        (torch.zeros(1, 2, 2, 8), halves(4, 4)[:, None], r"and \(1, 1, 2, 8\)"),
        (torch.zeros(1, 2, 2, 8), halves(4, 4) + 1, "holds the class 2; classes are 0 to 1"),
        (torch.zeros(1, 2, 2, 8), halves(4, 4) - 1, "holds the class -1"),
    ],
)
def test_what_does_not_fit(logits, masks, message):
    with pytest.raises(ValueError, match=message):
        SegmentationMetrics(2).update(logits, masks)
