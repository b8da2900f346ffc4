"""Boxes, and their codes relative to anchors."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnv3lib.heads.box_coder import MAX_LOG_SCALE, decode, encode
from mnv3lib.heads.boxes import box_area, box_iou, clip_boxes

ANCHOR = torch.tensor([[50.0, 50.0, 150.0, 130.0]])
BOX = torch.tensor([[60.0, 50.0, 160.0, 150.0]])


def test_area_and_overlap_by_hand():
    assert box_area(BOX).tolist() == [10_000]
    # 90 x 80 shared; 100 * 80 + 100 * 100 - 7200 together
    assert box_iou(BOX, ANCHOR).item() == pytest.approx(7200 / 10_800)


def test_overlap_of_boxes_apart_touching_inside_and_without_area():
    a = torch.tensor([[0.0, 0, 4, 4], [2, 2, 2, 2]])
    b = torch.tensor([[5.0, 5, 6, 6], [4, 0, 8, 4], [1, 1, 3, 3], [2, 2, 2, 2]])
    assert box_iou(a, b).tolist() == [[0, 0, 0.25, 0], [0, 0, 0, 0]]


def test_overlap_of_lists_side_by_side():
    a, b = torch.rand(3, 5, 4), torch.rand(3, 2, 4)
    a[..., 2:] += a[..., :2]
    b[..., 2:] += b[..., :2]
    together = box_iou(a, b)
    assert together.shape == (3, 5, 2)
    assert torch.equal(together[1], box_iou(a[1], b[1]))


def test_overlap_of_no_boxes():
    assert box_iou(torch.zeros(0, 4), ANCHOR).shape == (0, 1)


def test_overlap_leaves_its_inputs_alone():
    a, b = BOX.clone(), ANCHOR.clone()
    box_iou(a, b)
    assert torch.equal(a, BOX)
    assert torch.equal(b, ANCHOR)


def test_clipping_knows_height_from_width():
    boxes = torch.tensor([[-5.0, -6, 50, 60], [30, 30, 40, 40]])
    assert clip_boxes(boxes, (20, 30)).tolist() == [[0, 0, 30, 20], [30, 20, 30, 20]]


@pytest.mark.parametrize("function", [box_iou, encode, decode])
def test_a_wrong_shape_is_named(function):
    with pytest.raises(ValueError, match=r"shape \(N, 4\), got \(1, 5\)"):
        function(torch.zeros(1, 5), ANCHOR)


def test_code_by_hand():
    """Centre (110, 100) against (100, 90); sides 100 x 100 against 100 x 80."""
    expected = [10 * 10 / 100, 10 * 10 / 80, 0, 5 * math.log(100 / 80)]
    assert encode(BOX, ANCHOR)[0].tolist() == pytest.approx(expected)
    assert expected == pytest.approx([1.0, 1.25, 0.0, 1.11571777])
    torch.testing.assert_close(decode(encode(BOX, ANCHOR), ANCHOR), BOX)


def test_a_zero_code_is_the_anchor():
    assert torch.equal(decode(torch.zeros(1, 4), ANCHOR), ANCHOR)


def test_decoding_a_batch():
    codes = torch.randn(2, 3, 4)
    anchors = ANCHOR.expand(3, 4)
    assert torch.equal(decode(codes, anchors)[1], decode(codes[1], anchors))


def test_huge_codes_stay_finite():
    grown = decode(torch.tensor([[0.0, 0, 1e6, 1e6]]), ANCHOR)[0]
    assert (grown[2] - grown[0]).item() == pytest.approx(100 * 1000 / 16, rel=1e-4)
    assert pytest.approx(4.135167, abs=1e-6) == MAX_LOG_SCALE


def test_a_box_without_area_has_a_finite_code():
    assert torch.isfinite(encode(torch.tensor([[3.0, 3, 3, 3]]), ANCHOR)).all()


codes = st.lists(st.floats(-20, 20), min_size=4, max_size=4)


@given(codes)
def test_decoding_and_encoding_give_the_code_back(code):
    code = torch.tensor([code], dtype=torch.float64)
    anchor = ANCHOR.double()
    torch.testing.assert_close(encode(decode(code, anchor), anchor), code, atol=1e-8, rtol=1e-8)
