"""From outputs to boxes, by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnv3lib.heads.box_coder import encode
from mnv3lib.heads.detections import class_scores, detect
from mnv3lib.heads.predictions import Predictions

ANCHORS = torch.tensor([[0.0, 0, 40, 40], [2, 0, 42, 40], [50, 50, 90, 90], [0, 60, 20, 80]])
LOGITS = torch.tensor([[9.0, 2, -8], [9, 3, 2], [9, -8, 1], [9, -8, -8]])  # background is ignored


def predictions(images=1):
    return Predictions(LOGITS.repeat(images, 1, 1), torch.zeros(images, 4, 4))


def test_duplicates_go_class_by_class():
    (found,) = detect(predictions(), ANCHORS, 80, score_threshold=0.5)
    assert found.labels.tolist() == [0, 1, 1]
    assert found.scores.tolist() == pytest.approx(torch.tensor([3.0, 2, 1]).sigmoid().tolist())
    assert found.boxes.tolist() == [[2, 0, 42, 40], [2, 0, 42, 40], [50, 50, 80, 80]]
    assert len(found) == 3


def test_codes_move_the_boxes():
    box = torch.tensor([[5.0, 5, 25, 35]])
    codes = encode(box, ANCHORS[:1])[None]
    (found,) = detect(Predictions(LOGITS[None, :1], codes), ANCHORS[:1], 80, score_threshold=0.5)
    torch.testing.assert_close(found.boxes, box)


def test_scores_follow_the_loss():
    assert class_scores(LOGITS, "focal")[0, 0].item() == pytest.approx(0.8807970)
    softmax = class_scores(LOGITS, "hard_negatives")
    assert softmax.shape == (4, 2)
    assert softmax[0, 0].item() == pytest.approx(0.00091105, rel=1e-4)
    with pytest.raises(ValueError, match="unknown loss 'ohem'"):
        class_scores(LOGITS, "ohem")


def test_limits():
    assert len(detect(predictions(), ANCHORS, 80, score_threshold=0.5, max_detections=2)[0]) == 2
    assert len(detect(predictions(), ANCHORS, 80, score_threshold=0.85)[0]) == 2
    (found,) = detect(predictions(), ANCHORS, 80, score_threshold=0.5, candidates=1)
    assert found.labels.tolist() == [0, 1]
    (found,) = detect(predictions(), ANCHORS, 80, score_threshold=0.5, nms_iou=1.0)
    assert sorted(found.labels.tolist()) == [0, 0, 1, 1]


@given(st.integers(0, 200), st.integers(1, 12), st.integers(0, 10_000))
def test_as_many_as_are_wanted_are_the_best_of_all(anchors, most, seed):
    """Suppression begins with few candidates, and takes more of them only where it must."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(anchors, 2, generator=generator) * 40
    boxes = torch.cat([corners, corners + 30], dim=1)
    logits = torch.randint(-3, 4, (1, anchors, 3), generator=generator).float()  # with ties
    outputs = Predictions(logits, torch.zeros(1, anchors, 4))
    limits = {"score_threshold": 0.01, "nms_iou": 0.3}
    (few,) = detect(outputs, boxes, 80, max_detections=most, **limits)
    (many,) = detect(outputs, boxes, 80, max_detections=1000, **limits)
    for part, whole in zip(vars(few).values(), vars(many).values(), strict=True):
        assert torch.equal(part, whole[:most])


def test_images_of_a_batch_do_not_mix():
    found = detect(predictions(3), ANCHORS, 80, score_threshold=0.5)
    assert [one.labels.tolist() for one in found] == [[0, 1, 1]] * 3


def test_nothing_found():
    (found,) = detect(predictions(), ANCHORS, 80, score_threshold=0.99)
    assert found.boxes.shape == (0, 4)
    assert len(found) == 0


def test_no_gradients_follow():
    logits, codes = predictions()
    (found,) = detect(Predictions(logits.requires_grad_(), codes), ANCHORS, 80)
    assert not found.scores.requires_grad


def test_a_monotone_map_of_the_scores_changes_no_box():
    logits, codes = predictions()
    first = detect(Predictions(logits, codes), ANCHORS, 80, score_threshold=0.0)[0]
    second = detect(Predictions(logits / 2 - 1, codes), ANCHORS, 80, score_threshold=0.0)[0]
    assert torch.equal(first.boxes, second.boxes)


def test_anchors_of_another_size_are_named():
    with pytest.raises(ValueError, match="for 4 anchors, not for 2; take"):
        detect(predictions(), ANCHORS[:2], 80)
