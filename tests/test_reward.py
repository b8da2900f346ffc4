"""The reward of platform-aware search against values worked out by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnv3lib.search.reward import Reward, indifference_exponent

shares = st.floats(0, 1)
milliseconds = st.floats(0.01, 1e4)
exponents = st.floats(-2, 0)


@pytest.mark.parametrize(
    ("ratio", "w", "factor"),
    [
        (2.0, -0.07, 0.952638),
        (2.0, -0.15, 0.901250),
        (0.5, -0.07, 1.049717),
        (0.5, -0.15, 1.109569),
        (1.25, -0.07, 0.984501),
        (1.25, -0.15, 0.967082),
        (1.0, -0.15, 1.0),
    ],
)
def test_latency_factors(ratio, w, factor):
    assert round(Reward.soft(80, w).factor(80 * ratio), 6) == factor


def test_hard_constraint():
    reward = Reward.hard(75)
    assert reward(0.75, 150) == 0.375  # twice the target: half of the accuracy
    assert reward(0.75, 75) == reward(0.75, 10) == 0.75  # nothing is won below the target


def test_soft_constraint_at_twice_the_target():
    assert Reward.soft(75)(0.5, 150) == pytest.approx(0.952638 * 0.5, abs=5e-7)


def test_the_exponent_of_mnasnet():
    w = indifference_exponent(1.05, 2)
    assert round(w, 7) == -0.0703893
    reward = Reward.soft(75, w)
    assert reward(0.7 * 1.05, 2 * 60) == pytest.approx(reward(0.7, 60), rel=1e-12)


@given(accuracy=shares, latency=milliseconds, target=milliseconds, w=exponents)
def test_soft_is_the_formula(accuracy, latency, target, w):
    expected = accuracy * (latency / target) ** w
    assert Reward.soft(target, w)(accuracy, latency) == pytest.approx(expected, rel=1e-9)


@given(accuracy=shares, fast=milliseconds, slow=milliseconds, alpha=exponents, beta=exponents)
def test_slower_is_never_better(accuracy, fast, slow, alpha, beta):
    fast, slow = sorted([fast, slow])
    reward = Reward(target_ms=10, alpha=alpha, beta=beta)
    assert reward(accuracy, slow) <= reward(accuracy, fast) * (1 + 1e-12)


def test_many_at_once():
    accuracy = torch.tensor([0.5, 0.6, 0.7])
    latency = torch.tensor([[40.0], [80.0]])
    reward = Reward.soft(80, -0.15)
    rewards = reward(accuracy, latency)
    assert rewards.shape == (2, 3)
    assert rewards.dtype == torch.float64
    assert rewards[0, 2].item() == reward(accuracy[2].item(), 40.0)
    assert torch.equal(rewards[1], accuracy.double())  # at the target, the accuracy itself


def test_numbers_give_numbers():
    assert isinstance(Reward.soft(80)(1, 80), float)
    assert isinstance(Reward.soft(80).factor(40.0), float)
    assert isinstance(Reward.soft(80)(0.5, torch.tensor([80.0])), torch.Tensor)


@pytest.mark.parametrize("target", [0, -1, float("nan"), float("inf")])
def test_targets_are_above_zero(target):
    with pytest.raises(ValueError, match="target must be above 0"):
        Reward.hard(target)


@pytest.mark.parametrize("w", [0.07, float("nan"), float("-inf")])
def test_exponents_do_not_reward_slowness(w):
    with pytest.raises(ValueError, match="alpha must be 0 or below"):
        Reward.soft(80, w)
    with pytest.raises(ValueError, match="beta must be 0 or below"):
        Reward(80, alpha=0, beta=w)


@pytest.mark.parametrize("accuracy", [-0.1, 75.2, float("nan")])
def test_accuracies_are_shares(accuracy):
    with pytest.raises(ValueError, match=r"accuracy must be a share in \[0, 1\], got"):
        Reward.soft(80)(accuracy, 80)


@pytest.mark.parametrize("latency", [0.0, -3.0, float("nan")])
def test_latencies_are_above_zero(latency):
    with pytest.raises(ValueError, match="latency must be above 0, got"):
        Reward.soft(80)(0.5, torch.tensor([80.0, latency]))


def test_ratios_of_the_exponent():
    with pytest.raises(ValueError, match=r"got 1\.05 and 1"):
        indifference_exponent(1.05, 1)
