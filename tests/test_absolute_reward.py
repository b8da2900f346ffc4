"""The absolute reward against values worked out by hand, and beside MnasNet's."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnv3lib.search.absolute_reward import AbsoluteReward
from mnv3lib.search.reward import Reward

shares = st.floats(0, 1)
ratios = st.floats(0.01, 0.99)
betas = st.floats(-2, -0.01)


def test_a_fifth_too_slow_costs_what_a_fifth_too_fast_costs():
    reward = AbsoluteReward(target=50, beta=-0.1)
    assert reward(0.25, 60) == pytest.approx(0.23, abs=1e-12)
    assert reward(0.25, 40) == pytest.approx(0.23, abs=1e-12)


def test_mnasnets_reward_pays_for_speed_instead():
    reward = Reward.soft(target_ms=50, w=-0.1)
    assert reward(0.25, 60) == pytest.approx(0.245483, abs=5e-7)
    assert reward(0.25, 40) == pytest.approx(0.255641, abs=5e-7)


@given(quality=shares, away=ratios, beta=betas)
def test_highest_at_the_target_and_symmetric_around_it(quality, away, beta):
    reward = AbsoluteReward(target=7.0, beta=beta)
    slow, fast = reward(quality, 7 * (1 + away)), reward(quality, 7 * (1 - away))
    assert slow == pytest.approx(fast, abs=1e-9)
    assert reward(quality, 7.0) == pytest.approx(quality, abs=1e-12)
    assert slow < reward(quality, 7.0)


def test_the_slope_turns_by_twice_beta_over_the_target():
    reward = AbsoluteReward(target=20, beta=-0.3)
    step = 1e-3
    left, middle, right = (reward(0.5, 20 + d) for d in (-step, 0, step))
    assert (right - 2 * middle + left) / step == pytest.approx(-2 * 0.3 / 20)


def test_many_at_once():
    rewards = AbsoluteReward(target=2, beta=-0.5)(torch.tensor([0.5, 1.0]), torch.tensor([2.0, 4]))
    assert rewards.dtype == torch.float64
    assert rewards.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": 0.0}, "target must be above 0, got 0.0"),
        ({"target": 1.0, "beta": 0.0}, "beta must be below 0, got 0.0"),
        ({"target": 1.0, "beta": float("-inf")}, "beta must be below 0"),
    ],
)
def test_refuses_settings(options, message):
    with pytest.raises(ValueError, match=message):
        AbsoluteReward(**options)


@pytest.mark.parametrize(("quality", "latency"), [(25, 1.0), (-0.1, 1.0), (0.5, 0.0)])
def test_refuses_values(quality, latency):
    with pytest.raises(ValueError, match=r"share in \[0, 1\]|above 0"):
        AbsoluteReward(target=1.0)(quality, latency)
