"""Calibration and classification metrics: published toys by hand, and rules that always hold."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mnv3lib.train.calibration import (
    brier_score,
    expected_calibration_error,
    fit_temperature,
    maximum_calibration_error,
    reliability,
    rms_calibration_error,
)
from mnv3lib.train.metrics import ClassificationMetrics

CONFIDENCE = torch.tensor([0.95] * 4 + [0.75] * 2 + [0.55, 0.35])
CORRECT = torch.tensor([1, 1, 1, 0, 1, 0, 1, 0]).bool()
LOGITS = torch.tensor([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
LABELS = torch.tensor([0, 0, 1, 1])


def measured(logits: Tensor, labels: Tensor) -> dict[str, float]:
    metrics = ClassificationMetrics(logits.shape[1])
    metrics.update(logits, labels)
    return metrics.compute()


# --- the toy of the bins -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bins", "error"), [(1, 0.15), (5, 0.2625), (10, 0.2625), (15, 0.2625), (20, 0.2625)]
)
def test_expected_error_by_hand(bins: int, error: float) -> None:
    assert expected_calibration_error(CONFIDENCE, CORRECT, bins) == pytest.approx(error, 1e-6)


def test_maximum_error_is_that_of_the_worst_bin() -> None:
    assert maximum_calibration_error(CONFIDENCE, CORRECT) == pytest.approx(0.45, 1e-6)


def test_bins_of_equal_numbers() -> None:
    # Sorted: .35 wrong, .55 right | .75 x 2, one right | .95 x 2 | .95 x 2; means .45, .75, .95.
    confidence = CONFIDENCE.double()
    correct = torch.tensor([1, 1, 1, 1, 1, 0, 1, 0])
    squares = (0.45 - 0.5) ** 2, (0.75 - 0.5) ** 2, (0.95 - 1) ** 2, (0.95 - 1) ** 2
    expected = math.sqrt(sum(squares) / 4)
    assert rms_calibration_error(confidence, correct, bin_size=2) == pytest.approx(expected)
    # One bin of five, and the most confident three left over.
    squares = 5 * (0.67 - 0.6) ** 2, 3 * (0.95 - 1) ** 2
    expected = math.sqrt(sum(squares) / 8)
    assert rms_calibration_error(confidence, correct, bin_size=5) == pytest.approx(expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bins", [1, 5, 10, 15, 20])
def test_bins_are_open_on_the_left_and_closed_on_the_right(bins: int, dtype) -> None:
    edges = torch.tensor([i / bins for i in range(bins + 1)], dtype=dtype)
    found = reliability(edges, torch.ones(bins + 1), bins)
    assert found.count.tolist() == [1.0] * bins  # 1 falls into the last, 0 into none
    assert found.samples == bins + 1
    above = edges[:-1] + 1e-4
    assert reliability(above, torch.ones(bins), bins).count.tolist() == [1.0] * bins


def test_empty_bins_count_nothing() -> None:
    found = reliability(torch.tensor([0.9]), torch.tensor([1]), 2)
    assert found.gaps.tolist() == pytest.approx([0.0, 0.1], abs=1e-6)
    assert math.isnan(found.accuracy[0])
    assert found.mean_confidence[1] == pytest.approx(0.9)


# --- temperature -------------------------------------------------------------------------------


def test_temperature_by_hand() -> None:
    before = measured(LOGITS, LABELS)
    assert before["top1"] == 0.75
    assert before["confidence"] == pytest.approx(0.8807970780)
    assert before["ece"] == pytest.approx(0.1307970780)
    assert before["nll"] == pytest.approx(0.6269280110)
    temperature = fit_temperature(LOGITS, LABELS)
    assert temperature == pytest.approx(2 / math.log(3))
    assert temperature == pytest.approx(1.8204784533)
    after = measured(LOGITS.double() / temperature, LABELS)
    assert after["nll"] == pytest.approx(0.5623351446)
    assert after["ece"] == pytest.approx(0, abs=1e-9)
    assert after["top1"] == 0.75


def test_temperature_stops_where_there_is_no_best() -> None:
    assert fit_temperature(LOGITS, torch.tensor([0, 0, 0, 1])) == pytest.approx(0.01)
    assert fit_temperature(LOGITS, torch.tensor([1, 1, 1, 0])) == pytest.approx(100)


# --- rules -------------------------------------------------------------------------------------

predictions = st.lists(
    st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=30
).map(lambda pairs: tuple(torch.tensor(list(column)) for column in zip(*pairs, strict=True)))


@given(predictions, st.integers(1, 30))
def test_error_lies_between_that_of_one_bin_and_the_maximum(pair, bins) -> None:
    confidence, correct = pair
    one = expected_calibration_error(confidence, correct, 1)
    inside = confidence > 0
    gap = (confidence.double() - correct.double())[inside].sum().abs() / len(confidence)
    assert one == pytest.approx(float(gap), abs=1e-9)
    error = expected_calibration_error(confidence, correct, bins)
    assert one - 1e-9 <= error <= maximum_calibration_error(confidence, correct, bins) + 1e-9


@given(predictions, st.randoms(use_true_random=False))
def test_order_does_not_matter(pair, random) -> None:
    confidence, correct = pair
    order = list(range(len(confidence)))
    random.shuffle(order)
    shuffled = expected_calibration_error(confidence[order], correct[order])
    assert shuffled == pytest.approx(expected_calibration_error(confidence, correct), abs=1e-9)


@given(st.integers(0, 1000), st.floats(0.1, 10))
def test_temperature_keeps_the_accuracy_and_the_fitted_one_is_best(seed, temperature) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(40, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(4, (40,), generator=generator)
    scaled = measured(logits / temperature, labels)
    assert scaled["top1"] == measured(logits, labels)["top1"]
    best = measured(logits / fit_temperature(logits, labels), labels)
    assert best["nll"] <= scaled["nll"] + 1e-9


def test_a_perfect_simulator_seems_miscalibrated_when_images_are_few() -> None:
    """Mean error over 100 repeats: 12.0 % at 100 predictions, 1.7 % at 5,000."""
    generator = torch.Generator().manual_seed(0)

    def error(samples: int) -> float:
        confidence = 0.1 + 0.9 * torch.rand(samples, generator=generator)
        correct = torch.rand(samples, generator=generator) < confidence
        return expected_calibration_error(confidence, correct)

    assert sum(error(100) for _ in range(100)) / 100 == pytest.approx(0.120, abs=0.01)
    assert sum(error(5000) for _ in range(100)) / 100 == pytest.approx(0.017, abs=0.002)


# --- metrics -----------------------------------------------------------------------------------


def test_metrics_by_hand() -> None:
    logits = torch.full((3, 6), -10.0)
    logits[0, 0] = logits[1, 2] = 0.0
    logits[2] = torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0, 0.0])
    labels = torch.tensor([0, 1, 5])  # right; wrong, some of the first five; the last of six
    metrics = ClassificationMetrics(6)
    metrics.update(logits, labels)
    found = metrics.compute()
    assert found["images"] == 3
    assert found["top1"] == pytest.approx(1 / 3)
    expected = torch.zeros(6, 6, dtype=torch.int64)
    expected[0, 0] = expected[1, 2] = expected[5, 0] = 1
    assert torch.equal(metrics.confusion, expected)
    probabilities = logits.double().softmax(1)
    nll = -probabilities[range(3), labels].log().mean()
    assert found["nll"] == pytest.approx(float(nll))
    assert found["brier"] == pytest.approx(brier_score(probabilities, labels))


def test_top5_is_among_the_first_five() -> None:
    logits = torch.arange(6.0, 0.0, -1.0).repeat(6, 1)
    metrics = ClassificationMetrics(6)
    metrics.update(logits, torch.arange(6))
    assert metrics.compute()["top5"] == pytest.approx(5 / 6)
    assert measured(LOGITS, LABELS)["top5"] == 1.0


def test_brier_by_hand() -> None:
    probabilities = torch.tensor([[0.8, 0.2], [0.4, 0.6]])
    right = (0.04 + 0.04 + 0.16 + 0.16) / 2
    assert brier_score(probabilities, torch.tensor([0, 1])) == pytest.approx(right, 1e-6)
    second_wrong = (0.04 + 0.04 + 0.36 + 0.36) / 2
    assert brier_score(probabilities, torch.tensor([0, 0])) == pytest.approx(second_wrong, 1e-6)


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_batches_and_processes_add_up(parts: int) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(50, 7, generator=generator)
    labels = torch.randint(7, (50,), generator=generator)
    total = ClassificationMetrics(7)
    for part in range(parts):
        own = ClassificationMetrics(7)
        own.update(logits[part::parts][:5], labels[part::parts][:5])
        own.update(logits[part::parts][5:], labels[part::parts][5:])
        own.update(logits[:0], labels[:0])
        total.merge(own)
    assert total.compute() == pytest.approx(measured(logits, labels))
    assert total.confusion.sum() == 50


def test_bf16_logits() -> None:
    assert measured(LOGITS.bfloat16(), LABELS) == pytest.approx(measured(LOGITS, LABELS))


# --- bad input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("confidence", "correct", "named"),
    [
        ([0.5], [1, 0], r"\(1,\) and \(2,\)"),
        ([], [], r"\(0,\)"),
        ([1.5], [1], "got 1.5"),
        ([-0.5], [1], "got -0.5"),
        ([math.nan], [1], "got nan"),
    ],
)
def test_predictions_that_are_none(confidence, correct, named) -> None:
    with pytest.raises(ValueError, match=named):
        reliability(torch.tensor(confidence), torch.tensor(correct))
    with pytest.raises(ValueError, match=named):
        rms_calibration_error(torch.tensor(confidence), torch.tensor(correct))


def test_other_bad_input() -> None:
    with pytest.raises(ValueError, match="bins must be at least 1, got 0"):
        expected_calibration_error(CONFIDENCE, CORRECT, 0)
    with pytest.raises(ValueError, match="bin_size must be at least 1, got 0"):
        rms_calibration_error(CONFIDENCE, CORRECT, bin_size=0)
    with pytest.raises(ValueError, match=r"logits must be .*\(4, 2\) and \(3,\)"):
        fit_temperature(LOGITS, LABELS[:3])
    with pytest.raises(ValueError, match=r"= \(4, 3\), got \(4, 2\)"):
        ClassificationMetrics(3).update(LOGITS, LABELS)
    with pytest.raises(ValueError, match="no image was counted"):
        ClassificationMetrics(3).compute()
