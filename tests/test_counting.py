"""The counter on networks small enough to count by hand, and what it refuses."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from all_networks import EVERY, built
from mnv3lib import count, create_model, deploy
from mnv3lib.measure import activation_memory
from mnv3lib.ops import ConvNormAct, SqueezeExcite


class TwoLayers(nn.Module):
    """A 3x3 convolution with norm and ReLU at stride 2, then a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = ConvNormAct(3, 4, 3, stride=2)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.linear = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.pool(self.conv(x)))


def test_two_layers_by_hand() -> None:
    counted = count(TwoLayers(), 32)
    conv_macs, linear_macs = 16 * 16 * 4 * 3 * 9, 4 * 5
    assert counted.macs == conv_macs + linear_macs
    assert counted.params == 4 * 27 + 2 * 4 + 4 * 5 + 5
    assert [row.macs for row in counted.rows] == [conv_macs, 0, linear_macs]
    assert counted.rows[0].input_shape == (3, 32, 32)
    assert counted.rows[0].output_shape == (4, 16, 16)
    assert "one MAC per fused multiply-add" in counted.convention


def test_an_image_may_be_wider_than_high() -> None:
    counted = count(TwoLayers(), (32, 64))
    assert counted.macs == 16 * 32 * 4 * 3 * 9 + 4 * 5
    assert counted.resolution == (32, 64)
    assert counted.rows[0].output_shape == (4, 16, 32)


class TwoBranches(nn.Module):
    """A list of convolutions, each of which is called by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(3, 2, 1, bias=False) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.branches[0](x) + self.branches[1](x)


def test_a_part_whose_modules_are_called_one_by_one_has_no_shape() -> None:
    (row,) = count(TwoBranches(), 32).rows
    assert (row.macs, row.params) == (2 * 32 * 32 * 6, 12)
    assert row.input_shape is None
    assert row.output_shape is None


def test_conventions_by_hand() -> None:
    network, elements = TwoLayers(), 4 * 16 * 16
    plain = count(network, 32).macs
    assert count(network, 32, batch_norm="counted").macs == plain + elements
    assert count(network, 32, activations=True).macs == plain + elements + elements  # ReLU, pool
    assert count(network, 32, batch_norm="folded").params == 4 * 27 + 4 + 25


def test_squeeze_excite_operators_by_hand() -> None:
    counted = count(nn.Sequential(ConvNormAct(3, 8, 1), SqueezeExcite(8, 2)), 32)
    operators = counted.rows[1].operators
    assert operators == {
        "pool": 8 * 32 * 32,
        "pointwise": 2 * 8 * 2,
        "relu": 2,
        "hard_sigmoid": 8,
        "multiply": 8 * 32 * 32,
    }


@pytest.mark.parametrize("name", EVERY)
def test_rows_add_up_to_the_network(name: str) -> None:
    counted = count(built(name, 64), 64, activations=True)
    assert sum(row.macs for row in counted.rows) == counted.macs
    assert sum(row.params for row in counted.rows) == counted.params


@pytest.mark.parametrize("name", EVERY)
def test_counting_leaves_the_network_alone(name: str) -> None:
    network = built(name).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    count(network, 32)
    assert network.training
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value, before[key])


@pytest.mark.parametrize("name", EVERY)
def test_folded_counts_are_those_of_the_deployed_network(name: str) -> None:
    network = built(name, 64)
    folded, deployed = count(network, 64, batch_norm="folded"), count(deploy(network), 64)
    assert (folded.params, folded.macs) == (deployed.params, deployed.macs)
    assert [row.params for row in folded.rows] == [row.params for row in deployed.rows]


@given(st.integers(1, 4), st.sampled_from([1, 3, 5]), st.integers(1, 2), st.booleans())
def test_convolutions_follow_the_formula(
    width: int, kernel: int, stride: int, depthwise: bool
) -> None:
    c_in, c_out = 3, 3 * width
    conv = ConvNormAct(c_in, c_out, kernel, stride=stride, groups=c_in if depthwise else 1)
    side = -(-32 // stride)
    inputs = 1 if depthwise else c_in
    expected = side * side * c_out * inputs * kernel * kernel
    assert count(nn.Sequential(conv), 32).macs == expected


class Sine(nn.Module):
    """An operator that none of the book's networks has."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(x)


def test_an_operator_without_handler_is_named() -> None:
    with pytest.warns(UserWarning, match="no handler for: aten::sin"):
        count(nn.Sequential(Sine()), 32)


@pytest.mark.parametrize(
    ("resolution", "message"),
    [(16, "at least 32 pixels, got 16"), (224.0, "whole number"), (True, "whole number")],
)
def test_count_refuses_a_wrong_resolution(resolution: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        count(TwoLayers(), resolution)


def test_count_refuses_an_unknown_convention() -> None:
    with pytest.raises(ValueError, match="unknown batch_norm 'ignored'"):
        count(TwoLayers(), 32, batch_norm="ignored")


def test_activation_memory_of_a_block_by_hand() -> None:
    """V2's first stride-2 block: its depthwise convolution reads 96 maps at 112, writes at 56."""
    memory = activation_memory(create_model("mobilenet_v2"), bytes_per_element=1)
    assert memory["rows.2"] == 96 * 112 * 112 + 96 * 56 * 56
    # A block with shortcut holds its 24-channel input beside the two wide maps.
    assert memory["rows.3"] == (2 * 144 + 24) * 56 * 56


def test_activation_memory_scales_with_the_element() -> None:
    network = create_model("mobilenet_v3_small")
    one, four = (activation_memory(network, 64, bytes_per_element=b) for b in (1, 4))
    assert {name: 4 * peak for name, peak in one.items()} == four
