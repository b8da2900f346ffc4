"""The tiny formula: its arithmetic, the width that a budget leaves, and the regression."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.gaussian_process.kernels import RBF

from mnv3lib import count
from mnv3lib.models import Network, model_spec
from mnv3lib.models.tinynet import TWISTS, Twist, twisted
from mnv3lib.search.row_costs import macs_at
from mnv3lib.search.tiny_formula import TinyFormula, TrainedTwist, frontier
from mnv3lib.search.twist_costs import (
    GIANT,
    giant_twist,
    ideal_cost,
    ideal_width,
    macs_of,
    matched_giant,
    solve_width,
)

B0_MACS = 385_814_752
MACS = (336_867_712, 200_709_360, 99_536_432, 51_580_656, 24_356_848)
SHARES = [macs / B0_MACS for macs in MACS]


def test_the_giant_formula_nearly_doubles():
    assert ideal_cost(GIANT) == pytest.approx(1.2 * 1.21 * 1.3225)
    assert ideal_cost(GIANT) == pytest.approx(1.920270, abs=1e-9)
    assert round(B0_MACS * ideal_cost(giant_twist(-1)) / 1e6, 1) == 200.9
    assert ideal_cost(giant_twist(-1)) == pytest.approx(1 / 1.92027)
    assert ideal_cost(giant_twist(0)) == 1


@pytest.mark.parametrize(
    ("k", "side", "params", "macs"),
    [
        (1, 194, 3_941_072, 247_357_440),
        (2, 169, 3_493_418, 137_194_848),
        (3, 147, 2_824_934, 87_132_864),
        (4, 128, 2_391_458, 41_631_168),
    ],
)
def test_inverse_giants_rounded(k, side, params, macs):
    """None has what the law says, and what the paper pairs it with; stem and head do not shrink."""
    spec = twisted(giant_twist(-k))
    counted = count(Network(spec))
    assert (counted.resolution, counted.params, counted.macs) == (side, params, macs)
    assert macs_of(giant_twist(-k)) == macs


def test_one_pixel_beyond_a_multiple_of_32():
    """128 pixels end as 4 x 4, 129 as 5 x 5."""
    spec = twisted(giant_twist(-4))
    assert [macs_at(side)(spec) for side in (128, 129)] == [41_631_168, 51_999_216]


def test_the_ideal_width_is_not_the_published_one():
    wanted = {"a": 0.992, "b": 0.819, "c": 0.668, "d": 0.645, "e": 0.683}
    for (letter, width), share in zip(wanted.items(), SHARES, strict=True):
        twist = TWISTS[f"tinynet_{letter}"]
        found = ideal_width(share, twist.resolution, twist.depth)
        assert found == pytest.approx(width, abs=5e-4)
    assert round(ideal_width(0.0631, resolution=0.475, depth=0.60), 3) == 0.683


@given(st.floats(0.2, 2), st.floats(0.2, 2), st.floats(0.2, 2))
def test_the_ideal_width_solves_the_ideal_law(resolution, width, depth):
    share = ideal_cost(Twist(resolution, width, depth))
    assert ideal_width(share, resolution, depth) == pytest.approx(width)


@pytest.mark.parametrize(
    ("letter", "budget", "width"),
    [("c", 100e6, 0.545), ("d", 52e6, 0.545), ("e", 24.4e6, 0.51)],
)
def test_the_solved_width_makes_the_published_network(letter, budget, width):
    twist = TWISTS[f"tinynet_{letter}"]
    assert solve_width(budget, twist.resolution, twist.depth) == width
    solved = twisted(Twist(twist.resolution, width, twist.depth))
    assert solved.rows == model_spec(f"tinynet_{letter}").rows


@settings(max_examples=15, deadline=None)
@given(st.floats(40e6, 400e6), st.floats(0.4, 1.1), st.floats(0.4, 1.5))
def test_the_solved_width_is_the_largest_that_fits(budget, resolution, depth):
    try:
        width = solve_width(budget, resolution, depth, step=0.05)
    except ValueError:
        assert macs_of(Twist(resolution, 0.05, depth)) > budget
        return
    assert macs_of(Twist(resolution, width, depth)) <= budget
    assert width == 3 or macs_of(Twist(resolution, width + 0.05, depth)) > budget


def test_a_budget_that_no_width_meets():
    with pytest.raises(ValueError, match=r"resolution 1 and depth 1 cost at least .* lower one"):
        solve_width(5e6, 1.0, 1.0)
    with pytest.raises(ValueError, match="no compound scaling fits a budget of 100"):
        matched_giant(100, step=1)


@pytest.mark.parametrize(
    ("budget", "phi", "side", "macs"),
    [
        (200.8e6, 1.19, 189, 200_755_584),
        (100.2e6, 2.55, 156, 100_168_160),
        (52e6, 3.94, 129, 51_999_216),
        (24.4e6, 5.85, 98, 24_292_016),
    ],
)
def test_giants_at_the_budgets_of_tinynets(budget, phi, side, macs):
    twist = matched_giant(budget)
    assert math.log(twist.width) / math.log(1.1) == pytest.approx(-phi)
    assert (twisted(twist).resolution, macs_of(twist)) == (side, macs)


@pytest.mark.parametrize(
    ("axis", "front", "exponent", "ideal"),
    [
        ("resolution", 0.970, 0.216, 0.214),
        ("depth", 1.264, 0.279, 0.279),
        ("width", 0.909, 0.248, 0.146),
    ],
)
def test_power_laws_through_the_published_networks(axis, front, exponent, ideal):
    """By least squares on logarithms; beside them the exponents of the ideal giant."""
    values = [getattr(twist, axis) for twist in TWISTS.values()]
    slope, constant = np.polyfit(np.log(SHARES), np.log(values), 1)
    assert (slope, math.exp(constant)) == pytest.approx((exponent, front), abs=5e-4)
    assert math.log(getattr(GIANT, axis)) / math.log(ideal_cost(GIANT)) == pytest.approx(
        ideal, abs=5e-4
    )


def published_formula(noise: float = 1e-4) -> TinyFormula:
    return TinyFormula(list(TWISTS.values()), SHARES, kernel=RBF(1.0, "fixed"), noise=noise)


def test_regression_on_the_published_networks():
    """Squared exponential over ln c with length and height 1, noise 1e-4."""
    resolution = {0.1: 0.5866, 0.2: 0.7873, 0.4: 0.8409, 0.7: 0.8469}
    depth = {0.1: 0.6519, 0.2: 0.7770, 0.4: 1.0078, 0.7: 1.1748}
    for share in resolution:
        found = published_formula().predict(share)
        assert found.resolution == pytest.approx(resolution[share], abs=1e-3)
        assert found.depth == pytest.approx(depth[share], abs=1e-3)


def test_without_noise_it_goes_through_its_points():
    formula = published_formula(noise=1e-10)
    for twist, share in zip(TWISTS.values(), SHARES, strict=True):
        found = formula.predict(share)
        assert found.resolution == pytest.approx(twist.resolution, abs=1e-5)
        assert found.depth == pytest.approx(twist.depth, abs=1e-5)


@pytest.mark.parametrize("noise", [1e-4, 1e-6])
def test_on_a_point_little_noise_is_all_the_variance(noise):
    """s^2 = 1 - k (K + noise)^-1 k tends to the noise as that goes to 0."""
    for share in SHARES:
        found = published_formula(noise=noise).predict(share)
        assert 0.9 < found.depth_sd**2 / noise <= 1
        assert found.resolution_sd == found.depth_sd


def test_far_from_all_points_it_knows_nothing():
    found = published_formula().predict(1e6)
    mean = sum(twist.depth for twist in TWISTS.values()) / 5
    assert found.depth == pytest.approx(mean)
    assert found.depth_sd == found.resolution_sd == pytest.approx(1.0)


def test_between_two_points_by_hand():
    """x = 0 and 1, y = -1/2 and 1/2 about their mean, so 0 in the middle."""
    twists = [Twist(0.5, 1, 0.5), Twist(1.5, 1, 1.5)]
    formula = TinyFormula(twists, [1, math.e], kernel=RBF(1.0, "fixed"), noise=0.1)
    assert formula.predict(math.sqrt(math.e)).depth == pytest.approx(1.0)
    # At x = 1: (k0 - k1) . (K + 0.1 I)^-1 (1/2, -1/2) = (1 - e^-1/2) / 2 / (1.1 - e^-1/2)
    k = math.exp(-0.5)
    assert formula.predict(math.e).depth == pytest.approx(1 + 0.5 * (1 - k) / (1.1 - k))


def test_a_twist_for_a_budget():
    twist = published_formula().twist(52e6)
    assert 0.97 * 52e6 < macs_of(twist) <= 52e6
    assert twist.resolution == pytest.approx(0.68, abs=0.02)
    assert twisted(twist).stages == model_spec("tinynet_d").stages


def test_the_published_numbers_rise_with_the_budget():
    ordered = sorted(zip(SHARES, TWISTS.values(), strict=True), key=lambda pair: pair[0])
    for axis in ("resolution", "depth"):
        values = [getattr(twist, axis) for _, twist in ordered]
        assert values == sorted(values)


def test_the_frontier_leaves_out_what_is_beaten():
    cheap, good, beaten = (
        TrainedTwist(Twist(depth=d), macs, accuracy)
        for d, macs, accuracy in ((0.5, 10, 0.5), (1.0, 20, 0.7), (2.0, 30, 0.6))
    )
    assert frontier([beaten, good, cheap]) == [cheap, good]


@pytest.mark.parametrize(("twists", "shares"), [(1, [0.5]), (2, [0.5, 0.0]), (2, [0.5, 0.2, 0.1])])
def test_a_formula_needs_points(twists, shares):
    with pytest.raises(ValueError, match="need a share above 0 for each of at least two twists"):
        TinyFormula([Twist()] * twists, shares)


def test_the_kernel_is_fitted_when_none_is_given():
    found = TinyFormula(list(TWISTS.values()), SHARES).predict(0.3)
    assert 0.75 < found.resolution < 0.9
    assert 0.8 < found.depth < 1.1
    assert 0 < found.depth_sd < 0.3
