"""Affine quantisation: steps by hand, errors of half a step, hard swish in integers."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnv3lib.compress.affine import (
    INT8,
    UINT8,
    Affine,
    affine_from_range,
    dequantise,
    fake_quantise,
    hard_swish_levels,
    lookup_levels,
    quantise,
    symmetric_from_weights,
)
from mnv3lib.ops import hard_swish, swish

ENDS = st.floats(-100, 100, width=32)
STEPS = st.floats(2**-12, 0.25)


def code(scale, zero_point):
    return Affine(torch.tensor(scale), torch.tensor(zero_point, dtype=torch.int32))


@pytest.mark.parametrize(
    ("low", "high", "levels", "scale", "zero_point"),
    [
        (-1.0, 1.55, INT8, 0.01, -28),  # -128 + 100 steps
        (-1.0, 1.55, UINT8, 0.01, 100),  # the same, 128 levels higher
        (0.0, 6.0, INT8, 6 / 255, -128),  # ReLU6
        (2.0, 5.1, INT8, 0.02, -128),  # widened to contain 0
        (-5.1, -2.0, INT8, 0.02, 127),
        (-0.375, 4.725, INT8, 0.02, -109),  # hard swish: 18.75 steps below 0
        (0.0, 0.0, INT8, 1.0, -128),
    ],
)
def test_codes_by_hand(low, high, levels, scale, zero_point):
    found = affine_from_range(low, high, levels=levels)
    assert found.scale.item() == pytest.approx(scale)
    assert found.zero_point.item() == zero_point


def test_levels_by_hand():
    x = torch.tensor([0.0, 0.5, 0.24, 0.75, -20.0, 20.0])
    steps = code(0.5, -28)
    levels = quantise(x, steps)
    assert levels.tolist() == [-28, -27, -28, -26, -68, 12]  # 1.5 steps round to the even 2
    assert dequantise(levels, steps).tolist() == [0, 0.5, 0, 1, -20, 20]
    assert quantise(torch.tensor([-1e6, 1e6]), steps).tolist() == [-128, 127]


def test_one_scale_a_channel():
    weights = torch.tensor([[1.27, -0.01], [0.0, 0.0], [0.2, -2.54]])
    found = symmetric_from_weights(weights)
    assert found.scale.tolist() == pytest.approx([0.01, 1.0, 0.02])
    assert found.zero_point.tolist() == [0, 0, 0]
    assert quantise(weights, found, axis=0).tolist() == [[127, -1], [0, 0], [10, -127]]
    torch.testing.assert_close(fake_quantise(weights, found, axis=0), weights)

    columns = symmetric_from_weights(weights.T, axis=1)
    assert torch.equal(columns.scale, found.scale)
    torch.testing.assert_close(fake_quantise(weights.T, columns, axis=-1), weights.T)
    assert symmetric_from_weights(weights, axis=None).scale.item() == pytest.approx(0.02)


@pytest.mark.parametrize(("levels", "dtype"), [(INT8, torch.int8), (UINT8, torch.uint8)])
@given(ends=st.tuples(ENDS, ENDS).map(sorted), where=st.floats(0, 1))
def test_inside_its_range_a_number_moves_by_half_a_step_at_most(ends, where, levels, dtype):
    low, high = min(ends[0], 0), max(ends[1], 0)
    found = affine_from_range(*ends, levels=levels)
    x = torch.tensor(low + where * (high - low))
    assert quantise(x, found, levels=levels).dtype == dtype
    error = (fake_quantise(x, found, levels=levels) - x).abs().item()
    assert error <= found.scale.item() / 2 * (1 + 1e-4)
    assert fake_quantise(torch.zeros(1), found, levels=levels).item() == 0


@given(step=STEPS, zero_point=st.integers(-128, 127))
def test_as_pytorch_does(step, zero_point):
    x = torch.linspace(-40, 40, 161)
    found = code(step, zero_point)
    expected = torch.fake_quantize_per_tensor_affine(x, step, zero_point, *INT8)
    # PyTorch multiplies by 1 / scale, so that half-way numbers may fall to the other side.
    torch.testing.assert_close(fake_quantise(x, found), expected, atol=step * 1.001, rtol=0)


def test_hard_swish_by_hand():
    # A step of 0.5: the levels -10, -6, -3, 2, 6, 20 are x = -5, -3, -1.5, 1, 3, 10. In steps of
    # 1/8, the results 0, 0, -3/8, 2/3, 3, 10 are 0, 0, -3, 5.33, 24, 80.
    q = torch.tensor([-10, -6, -3, 2, 6, 20], dtype=torch.int8)
    result = hard_swish_levels(q, code(0.5, 0), code(0.125, 7))
    assert result.dtype == torch.int8
    assert (result - 7).tolist() == [0, 0, -3, 5, 24, 80]


@given(step=STEPS, zero_point=st.integers(-128, 127))
def test_hard_swish_in_integers_is_within_one_level(step, zero_point):
    q = torch.arange(-128, 128).to(torch.int8)
    enters = code(step, zero_point)
    exact = hard_swish(dequantise(q, enters))
    leaves = affine_from_range(exact.min(), exact.max())
    difference = hard_swish_levels(q, enters, leaves).int() - quantise(exact, leaves).int()
    assert difference.abs().max() <= 1
    looked_up = lookup_levels(hard_swish, q, enters, leaves)
    assert torch.equal(looked_up, quantise(exact, leaves))


def test_swish_by_its_table():
    q = torch.tensor([[-128, 0], [20, 127]], dtype=torch.int8)
    enters, leaves = code(0.05, 0), code(0.025, -117)
    expected = quantise(swish(dequantise(q, enters)), leaves)
    assert torch.equal(lookup_levels(swish, q, enters, leaves), expected)


@pytest.mark.parametrize("ends", [(1.0, 0.5), (-math.inf, 1.0), (0.0, math.nan)])
def test_ranges_that_are_none(ends):
    with pytest.raises(ValueError, match="finite low <= high"):
        affine_from_range(*ends)


def test_channels_that_do_not_fit():
    found = symmetric_from_weights(torch.ones(3, 2))
    with pytest.raises(ValueError, match="give the axis"):
        quantise(torch.ones(3, 2), found)
    with pytest.raises(ValueError, match=r"axis 1 of \(3, 2\) has 2 channels"):
        quantise(torch.ones(3, 2), found, axis=1)
