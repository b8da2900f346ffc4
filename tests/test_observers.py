"""Calibration: ranges by hand, histograms that do not depend on batches."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torchao")

from mnv3lib.compress.observers import (
    BINS,
    CALIBRATIONS,
    EntropyObserver,
    HistogramObserver,
    PercentileObserver,
    divergence,
    find_calibration,
    least_divergent,
)

INT8 = {"dtype": torch.int8, "quant_min": -128, "quant_max": 127}
BATCHES = st.lists(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=5), min_size=1, max_size=4
)


def bins(observer):
    """What the histogram holds, by bin."""
    return {int(k) - BINS: int(observer.counts[k]) for k in observer.counts.nonzero()}


def test_a_histogram_by_hand():
    # 15.5 needs bins of 2^-7 (2048 of which reach 16), and 31 bins of 2^-6.
    observer = HistogramObserver(**INT8)
    values = torch.tensor([[0.0, 0.01], [-0.001, 15.5]])
    assert observer(values) is values
    assert observer.width == 2**-7
    assert bins(observer) == {-1: 1, 0: 1, 1: 1, 1984: 1}
    observer(torch.tensor([31.0, 0.0]))
    assert observer.width == 2**-6
    assert bins(observer) == {-1: 1, 0: 3, 992: 1, 1984: 1}
    assert (observer.min_val.item(), observer.max_val.item()) == (pytest.approx(-0.001), 31)


@pytest.mark.parametrize("value", [1.0, -1.0, 2.0**-30, 3e38, -1e-20])
def test_every_value_has_a_bin_and_none_could_be_smaller(value):
    observer = HistogramObserver(**INT8)
    observer(torch.zeros(3))  # says nothing about the width
    observer(torch.tensor([value]))
    (k,) = {k for k in bins(observer) if k != 0}
    assert k * observer.width <= torch.tensor(value).double() < (k + 1) * observer.width
    assert BINS // 2 <= abs(k) <= BINS


@settings(max_examples=30)
@given(batches=BATCHES)
def test_neither_order_nor_batches_matter(batches):
    parts, whole = HistogramObserver(**INT8), HistogramObserver(**INT8)
    for batch in reversed(batches):
        parts(torch.tensor(batch))
    whole(torch.tensor([value for batch in batches for value in batch]))
    assert whole.width == parts.width
    assert torch.equal(whole.counts, parts.counts)


def test_percentiles_by_hand():
    # 1000 values from 0 to 7.992, and one at 15.5 and one at -4; bins of 2^-7. Half of 0.2 % of
    # 1002 is 1.002, so one value is cut off at either end and a second one is not.
    values = torch.cat([torch.arange(1000) * 0.008, torch.tensor([15.5, -4.0])])
    observer = PercentileObserver(share=0.998, **INT8)
    observer(values)
    low, high = observer.range()
    assert (low.item(), high.item()) == (0.0, 1023 / 128)  # 7.992 is in bin 1022.98
    scale, zero_point = observer.calculate_qparams()
    assert scale.item() == pytest.approx(1023 / 128 / 255)
    assert zero_point.item() == -128


@pytest.mark.parametrize("share", [0.0, 1.1])
def test_shares_that_are_none(share):
    with pytest.raises(ValueError, match=r"must lie in \(0, 1\]"):
        PercentileObserver(share=share, **INT8)


def test_all_values_are_those_from_the_smallest_to_the_largest():
    values = torch.tensor([-0.3, 0.1, 1.7])
    found = []
    for observer in (PercentileObserver(share=1, **INT8), CALIBRATIONS["min_max"](**INT8)):
        observer(values)
        found.append(observer.calculate_qparams())
    assert found[0] == found[1]


def test_divergences_by_hand():
    # One level for all: 1/3 in each, where 3/6, 1/6 and 2/6 were.
    expected = math.log(1.5) / 2 - math.log(2) / 6
    assert divergence(torch.tensor([3, 1, 2]), 3, 1) == pytest.approx(expected)
    # One level for two bins: 2/6 in each, where 3/6 and, with what saturates, 3/6 are wanted.
    assert divergence(torch.tensor([3, 1, 2]), 2, 1) == pytest.approx(math.log(1.5))
    # Levels {0, 1} and {2, 3}; bin 1 stays empty, and 2 and 6 are told as 4 and 4.
    expected = 2 / 12 * math.log(2 / 4) + 6 / 12 * math.log(6 / 4)
    assert divergence(torch.tensor([4, 0, 2, 6]), 4, 2) == pytest.approx(expected)
    # 2 saturate to bin 0, as bin 1 is empty: 3/5 are told where 5/5 are wanted.
    assert divergence(torch.tensor([3, 0, 2]), 2, 2) == pytest.approx(math.log(5 / 3))
    assert divergence(torch.tensor([0, 0, 2]), 2, 2) == math.inf  # everything saturates


def test_the_least_divergence_by_hand():
    # One level: for all bins, 101/3 where 50, 50 and 1 were; for two, 50 where 51 are wanted.
    counts = torch.tensor([50, 50, 1])
    assert divergence(counts, 2, 1) == pytest.approx(51 / 101 * math.log(51 / 50))
    assert least_divergent(counts, levels=1, stride=1) == 2
    # A level for each bin: nothing is lost, and nothing saturates.
    assert least_divergent(counts, levels=3, stride=1) == 3
    # Two bins a level, in which nothing is lost either: the largest of equal candidates.
    assert least_divergent(torch.tensor([5, 5, 2, 2]), levels=2, stride=2) == 4


def test_entropy_leaves_out_a_stray_value():
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(100_000, generator=generator).abs()
    observer = EntropyObserver(**INT8)
    observer(torch.cat([values, torch.tensor([50.0])]))
    low, high = observer.range()
    assert low == -high
    assert 2.5 < high < 5
    scale, zero_point = observer.calculate_qparams()
    assert scale.item() == pytest.approx(high.item() / 255)  # nothing negative was seen
    assert zero_point.item() == -128


def test_entropy_covers_a_gate_that_is_never_small():
    observer = EntropyObserver(**INT8)
    observer(torch.linspace(0.3, 0.7, 1000))
    assert observer.range()[1] > 0.65


@pytest.mark.parametrize("value", [0.0, 0.7, -3.0])
def test_a_constant_is_covered(value):
    for kind in CALIBRATIONS.values():
        observer = kind(**INT8)
        observer(torch.full((4,), value))
        scale, zero_point = observer.calculate_qparams()
        covered = [(q - zero_point.item()) * scale.item() for q in (-128, 127)]
        assert covered[0] <= value + scale.item() / 2
        assert value - scale.item() / 2 <= covered[1]


def test_calibrations_by_name():
    assert find_calibration("entropy") is EntropyObserver
    with pytest.raises(ValueError, match="unknown calibration 'percentage'; did you mean perc"):
        find_calibration("percentage")
