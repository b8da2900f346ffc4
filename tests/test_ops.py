"""The bricks against values worked out by hand, and against PyTorch's own layers."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mnv3lib import ops

POINTS = torch.tensor([-4.0, -3.0, -1.5, -1.0, 0.0, 1.0, 3.0, 4.0], dtype=torch.float64)


def test_hard_swish_at_the_points_of_the_fact_sheet() -> None:
    expected = torch.tensor([0, 0, -0.375, -1 / 3, 0, 2 / 3, 3, 4], dtype=torch.float64)
    torch.testing.assert_close(ops.hard_swish_formula(POINTS), expected)
    torch.testing.assert_close(ops.hard_swish(POINTS), expected)


def test_hard_sigmoid_at_the_points_of_the_fact_sheet() -> None:
    expected = torch.tensor([0, 0, 0.25, 1 / 3, 0.5, 2 / 3, 1, 1], dtype=torch.float64)
    torch.testing.assert_close(ops.hard_sigmoid_formula(POINTS), expected)
    torch.testing.assert_close(ops.hard_sigmoid(POINTS), expected)


@pytest.mark.parametrize("function", [ops.hard_swish, ops.hard_swish_formula])
def test_slope_of_hard_swish(function: object) -> None:
    x = torch.tensor([-2.0, -1.5, 0.0, 2.0], dtype=torch.float64, requires_grad=True)
    function(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.tensor([-1 / 6, 0, 0.5, 7 / 6], dtype=torch.float64))


def test_swish_values_and_minimum() -> None:
    x = torch.tensor([1.0, -1.0, -1.2784645], dtype=torch.float64)
    expected = torch.tensor([0.7310586, -0.2689414, -0.2784645], dtype=torch.float64)
    torch.testing.assert_close(ops.swish(x), expected, rtol=0, atol=5e-8)


def test_hard_versions_stay_close_to_the_smooth_ones() -> None:
    x = torch.linspace(-8, 8, 16_001, dtype=torch.float64)
    swish_gap = (ops.hard_swish(x) - ops.swish(x)).abs()
    assert swish_gap.max().item() == pytest.approx(0.1422776, abs=1e-7)
    assert x[swish_gap.argmax()].abs().item() == pytest.approx(3)
    sigmoid_gap = (ops.hard_sigmoid(x) - torch.sigmoid(x)).abs()
    assert sigmoid_gap.max().item() == pytest.approx(0.0691822, abs=1e-7)
    assert x[sigmoid_gap.argmax()].abs().item() == pytest.approx(1.317, abs=1e-3)


@given(st.floats(-50, 50))
def test_fused_calls_agree_with_the_formulas(value: float) -> None:
    x = torch.tensor([value], dtype=torch.float64)
    torch.testing.assert_close(ops.hard_swish(x), ops.hard_swish_formula(x))
    torch.testing.assert_close(ops.hard_sigmoid(x), ops.hard_sigmoid_formula(x))


@pytest.mark.parametrize("fused", [True, False])
def test_hard_swish_module(fused: bool) -> None:
    module = ops.HardSwish(fused=fused)
    torch.testing.assert_close(module(POINTS), ops.hard_swish_formula(POINTS))
    assert f"fused={fused}" in repr(module)


def test_unknown_activation_names_the_choices() -> None:
    with pytest.raises(ValueError, match=r"unknown activation 'gelu'.*hard_swish"):
        ops.activation("gelu")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(18, 24), (12, 16), (30, 32), (60, 64), (36, 40), (5.6, 8), (44.8, 48), (4, 8), (20, 24)],
)
def test_make_divisible_table(value: float, expected: int) -> None:
    assert ops.make_divisible(value) == expected


@given(st.floats(0.01, 5000), st.integers(1, 64))
def test_make_divisible_rule(value: float, divisor: int) -> None:
    rounded = ops.make_divisible(value, divisor)
    assert rounded % divisor == 0
    assert rounded >= 0.9 * value
    assert rounded - value <= divisor


@pytest.mark.parametrize("value", [0, -8, math.nan])
def test_make_divisible_refuses_what_is_no_channel_count(value: float) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        ops.make_divisible(value)


def test_make_divisible_refuses_divisor_zero() -> None:
    with pytest.raises(ValueError, match="divisor must be at least 1, got 0"):
        ops.make_divisible(8, 0)


SQUEEZE = {72: 24, 96: 24, 120: 32, 144: 40, 240: 64, 288: 72, 480: 120, 576: 144, 672: 168}


@pytest.mark.parametrize(("expansion", "squeezed"), [*SQUEEZE.items(), (960, 240), (16, 8)])
def test_squeeze_rule_of_mobilenet_v3(expansion: int, squeezed: int) -> None:
    assert ops.squeeze_from_expansion(expansion) == squeezed


@pytest.mark.parametrize(("block_input", "squeezed"), [(24, 6), (40, 10), (160, 40), (3, 1)])
def test_squeeze_rule_of_mnasnet(block_input: int, squeezed: int) -> None:
    assert ops.squeeze_from_input(block_input) == squeezed


def test_squeeze_excite_by_hand() -> None:
    """Two channels with means 1 and 3; every weight 1, so that both gates see 1 + 3 = 4."""
    se = ops.SqueezeExcite(2, 1, gate="sigmoid")
    for parameter in se.parameters():
        nn.init.ones_(parameter)
    x = torch.tensor([[[[0.0, 2.0]], [[3.0, 3.0]]]])  # (1, 2, 1, 2)
    gate = torch.sigmoid(torch.tensor((1.0 + 3.0 + 1.0) + 1.0))  # reduce + bias, expand + bias
    torch.testing.assert_close(se.scale(x), gate.expand(1, 2, 1, 1))
    torch.testing.assert_close(se(x), x * gate)


def test_squeeze_excite_params() -> None:
    se = ops.SqueezeExcite(960, 240)
    assert sum(p.numel() for p in se.parameters()) == 2 * 960 * 240 + 240 + 960


def test_squeeze_excite_needs_a_channel() -> None:
    with pytest.raises(ValueError, match="squeeze_channels must be at least 1, got 0"):
        ops.SqueezeExcite(8, 0)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [(224, 3, 2, (0, 1)), (112, 5, 2, (1, 2)), (33, 3, 2, (1, 1)), (14, 3, 1, (1, 1))],
)
def test_same_padding_by_hand(size: int, kernel: int, stride: int, expected: tuple) -> None:
    assert ops.same_padding(size, kernel, stride) == expected


@given(st.integers(1, 300), st.sampled_from([1, 3, 5, 7]), st.integers(1, 3), st.integers(1, 3))
def test_same_padding_gives_size_over_stride(
    size: int, kernel: int, stride: int, dilation: int
) -> None:
    padded = size + sum(ops.same_padding(size, kernel, stride, dilation))
    reach = dilation * (kernel - 1) + 1
    outputs = (padded - reach) // stride + 1
    assert outputs == -(-size // stride)


@pytest.mark.parametrize("kernel", [3, 5])
def test_both_paddings_agree_where_symmetric_padding_suits_the_size(kernel: int) -> None:
    x = torch.randn(1, 4, 33, 33, generator=torch.Generator().manual_seed(0))
    symmetric = ops.ConvNormAct(4, 4, kernel, stride=2)
    same = ops.ConvNormAct(4, 4, kernel, stride=2, padding="same")
    same.load_state_dict(symmetric.state_dict())
    torch.testing.assert_close(symmetric(x), same(x))
    assert not torch.allclose(symmetric(x[..., :32, :32]), same(x[..., :32, :32]))


def test_conv_refuses_even_kernel_and_unknown_padding() -> None:
    with pytest.raises(ValueError, match=r"kernel_size must be odd.*got 4"):
        ops.ConvNormAct(3, 8, 4)
    with pytest.raises(ValueError, match="unknown padding 'valid'"):
        ops.ConvNormAct(3, 8, 3, padding="valid")


def test_depthwise_separable_params_by_hand() -> None:
    block = ops.DepthwiseSeparable(8, 16, 3)
    assert sum(p.numel() for p in block.parameters()) == 3 * 3 * 8 + 2 * 8 + 8 * 16 + 2 * 16


def test_inverted_residual_adds_its_input_only_where_shapes_agree() -> None:
    cases = [((8, 16, 8, 3), 1, True), ((8, 16, 8, 3), 2, False), ((8, 16, 12, 3), 1, False)]
    for shape, stride, expected in cases:
        assert ops.InvertedResidual(*shape, stride=stride).use_residual is expected


def test_inverted_residual_with_silent_projection_is_the_identity() -> None:
    block = ops.InvertedResidual(8, 24, 8, squeeze_channels=8).eval()
    nn.init.zeros_(block.project.norm.weight)
    x = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(block(x), x)


def test_inverted_residual_projection_is_linear_and_expansion_optional() -> None:
    assert not hasattr(ops.InvertedResidual(8, 24, 8).project, "act")
    assert ops.InvertedResidual(8, 8, 8).expand is None
    assert ops.InvertedResidual(8, 24, 8).se is None


def test_inverted_residual_activates_before_squeeze_excite() -> None:
    """The gate's pool must see the depthwise output after its activation."""
    block = ops.InvertedResidual(4, 8, 4, squeeze_channels=8, act="relu").eval()
    seen = []
    block.se.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    block(torch.randn(1, 4, 5, 5, generator=torch.Generator().manual_seed(2)))
    assert seen[0].min() >= 0


def test_drop_path_keeps_images_whole_and_the_mean() -> None:
    x = torch.ones(4000, 2, 1, 3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        y = ops.DropPath(0.25)(x)
    per_image = y.flatten(1)
    assert {round(v, 4) for v in per_image.unique().tolist()} == {0.0, 1.3333}
    assert bool((per_image == per_image[:, :1]).all())
    # 4000 images: the standard deviation of the mean is 0.009.
    assert abs(y.mean().item() - 1) < 0.04
    assert ops.DropPath(0.25).eval()(x) is x


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_drop_path_rate_out_of_range(rate: float) -> None:
    with pytest.raises(ValueError, match=f"below 1, got {rate}"):
        ops.DropPath(rate)
