"""Suppression, against the loop that it replaces."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnv3lib.heads import nms as nms_module
from mnv3lib.heads.boxes import box_iou
from mnv3lib.heads.nms import batched_nms, nms


def naive_nms(boxes, scores, iou):
    """The textbook's loop: take the best box that is left, drop what overlaps it."""
    scores = scores.tolist()
    left = sorted(range(len(boxes)), key=lambda i: -scores[i])  # stable: ties in input order
    overlap = (box_iou(boxes, boxes) > iou).tolist()
    kept = []
    while left:
        best, *left = left
        kept.append(best)
        left = [i for i in left if not overlap[best][i]]
    return kept


def crowded(count, seed):
    """Boxes in a small picture, with scores that have ties."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * 60
    sides = torch.rand(count, 2, generator=generator) * 40
    scores = torch.randint(0, max(2, count // 2), (count,), generator=generator) / count
    return torch.cat([corners, corners + sides], dim=1), scores


def test_a_dropped_box_drops_nothing():
    """The second overlaps both neighbours; once it is gone, the third is free."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]])
    scores = torch.tensor([0.9, 0.8, 0.7])
    assert nms(boxes, scores, 0.4).tolist() == [0, 2]
    assert nms(boxes, scores.flip(0), 0.4).tolist() == [2, 0]
    assert nms(boxes, torch.tensor([0.8, 0.9, 0.7]), 0.4).tolist() == [1]


def test_the_threshold_itself_does_not_overlap():
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 2]])  # IoU exactly one half
    scores = torch.tensor([0.9, 0.8])
    assert nms(boxes, scores, 0.5).tolist() == [0, 1]
    assert nms(boxes, scores, 0.499).tolist() == [0]


def test_of_equal_scores_the_first_wins():
    boxes = torch.tensor([[0.0, 0, 4, 4]]).repeat(3, 1)
    assert nms(boxes, torch.tensor([0.5, 0.5, 0.5]), 0.5).tolist() == [0]


def test_classes_do_not_compete():
    boxes = torch.tensor([[0.0, 0, 4, 4]]).repeat(4, 1)
    scores, labels = torch.tensor([0.1, 0.4, 0.2, 0.3]), torch.tensor([7, 0, 7, 0])
    assert batched_nms(boxes, scores, labels, 0.5).tolist() == [1, 2]


def test_no_boxes():
    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5).tolist() == []


@given(st.integers(0, 60), st.integers(0, 10_000), st.sampled_from([0.0, 0.1, 0.3, 0.6, 1.0]))
def test_equals_the_loop(count, seed, iou):
    boxes, scores = crowded(count, seed)
    assert nms(boxes, scores, iou).tolist() == naive_nms(boxes, scores, iou)


@given(st.integers(0, 60), st.integers(0, 10_000), st.integers(1, 8))
def test_equals_the_loop_in_small_blocks_and_classes(count, seed, block):
    boxes, scores = crowded(count, seed)
    labels = torch.randint(0, 3, (count,), generator=torch.Generator().manual_seed(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nms_module, "_BLOCK", block)
        kept = batched_nms(boxes, scores, labels, 0.3).tolist()
    assert scores[kept].tolist() == sorted(scores[kept].tolist(), reverse=True)
    for label in range(3):
        own = (labels == label).nonzero()[:, 0]
        expected = own[naive_nms(boxes[own], scores[own], 0.3)].tolist()
        assert [index for index in kept if labels[index] == label] == expected


def test_many_boxes_equal_the_loop():
    boxes, scores = crowded(900, seed=3)
    assert nms(boxes, scores, 0.5).tolist() == naive_nms(boxes, scores, 0.5)


@given(st.integers(1, 40), st.integers(0, 10_000))
def test_twice_changes_nothing(count, seed):
    boxes, scores = crowded(count, seed)
    kept = nms(boxes, scores, 0.5)
    assert nms(boxes[kept], scores[kept], 0.5).tolist() == list(range(len(kept)))


@pytest.mark.parametrize(
    ("scores", "iou", "message"),
    [
        (torch.zeros(2), 0.5, r"3 boxes need a score and a label each, got scores \(2,\)"),
        (torch.zeros(3, 1), 0.5, r"got scores \(3, 1\)"),
        (torch.zeros(3), 55, "iou must be between 0 and 1, got 55"),
    ],
)
def test_bad_input_is_named(scores, iou, message):
    with pytest.raises(ValueError, match=message):
        nms(torch.zeros(3, 4), scores, iou)
