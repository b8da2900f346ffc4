"""Profiles: each row's facts come from the table, its costs from the counters; times are times."""

import pytest
from torch import nn

from mnv3lib.measure import activation_memory, count
from mnv3lib.measure.profile import profile
from mnv3lib.models import create_model


@pytest.fixture(scope="module")
def network():
    return create_model("mobilenet_v3_small", width_mult=0.35, num_classes=10)


@pytest.fixture(scope="module")
def small(network):
    return profile(network, 64, rounds=2)


def test_totals_are_the_counters(network, small):
    counted = count(network, 64)
    assert (small.params, small.macs) == (counted.params, counted.macs)
    assert small.memory_bytes == max(activation_memory(network, 64).values())
    assert small.convention == counted.convention
    assert (small.resolution, small.runtime, small.threads, small.rounds) == (64, "eager", 1, 2)


def test_rows_add_up_and_are_the_table(network, small):
    assert sum(row.params for row in small.rows) == small.params
    assert sum(row.macs for row in small.rows) == small.macs
    assert max(row.memory_bytes for row in small.rows) == small.memory_bytes
    assert [row.operator for row in small.rows] == [row.operator for row in network.spec.rows]


def test_rows_by_hand(small):
    stem, first, pool, classifier = (small.rows[i] for i in (0, 1, -3, -1))
    # Width 0.35: the stem of 16 becomes 8, and 8 x 3 x 3 x 3 weights visit 32 x 32 places.
    assert (stem.input_shape, stem.out, stem.act, stem.stride) == ((3, 64, 64), 8, "hard_swish", 2)
    assert stem.macs == 8 * 27 * 32 * 32
    assert (first.exp, first.se, first.act, first.stride) == (8, True, "relu", 2)
    assert (pool.exp, pool.out, pool.se, pool.act, pool.stride) == (None, None, False, None, None)
    assert (classifier.input_shape, classifier.out, classifier.params) == ((1024,), 10, 10_250)


def test_every_row_has_a_time(small):
    assert all(isinstance(row.latency_ms, float) for row in small.rows)
    assert small.latency_ms > 0


def test_profile_runs_on_another_runtime(network):
    pytest.importorskip("onnxruntime", reason="needs the extra 'deploy'")
    found = profile(network, 32, "onnxruntime", rounds=1)
    assert found.runtime == "onnxruntime"
    assert len(found.rows) == len(network.spec.rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"resolution": 16}, "at least 32 pixels.*, got 16"),
        ({"runtime": "tflite"}, "unknown runtime 'tflite'"),
        ({"threads": 0}, "threads must be an integer of at least 1, got 0"),
        ({"rounds": 0}, "rounds must be an integer of at least 1, got 0"),
    ],
)
def test_bad_arguments(network, arguments, message):
    with pytest.raises(ValueError, match=message):
        profile(network, **arguments)


def test_network_without_a_table():
    with pytest.raises(ValueError, match="expected a network with a table, got Conv2d"):
        profile(nn.Conv2d(3, 8, 3))
