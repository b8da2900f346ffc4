"""Anchors and objects, by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnv3lib.heads.boxes import box_iou
from mnv3lib.heads.matching import BACKGROUND, match_anchors

ANCHORS = torch.tensor(
    [[0.0, 0, 10, 10], [0, 0, 20, 20], [10, 10, 30, 30], [12, 12, 28, 28], [100, 100, 110, 110]]
)
FIRST, SECOND, FAR = [0.0, 0, 10, 12], [11.0, 11, 29, 29], [60.0, 60, 62, 62]


def test_overlaps_of_the_example():
    expected = [[0.8333, 0.3, 0, 0, 0], [0, 0.126, 0.81, 0.7901, 0], [0] * 5]
    found = box_iou(torch.tensor([FIRST, SECOND, FAR]), ANCHORS)
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("rule", "far_last", "far_first"),
    [
        ("overlapping", [0, -1, 1, 1, -1], [1, -1, 2, 2, -1]),
        ("tf", [0, -1, 1, 1, -1], [0, -1, 2, 2, -1]),
        ("torchvision", [2, -1, 1, 1, -1], [1, -1, 2, 2, -1]),
    ],
)
def test_an_object_that_overlaps_nothing_steals_anchor_zero_by_the_published_rules(
    rule, far_last, far_first
):
    last = match_anchors(torch.tensor([FIRST, SECOND, FAR]), ANCHORS, rule=rule)
    first = match_anchors(torch.tensor([FAR, FIRST, SECOND]), ANCHORS, rule=rule)
    assert last.tolist() == far_last
    assert first.tolist() == far_first


def test_forced_match_below_the_threshold_overrides_a_better_one():
    """The second object overlaps its best anchor by 0.3 only, and the first has that anchor."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 3]])
    anchors = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 11], [50, 50, 60, 60]])
    assert match_anchors(boxes, anchors).tolist() == [0, 0, -1]  # both claim 0: the first wins
    assert match_anchors(boxes, anchors, rule="torchvision").tolist() == [1, 0, -1]
    assert match_anchors(boxes.flip(0), anchors).tolist() == [0, 1, -1]


def test_the_threshold_itself_matches():
    anchors = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 2]])
    assert match_anchors(torch.tensor([[0.0, 0, 4, 4]]), anchors, iou=0.5).tolist() == [0, 0]
    assert match_anchors(torch.tensor([[0.0, 0, 4, 4]]), anchors, iou=0.51).tolist() == [0, -1]


def test_an_image_without_objects_is_background():
    match = match_anchors(torch.zeros(0, 4), ANCHORS)
    assert match.tolist() == [BACKGROUND] * 5
    assert match.dtype == torch.int64


@given(st.integers(1, 12), st.integers(0, 10_000))
def test_every_object_that_overlaps_an_anchor_has_one_or_lost_it_to_a_claim(objects, seed):
    generator = torch.Generator().manual_seed(seed)
    boxes, anchors = (torch.rand(n, 4, generator=generator) for n in (objects, 30))
    boxes[:, 2:] += boxes[:, :2]
    anchors[:, 2:] += anchors[:, :2]
    match = match_anchors(boxes, anchors)
    overlaps = box_iou(boxes, anchors)
    for index, (best, anchor) in enumerate(zip(*overlaps.max(dim=1), strict=True)):
        if best > 0:
            owner = match[anchor].item()
            assert owner == index or overlaps[owner].argmax() == anchor
    unclaimed = ~torch.isin(torch.arange(30), overlaps.argmax(dim=1))
    assert (overlaps.amax(dim=0)[unclaimed & (match >= 0)] >= 0.5).all()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="unknown rule 'caffe'"):
        match_anchors(torch.zeros(0, 4), ANCHORS, rule="caffe")
    with pytest.raises(ValueError, match=r"anchors must have shape \(N, 4\)"):
        match_anchors(torch.zeros(0, 4), torch.zeros(4))
