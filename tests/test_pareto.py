"""The Pareto front against its definition, by hand and for whatever hypothesis finds."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnv3lib.search.pareto import hypervolume, pareto_front

# Few values, so that ties are common.
networks = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 7)), min_size=0, max_size=30)


def tensors(pairs) -> tuple[torch.Tensor, torch.Tensor]:
    values = torch.tensor(pairs, dtype=torch.float64).reshape(-1, 2)
    return values[:, 0], values[:, 1]


def dominates(one, other) -> bool:
    """At least as accurate and as fast, and better in one of the two."""
    return one != other and one[0] >= other[0] and one[1] <= other[1]


def test_a_front_by_hand():
    accuracy, latency_ms = tensors(
        [
            (0.70, 5.0),  # on the front
            (0.60, 2.0),  # on the front, fastest
            (0.65, 6.0),  # slower and less accurate than the first
            (0.60, 3.0),  # as accurate as the second, slower
            (0.80, 9.0),  # on the front, most accurate
            (0.70, 5.0),  # equals the first
            (0.55, 2.0),  # as fast as the second, less accurate
        ]
    )
    assert pareto_front(accuracy, latency_ms).tolist() == [1, 0, 4]


def test_small_fronts():
    assert pareto_front(*tensors([])).tolist() == []
    assert pareto_front(*tensors([(0.5, 1)])).tolist() == [0]
    assert pareto_front(*tensors([(0.5, 1), (0.5, 1)])).tolist() == [0]


@given(networks)
def test_no_member_is_dominated_and_no_other_is_free(pairs):
    front = pareto_front(*tensors(pairs)).tolist()
    members = [pairs[index] for index in front]
    assert not any(dominates(other, member) for member in members for other in pairs)
    for index in set(range(len(pairs))) - set(front):
        pair = pairs[index]
        assert any(member == pair or dominates(member, pair) for member in members)


@given(networks)
def test_fronts_rise(pairs):
    accuracy, latency_ms = tensors(pairs)
    front = pareto_front(accuracy, latency_ms)
    assert (accuracy[front].diff() > 0).all()
    assert (latency_ms[front].diff() > 0).all()


def test_an_area_by_hand():
    # Accuracy 1 from 1 to 3, then 4 up to 6; the slow one does not count.
    accuracy, latency_ms = tensors([(1, 1), (4, 3), (0.5, 2), (9, 7)])
    assert hypervolume(accuracy, latency_ms, max_latency_ms=6) == 1 * 2 + 4 * 3
    assert hypervolume(accuracy, latency_ms, max_latency_ms=6, min_accuracy=2) == 2 * 3
    assert hypervolume(accuracy, latency_ms, max_latency_ms=0.5) == 0
    assert hypervolume(*tensors([]), max_latency_ms=6) == 0


@given(networks)
def test_the_area_counts_unit_squares(pairs):
    # With whole numbers, the area is the number of squares whose corner is dominated.
    squares = sum(
        any(accuracy >= a and latency <= t for accuracy, latency in pairs)
        for a in range(1, 7)
        for t in range(1, 8)
    )
    assert hypervolume(*tensors(pairs), max_latency_ms=8) == squares


@pytest.mark.parametrize(
    ("accuracy", "latency", "message"),
    [
        ([0.5], [1.0, 2.0], r"got the shapes \(1,\) and \(2,\)"),
        ([[0.5]], [[1.0]], r"got the shapes \(1, 1\) and \(1, 1\)"),
        ([0.5, float("nan")], [1.0, 2.0], "the accuracy of network 1 is NaN"),
        ([0.5, 0.5], [float("nan"), 2.0], "the latency of network 0 is NaN"),
    ],
)
def test_misfits(accuracy, latency, message):
    with pytest.raises(ValueError, match=message):
        pareto_front(torch.tensor(accuracy), torch.tensor(latency))
