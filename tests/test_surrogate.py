"""The surrogate: ridge regression by hand, its leave-one-out errors by leaving one out."""

import itertools
from dataclasses import replace

import pytest
import torch
from scipy.stats import spearmanr

from mnv3lib.search import MNASNET, SMALL_32, StageOptions, one_hot, sample_codes
from mnv3lib.search.encoding import from_ranks
from mnv3lib.search.surrogate import PENALTIES, Surrogate, _features, _pairs, _ridge, cross_validate


def space_of(**options):
    content = {
        "op": ("conv",), "kernel": (3,), "se": (False,), "skip": ("none",), "filters": (8,),
        "layers": (1,),
    }  # fmt: skip
    return replace(MNASNET, name="tiny", stages=(StageOptions(**{**content, **options}),))


ONE = space_of(kernel=(3, 5))
TWO = space_of(kernel=(3, 5), layers=(1, 2, 3))
EVERY = from_ranks(SMALL_32, torch.arange(SMALL_32.cardinality))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def doubles(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def truth(codes: torch.Tensor) -> torch.Tensor:
    """Effects of single options, and of three pairs."""
    weights = torch.randn(codes.shape[1], dtype=torch.float64, generator=generator(1))
    x = codes.double()
    return 0.7 + 0.01 * (x @ weights + x[:, 0] * x[:, 7] - x[:, 6] * x[:, 11] + x[:, 8] * x[:, 16])


def some_codes(count: int, seed: int = 0) -> torch.Tensor:
    return EVERY[torch.randperm(len(EVERY), generator=generator(seed))[:count]]


# --- by hand -----------------------------------------------------------------------------------


def test_ridge_by_hand():
    # Two networks, one choice: centred columns are (1/2, -1/2) and (-1/2, 1/2), targets (-1, 1).
    # With w = (-v, v) the prediction of the second is v, and (1 - v)^2 * 2 + penalty * 2 v^2 is
    # smallest at v = 1 / (1 + penalty).
    codes = torch.zeros(2, 6, dtype=torch.int64)
    codes[1, 1] = 1
    weights, _ = _ridge(_features(ONE, codes, _pairs(ONE)), doubles([1, 3]))
    for penalty, row in zip(PENALTIES, weights, strict=True):
        expected = [0, -1 / (1 + penalty), 1 / (1 + penalty), 0, 0, 0, 0]
        assert row.tolist() == pytest.approx(expected, abs=1e-12)
    surrogate = Surrogate.fit(ONE, codes, doubles([1, 3]))
    # Without the other, each network predicts its own target: an error of 2 for every penalty.
    assert surrogate.loo_rmse == pytest.approx(2)
    assert surrogate(codes).mean().item() == pytest.approx(2)


def test_pairs_join_different_open_choices():
    # Columns: op 0, kernels 1-2, se 3, skip 4, filters 5, depths 6-8.
    pairs = {tuple(pair) for pair in _pairs(TWO).T.tolist()}
    assert pairs == {(1, 6), (1, 7), (1, 8), (2, 6), (2, 7), (2, 8)}
    assert _pairs(ONE).shape == (2, 0)
    sizes = [size for size in SMALL_32.sizes if size > 1]
    every = sum(a * b for a, b in itertools.combinations(sizes, 2))
    assert _pairs(SMALL_32).shape == (2, every)


def test_leave_one_out_errors_are_those_of_leaving_one_out():
    codes = some_codes(12)
    targets = truth(codes) + 0.01 * torch.randn(12, dtype=torch.float64, generator=generator())
    features = _features(SMALL_32, codes, _pairs(SMALL_32))
    _, closed_form = _ridge(features, targets)
    errors = torch.empty(12, len(PENALTIES), dtype=torch.float64)
    for left_out in range(12):
        kept = torch.arange(12) != left_out
        weights, _ = _ridge(features[kept], targets[kept])
        step = features[left_out] - features[kept].mean(0)
        errors[left_out] = targets[kept].mean() + weights @ step - targets[left_out]
    assert torch.allclose((errors**2).mean(0), closed_form, rtol=1e-6)


def test_ridge_satisfies_the_normal_equations():
    codes = some_codes(40)
    features = _features(SMALL_32, codes, _pairs(SMALL_32))
    weights, _ = _ridge(features, truth(codes))
    centred = features - features.mean(0)
    residual = truth(codes) - truth(codes).mean() - weights @ centred.T  # (K, 40)
    assert torch.allclose(residual @ centred, doubles(PENALTIES)[:, None] * weights, atol=1e-9)


# --- what it learns ----------------------------------------------------------------------------


def test_predictions_are_intercept_effects_and_interactions():
    codes = some_codes(100)
    surrogate = Surrogate.fit(SMALL_32, codes, truth(codes))
    x = one_hot(SMALL_32, EVERY[:5]).double()
    for row, prediction in zip(x, surrogate(EVERY[:5]), strict=True):
        chosen = row.nonzero().flatten()
        by_hand = surrogate.intercept + surrogate.effects[chosen].sum()
        by_hand += surrogate.interactions[chosen][:, chosen].sum()
        assert prediction.item() == pytest.approx(by_hand.item(), abs=1e-12)
    assert torch.equal(surrogate.interactions, surrogate.interactions.triu(1))
    assert surrogate(EVERY).dtype == torch.float64


def test_a_sum_of_effects_is_found():
    codes = some_codes(300)
    surrogate = Surrogate.fit(SMALL_32, codes, truth(codes))
    error = surrogate(EVERY) - truth(EVERY)
    assert error.abs().max() < 0.01 * truth(EVERY).std()
    assert surrogate.penalty == PENALTIES[0]


def test_noise_asks_for_a_penalty():
    codes = some_codes(300)
    noise = truth(EVERY).std() * torch.randn(300, dtype=torch.float64, generator=generator())
    surrogate = Surrogate.fit(SMALL_32, codes, truth(codes) + noise)
    assert surrogate.penalty > PENALTIES[0]
    assert spearmanr(surrogate(EVERY), truth(EVERY)).statistic > 0.8
    nothing = Surrogate.fit(SMALL_32, codes, noise)
    assert nothing.penalty >= 100


def test_equal_targets_are_predicted():
    surrogate = Surrogate.fit(SMALL_32, some_codes(20), torch.full((20,), 0.5, dtype=torch.float64))
    assert torch.allclose(surrogate(EVERY), doubles(0.5))
    assert surrogate.loo_rmse == pytest.approx(0, abs=1e-12)


def test_large_spaces_work():
    codes = sample_codes(MNASNET, 60, generator())
    surrogate = Surrogate.fit(MNASNET, codes, codes.double().mean(1))
    assert surrogate(codes).isfinite().all()


# --- cross validation --------------------------------------------------------------------------


def test_cross_validation_leaves_the_predicted_out():
    codes = some_codes(30)
    found = cross_validate(SMALL_32, codes, truth(codes), folds=30, generator=generator())
    for left_out in (0, 17):
        kept = torch.arange(30) != left_out
        alone = Surrogate.fit(SMALL_32, codes[kept], truth(codes[kept]))
        predicted = alone(codes[left_out : left_out + 1])
        assert found[left_out].item() == pytest.approx(predicted.item(), abs=1e-12)


def test_cross_validation_follows_its_generator():
    codes = some_codes(50)
    once, again, other = (
        cross_validate(SMALL_32, codes, truth(codes), folds=5, generator=generator(seed))
        for seed in (0, 0, 1)
    )
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert spearmanr(once, truth(codes)).statistic > 0.9


# --- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "targets", "message"),
    [
        (1, [0.5], "need at least 2 trained networks, got 1"),
        (3, [0.5, 0.5], r"3 points need float64 targets of shape \(3,\), got .* \(2,\)"),
        (3, [0.5, float("nan"), 0.5], "target 1 is nan: leave that network out"),
    ],
)
def test_bad_targets(count, targets, message):
    with pytest.raises(ValueError, match=message):
        Surrogate.fit(SMALL_32, some_codes(count), doubles(targets))


def test_other_misfits():
    codes = some_codes(4)
    with pytest.raises(ValueError, match=r"float64 targets .* got torch\.float32"):
        Surrogate.fit(SMALL_32, codes, torch.zeros(4))
    with pytest.raises(ValueError, match="codes of mnasnet are int64"):
        Surrogate.fit(MNASNET, codes, doubles([0, 1, 2, 3]))
    with pytest.raises(ValueError, match="codes of tiny are int64"):
        Surrogate.fit(ONE, torch.zeros(2, 6, dtype=torch.int64), doubles([0, 1]))(codes)
    for folds in (1, 5):
        with pytest.raises(ValueError, match=f"into 2 to 4 folds, not {folds}"):
            cross_validate(
                SMALL_32, codes, doubles([0, 1, 2, 3]), folds=folds, generator=generator()
            )
