"""Losses of a detector, by hand."""

import math

import pytest
import torch

from mnv3lib.heads.detection_loss import detection_loss, focal_loss, hard_negative_loss, smooth_l1
from mnv3lib.heads.predictions import Predictions

ANCHORS = torch.tensor(
    [
        [0.0, 0, 40, 40],
        [40, 0, 80, 40],
        [0, 40, 40, 80],
        [40, 40, 80, 80],
        [20, 20, 60, 60],
        [0, 0, 80, 80],
    ]
)
LOGITS = torch.tensor([[0.0, 0, 0], [2, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 3], [1, 0, 0]])
BOX, LABEL = torch.tensor([[2.0, 2, 42, 42]]), torch.tensor([1])
NO_BOX, NO_LABEL = torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)


def predictions(images=1):
    return Predictions(LOGITS.expand(images, 6, 3).clone(), torch.zeros(images, 6, 4))


@pytest.mark.parametrize(
    ("logit", "target", "expected"),
    [
        (0.0, 1.0, 0.12996510),
        (0.0, 0.0, 0.04332170),
        (2.0, 1.0, 0.00135267),
        (2.0, 0.0, 0.41251954),
        (-4.6, 0.0, 2.4763681e-7),
        (-4.6, 1.0, 3.3890269),
    ],
)
def test_focal_loss_of_one_entry(logit, target, expected):
    logits, targets = torch.tensor([logit]).double(), torch.tensor([target]).double()
    assert focal_loss(logits, targets).item() == pytest.approx(expected, rel=1e-5)


def test_focal_loss_without_focus_is_half_of_cross_entropy():
    logits, targets = torch.randn(50), torch.randint(0, 2, (50,)).float()
    plain = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    torch.testing.assert_close(focal_loss(logits, targets, alpha=0.5, gamma=0), plain / 2)


def test_smooth_l1_by_hand():
    found = smooth_l1(torch.tensor([0.5, 1.0, 2.0]), torch.zeros(3))
    assert found.tolist() == [0.125, 0.5, 1.5]


def test_hard_negatives_of_the_example():
    """Anchor 0 matches; of the others 4, 2 and 3 are the hardest."""
    classes = torch.tensor([[2, 0, 0, 0, 0, 0]])
    loss = hard_negative_loss(LOGITS[None], classes)[0]
    expected = [1.0986123, 0, 1.5514446, 1.0986123, 3.0949230, 0]
    assert loss.tolist() == pytest.approx(expected, rel=1e-6)


def test_loss_with_hard_negatives():
    loss = detection_loss(predictions(), [BOX], [LABEL], ANCHORS, "hard_negatives")
    assert loss.classification.item() == pytest.approx(6.843592, rel=1e-6)
    assert loss.localisation.item() == pytest.approx(0.25, rel=1e-5)


def test_loss_with_focal_loss():
    loss = detection_loss(predictions(), [BOX], [LABEL], ANCHORS, "focal")
    assert loss.classification.item() == pytest.approx(2.1481712, rel=1e-6)
    assert loss.localisation.item() == pytest.approx(0.0625, rel=1e-5)


def test_an_image_without_objects_teaches_under_focal_loss_only():
    empty = (predictions(), [NO_BOX], [NO_LABEL], ANCHORS)
    assert [part.item() for part in detection_loss(*empty, "hard_negatives")] == [0, 0]
    focal = detection_loss(*empty, "focal")
    # as in the example above, but the matched entry is a negative as well
    expected = 2.1481712 - 0.12996510 + 0.04332170
    assert focal.classification.item() == pytest.approx(expected, rel=1e-6)
    assert focal.localisation.item() == 0


@pytest.mark.parametrize("kind", ["focal", "hard_negatives"])
def test_matches_are_counted_over_the_batch(kind):
    """One image with an object, one with none: the sums add up, N stays 1."""
    both = detection_loss(predictions(2), [BOX, NO_BOX], [LABEL, NO_LABEL], ANCHORS, kind)
    one = detection_loss(predictions(), [BOX], [LABEL], ANCHORS, kind)
    none = detection_loss(predictions(), [NO_BOX], [NO_LABEL], ANCHORS, kind)
    torch.testing.assert_close(both.classification, one.classification + none.classification)
    torch.testing.assert_close(both.localisation, one.localisation)
    twice = detection_loss(predictions(2), [BOX] * 2, [LABEL] * 2, ANCHORS, kind)
    torch.testing.assert_close(torch.stack(twice), torch.stack(one))


@pytest.mark.parametrize(("bias", "expected"), [(0.0, 8018.6), (-4.6, 0.0458)])
def test_loss_of_a_fresh_network_on_an_empty_image(bias, expected):
    """2034 anchors and 91 columns, once at a probability of one half and once at one hundredth."""
    fresh = Predictions(torch.full((1, 2034, 91), bias), torch.zeros(1, 2034, 4))
    anchors = torch.tensor([[0.0, 0, 10, 10]]).expand(2034, 4)
    loss = detection_loss(fresh, [NO_BOX], [NO_LABEL], anchors)
    assert loss.classification.item() == pytest.approx(expected, rel=1e-3)
    assert 1 / (1 + math.exp(4.6)) == pytest.approx(0.00995180, rel=1e-5)


@pytest.mark.parametrize("kind", ["focal", "hard_negatives"])
def test_both_parts_have_gradients(kind):
    outputs = Predictions(*(part.requires_grad_() for part in predictions()))
    sum(detection_loss(outputs, [BOX], [LABEL], ANCHORS, kind)).backward()
    assert outputs.class_logits.grad.abs().sum() > 0
    assert outputs.box_codes.grad[0].abs().sum(dim=1).tolist() == [
        pytest.approx(1.0 if kind == "hard_negatives" else 0.25), 0, 0, 0, 0, 0
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("boxes", "labels", "message"),
    [
        ([BOX, BOX], [LABEL, LABEL], "1 images need as many tensors .* got 2 and 2"),
        ([BOX], [NO_LABEL], "1 boxes of an image have 0 labels"),
        ([BOX], [torch.tensor([2])], "labels must be 0 to 1, got 2 to 2"),
        ([BOX], [torch.tensor([-1])], "the background has no label"),
        ([torch.zeros(4)], [LABEL], r"boxes must have shape \(N, 4\)"),
    ],
)
def test_bad_targets_are_named(boxes, labels, message):
    with pytest.raises(ValueError, match=message):
        detection_loss(predictions(), boxes, labels, ANCHORS)


def test_unknown_loss():
    with pytest.raises(ValueError, match="unknown loss 'ohem'"):
        detection_loss(predictions(), [BOX], [LABEL], ANCHORS, "ohem")
