"""Bias loss in closed form, its two broken cases made safe, and its memory."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from mnv3lib.train.bias_loss import (
    LARGEST,
    BiasLoss,
    bias_weight,
    bias_weight_at_first,
    feature_variance,
    normalise_variances,
)

LOGITS = torch.tensor([[2.0, 0, -1], [0, 1, 0], [0.5, 0.5, 3]])
TARGETS = torch.tensor([0, 2, 2])
FEATURES = torch.tensor([[1.0, 2, 3, 4], [0, 0, 0, 1], [5, 1, 1, 5]])
PAIR = torch.tensor([[0.0, 2], [0, 4]])  # variances 2 and 8
LATER = torch.tensor([[0.0, math.sqrt(8)], [0, math.sqrt(12)]])  # variances 4 and 6
UNDECIDED = torch.full((2,), math.log(2))  # cross-entropy of equal logits over two classes
MODES = pytest.mark.parametrize("normalisation", ["local", "global"])


def entropies() -> torch.Tensor:
    return functional.cross_entropy(LOGITS, TARGETS, reduction="none")


def test_weights_of_the_published_curve():
    weights = bias_weight(torch.tensor([0.0, 0.2, 0.6, 1.0], dtype=torch.float64))
    assert weights.tolist() == pytest.approx([0.7, 0.7618365, 0.8972174, 1.0498588], abs=1e-7)
    at_a_tenth = [1.6118096, 1.7541935, 2.0659193, 2.4173892]  # its y axis: probability 0.1
    assert (-math.log(0.1) * weights).tolist() == pytest.approx(at_a_tenth, abs=1e-7)
    crossing = torch.tensor(math.log(1.3) / 0.3)
    assert bias_weight(crossing).item() == pytest.approx(1)


def test_the_first_formula_is_lower_by_two_fifths():
    normalised = torch.linspace(0, 1, 11, dtype=torch.float64)
    first = bias_weight_at_first(normalised)
    torch.testing.assert_close(first, bias_weight(normalised) - 0.4)
    assert [first[0].item(), first[-1].item()] == pytest.approx([0.3, 0.6498588], abs=1e-7)


def test_variances_are_unbiased_over_channels_and_positions():
    assert feature_variance(FEATURES).tolist() == pytest.approx([5 / 3, 0.25, 16 / 3])
    assert torch.equal(feature_variance(FEATURES.view(3, 2, 1, 2)), feature_variance(FEATURES))
    assert feature_variance(FEATURES.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("shape", [(3, 1), (3, 1, 1, 1), (3,)])
def test_a_single_activation_has_no_variance(shape):
    with pytest.raises(ValueError, match="at least 2 activations an image"):
        feature_variance(torch.ones(shape))


@MODES
def test_two_images_by_hand(normalisation):
    loss = BiasLoss(normalisation)(UNDECIDED, PAIR)
    assert loss.item() == pytest.approx((0.7 + 1.0498588) / 2 * math.log(2), abs=1e-6)
    assert loss.item() == pytest.approx(0.6064548, abs=1e-6)


@pytest.mark.parametrize(
    ("normalisation", "expected"), [("local", 0.6064548), ("global", 0.8913795)]
)
def test_global_normalisation_remembers_the_smallest_variance(normalisation, expected):
    loss = BiasLoss(normalisation)
    loss(UNDECIDED, PAIR)
    loss.remember()
    assert loss(UNDECIDED, LATER).item() == pytest.approx(expected, abs=1e-6)


def test_nothing_is_remembered_within_a_step():
    loss = BiasLoss("global")
    loss(UNDECIDED, PAIR)
    assert loss(UNDECIDED, LATER).item() == pytest.approx(0.6064548, abs=1e-6)
    loss.remember(lambda lowest: torch.stack([lowest, torch.tensor(1.5)]))  # of another process
    assert loss.smallest.item() == 1.5
    loss(UNDECIDED, LATER)
    loss.remember()
    assert loss.smallest.item() == 1.5


def test_the_memory_is_state():
    loss, other = BiasLoss("global"), BiasLoss("global")
    loss(UNDECIDED, PAIR)
    loss.remember()
    other.load_state_dict(loss.state_dict())
    assert other(UNDECIDED, LATER) == loss(UNDECIDED, LATER)


def test_three_images_by_hand():
    losses = entropies()
    assert losses.tolist() == pytest.approx([0.1698460, 1.5514446, 0.1520084], abs=1e-6)
    loss = BiasLoss()
    normalised = normalise_variances(feature_variance(FEATURES))
    assert normalised.tolist() == pytest.approx([0.2786885, 0, 1], abs=1e-6)
    weights = loss.weights(FEATURES)
    assert weights.tolist() == pytest.approx([0.7872010, 0.7, 1.0498588], abs=1e-6)
    assert loss(losses, FEATURES).item() == pytest.approx(0.4597672, abs=1e-6)
    assert losses.mean().item() == pytest.approx(0.6244330, abs=1e-6)
    first = (bias_weight_at_first(normalised) * losses).mean()
    assert first.item() == pytest.approx(0.2099940, abs=1e-6)


@MODES
def test_gradients_go_to_the_logits_alone(normalisation):
    logits, features = LOGITS.clone().requires_grad_(), FEATURES.clone().requires_grad_()
    loss = BiasLoss(normalisation)
    loss(functional.cross_entropy(logits, TARGETS, reduction="none"), features).backward()
    assert features.grad is None
    surprise = LOGITS.softmax(1) - functional.one_hot(TARGETS, 3)
    expected = loss.weights(FEATURES)[:, None] * surprise / 3
    torch.testing.assert_close(logits.grad, expected, rtol=0, atol=1e-7)


@MODES
@pytest.mark.parametrize("features", [FEATURES[:1], FEATURES[[1, 1, 1]], torch.zeros(4, 3, 2, 2)])
def test_equal_variances_weigh_like_the_smallest(normalisation, features):
    loss = BiasLoss(normalisation)
    loss(UNDECIDED, torch.tensor([[0.0, 0.1], [0, 3]]))
    loss.remember()
    losses = torch.arange(1.0, len(features) + 1)
    assert loss(losses, features).item() == pytest.approx(0.7 * losses.mean().item())


def test_variances_that_differ_by_rounding_are_equal():
    third = torch.tensor([1 / 3, torch.nextafter(torch.tensor(1 / 3), torch.tensor(1.0)).item()])
    assert normalise_variances(third, torch.tensor(0.0)).tolist() == [0, 0]


def test_a_tiny_range_in_global_normalisation_has_a_ceiling():
    variances = torch.tensor([5.0, 5.001])
    found = normalise_variances(variances, torch.tensor(1.0))
    assert found.tolist() == [LARGEST, LARGEST]
    assert bias_weight(found)[0].item() == pytest.approx(math.exp(3) - 0.3, rel=1e-6)


@given(
    features=st.lists(
        st.lists(st.integers(-50, 50), min_size=3, max_size=3), min_size=2, max_size=6
    ),
    factor=st.sampled_from([0.25, 2.0, 8.0, -4.0]),
    shift=st.integers(-100, 100),
)
def test_local_weights_know_neither_scale_nor_shift(features, factor, shift):
    features = torch.tensor(features, dtype=torch.float64)
    loss = BiasLoss()
    expected = loss.weights(features)
    torch.testing.assert_close(loss.weights(factor * features), expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(loss.weights(features + shift), expected, rtol=0, atol=1e-9)


@given(
    variances=st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=8),
    smallest=st.floats(0, 1e6, width=32),
)
def test_weights_are_always_finite_and_ordered_as_the_variances(variances, smallest):
    variances = torch.tensor(variances)
    for memory in (None, torch.tensor(smallest)):
        weights = bias_weight(normalise_variances(variances, memory))
        assert (weights >= 0.7 - 1e-6).all()
        assert (weights < 20).all()
        ranked = weights[variances.argsort()]
        assert (ranked.diff() >= 0).all()


def test_rearranged_variances():
    reverse = BiasLoss(rearrange=lambda normalised: 1 - normalised)
    normalised = torch.tensor([0.2786885, 0, 1])
    torch.testing.assert_close(reverse.weights(FEATURES), bias_weight(1 - normalised))


def test_unknown_normalisation():
    with pytest.raises(ValueError, match="unknown normalisation 'batch'"):
        BiasLoss("batch")


def test_the_network_of_the_published_results():
    """ResNet-18 with a stem for CIFAR-100: what the paper's gain of 1.18 points was measured on."""

    def block(c_in: int, c_out: int) -> int:
        convolutions = 9 * c_in * c_out + 9 * c_out**2
        shortcut = 0 if c_in == c_out else c_in * c_out + 2 * c_out
        return convolutions + 2 * 2 * c_out + shortcut

    widths = [64, 64, 64, 128, 128, 256, 256, 512, 512]
    stem, head = 3 * 9 * 64 + 2 * 64, 512 * 100 + 100
    blocks = sum(block(*pair) for pair in pairwise(widths))
    assert stem + blocks + head == 11_220_132
