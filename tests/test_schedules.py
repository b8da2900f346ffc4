"""Schedules: published learning rates at given epochs, and rules that hold for all of them."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mnv3lib.train.recipe import Schedule
from mnv3lib.train.schedules import learning_rate, noise_factor

TIMM = Schedule(name="step", gamma=0.973, every=2.4, warmup_epochs=3, warmup_start=1e-6 / 0.064)
TORCHVISION = Schedule(name="step", gamma=0.973, every=2)


@pytest.mark.parametrize(
    ("epoch", "rate"),
    [
        (3, 0.062272),
        (5, 0.0605907),
        (100, 0.0208356),
        (252, 0.00361433),
        (300, 0.00209067),
        (466, 3.16279e-4),
        (540, 1.35385e-4),
        (599, 7.01903e-5),
    ],
)
def test_published_rates_of_timm(epoch: int, rate: float) -> None:
    assert learning_rate(TIMM, 0.064, epoch, 600) == pytest.approx(rate, 1e-5)


@pytest.mark.parametrize(
    ("epoch", "rate"), [(0, 0.064), (1, 0.064), (100, 0.0162863), (599, 1.78616e-5)]
)
def test_published_rates_of_torchvision(epoch: int, rate: float) -> None:
    assert learning_rate(TORCHVISION, 0.064, epoch, 600) == pytest.approx(rate, 1e-5)


def test_step_without_warmup_starts_at_the_base_rate() -> None:
    assert learning_rate(TIMM.model_copy(update={"warmup_epochs": 0}), 0.064, 0, 600) == 0.064


def test_warmup_is_linear_from_its_start() -> None:
    assert learning_rate(TIMM, 0.064, 0, 600) == pytest.approx(1e-6)
    assert learning_rate(TIMM, 0.064, 1, 600) == pytest.approx(1e-6 + (0.064 - 1e-6) / 3)
    assert learning_rate(TIMM, 0.064, 1.5, 600) == pytest.approx((1e-6 + 0.064) / 2)


def test_cosine_by_hand() -> None:
    cosine = Schedule(name="cosine", warmup_epochs=2, final=0.1)
    rates = [learning_rate(cosine, 1.0, epoch, 10) for epoch in (0, 1, 2, 6, 10)]
    assert rates == pytest.approx([0.0, 0.5, 1.0, 0.55, 0.1])


def test_milestones_by_hand() -> None:
    falls = Schedule(name="milestones", gamma=0.1, milestones=[80, 122])
    rates = [learning_rate(falls, 0.1, epoch, 160) for epoch in (0, 79.9, 80, 121.9, 122, 160)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"name": "step", "milestones": [3]}, "belong to the schedule 'milestones', got 'step'"),
        ({"name": "milestones"}, "milestones belong to"),
        ({"name": "milestones", "milestones": [5, 3]}, r"must ascend, got \[5\.0, 3\.0\]"),
    ],
)
def test_milestones_that_cannot_be(values: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Schedule(**values)


def test_exponential_meets_the_steps_from_above() -> None:
    smooth = Schedule(name="exponential", gamma=0.5, every=2)
    stairs = Schedule(name="step", gamma=0.5, every=2)
    assert [learning_rate(smooth, 8.0, epoch, 6) for epoch in (0, 2, 4)] == [8.0, 4.0, 2.0]
    assert [learning_rate(stairs, 8.0, epoch, 6) for epoch in (0, 1.99, 2, 4)] == [8, 8, 4, 2]
    assert learning_rate(smooth, 8.0, 1, 6) == pytest.approx(8 / math.sqrt(2))


def test_constant() -> None:
    assert learning_rate(Schedule(name="constant"), 0.3, 7, 10) == 0.3


def test_training_that_is_all_warmup() -> None:
    assert learning_rate(Schedule(warmup_epochs=5), 1.0, 3, 3) == pytest.approx(0.6)
    assert learning_rate(Schedule(warmup_epochs=3), 1.0, 3, 3) == 1.0


# --- noise -------------------------------------------------------------------------------------

NOISY = TIMM.model_copy(update={"noise": (0.42, 0.9)})


def test_noise_has_a_window() -> None:
    def changed(epoch: float) -> bool:
        clean = learning_rate(TIMM, 1.0, epoch, 600)
        return learning_rate(NOISY, 1.0, epoch, 600) != clean

    assert [epoch for epoch in range(600) if changed(epoch)] == list(range(252, 540))
    assert not changed(251.99)
    assert changed(539.99)


def test_noise_is_drawn_once_an_epoch_and_from_the_seed() -> None:
    ratios = [
        learning_rate(NOISY, 1.0, epoch, 600) / learning_rate(TIMM, 1.0, epoch, 600)
        for epoch in (300, 300.7, 301)
    ]
    assert ratios[0] == pytest.approx(noise_factor(300))
    assert ratios[1] == pytest.approx(ratios[0])
    assert ratios[2] == pytest.approx(noise_factor(301))
    assert noise_factor(300) != noise_factor(301)
    assert noise_factor(300) == noise_factor(299, seed=43)
    assert learning_rate(NOISY, 1.0, 300, 600, seed=7) != learning_rate(NOISY, 1.0, 300, 600)


def test_noise_is_bounded() -> None:
    factors = [noise_factor(epoch) for epoch in range(500)]
    assert all(0.33 < factor < 1.67 for factor in factors)
    assert sum(factors) / 500 == pytest.approx(1.0, abs=0.06)  # its deviation is 0.37


# --- rules for all -----------------------------------------------------------------------------

EPOCHS = 20
shares = st.floats(0, 1)
schedules = st.builds(
    Schedule,
    name=st.sampled_from(["constant", "cosine", "step", "exponential"]),
    warmup_epochs=st.floats(0, 10),
    warmup_start=shares,
    gamma=st.floats(0.01, 1),
    every=st.floats(0.5, 10),
    final=shares,
)
moments = st.floats(0, EPOCHS)


@given(schedules, moments, st.booleans())
def test_rates_lie_between_zero_and_the_base_rate(schedule, epoch, noisy) -> None:
    if noisy:
        schedule = schedule.model_copy(update={"noise": (0.0, 1.0)})
    rate = learning_rate(schedule, 0.1, epoch, EPOCHS)
    assert 0 <= rate <= 0.1 * (1.67 if noisy else 1) + 1e-12


@given(schedules, moments, moments)
def test_rates_never_rise_after_the_warmup(schedule, one, other) -> None:
    early, late = sorted((one, other))
    assume(early >= schedule.warmup_epochs)
    rates = [learning_rate(schedule, 0.1, epoch, EPOCHS) for epoch in (early, late)]
    assert rates[1] <= rates[0] + 1e-12


@given(schedules, moments)
def test_smooth_schedules_do_not_jump(schedule, epoch) -> None:
    assume(schedule.name != "step")
    assume(schedule.warmup_epochs == 0 or schedule.warmup_epochs > 0.1)
    step = 1e-6
    before = learning_rate(schedule, 1.0, max(epoch - step, 0), EPOCHS)
    assert abs(learning_rate(schedule, 1.0, epoch, EPOCHS) - before) < 20 * step


@pytest.mark.parametrize("epoch", [-0.1, 10.1])
def test_epochs_outside_of_the_training(epoch: float) -> None:
    with pytest.raises(ValueError, match=rf"\[0, 10\].*got {epoch}"):
        learning_rate(Schedule(), 0.1, epoch, 10)
