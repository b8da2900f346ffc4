"""The protocol of timing, with clocks and models that we control."""

import gc
import random

import pytest
import torch
from torch import nn

from mnv3lib.measure import latency as latency_module
from mnv3lib.measure.interleave import interleave
from mnv3lib.measure.latency import (
    LatencyComparison,
    Spread,
    Timing,
    compare_latency,
    image,
    latency,
)
from mnv3lib.measure.machine import describe_machine, machine_in_words


class FakeClock:
    """Stands still until a step moves it."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now

    def step(self, milliseconds):
        def run():
            self.now += int(milliseconds * 1e6)

        return run


def test_times_are_those_of_the_clock():
    clock = FakeClock()
    steps = {"fast": clock.step(2), "slow": clock.step(5)}
    samples = interleave(steps, rounds=3, clock=clock)
    assert samples == {"fast": [2.0] * 3, "slow": [5.0] * 3}


def test_every_round_visits_all_in_a_seeded_shuffled_order():
    visited = []
    steps = {name: lambda name=name: visited.append(name) for name in "abcde"}
    interleave(steps, rounds=20, warmup=2, seed=7)
    rounds = [visited[i : i + 5] for i in range(0, len(visited), 5)]
    assert len(rounds) == 22
    assert all(sorted(names) == list("abcde") for names in rounds)
    assert len({tuple(names) for names in rounds}) > 5
    again, visited[:] = list(visited), []
    interleave(steps, rounds=20, warmup=2, seed=7)
    assert visited == again


def test_warm_up_is_not_counted():
    clock = FakeClock()
    durations = iter([100, 100, 1, 2, 3])

    def step():
        clock.now += next(durations) * 10**6

    assert interleave({"x": step}, rounds=3, warmup=2, clock=clock) == {"x": [1.0, 2.0, 3.0]}


def test_preparation_is_not_timed_and_comes_before_each_step():
    clock = FakeClock()
    log = []
    steps = {"x": lambda: (log.append("step"), clock.step(1)())}

    def before(name):
        log.append(f"before {name}")
        clock.step(50)()

    samples = interleave(steps, rounds=2, warmup=0, before=before, clock=clock)
    assert samples == {"x": [1.0, 1.0]}
    assert log == ["before x", "step"] * 2


@pytest.mark.parametrize(("seconds", "rounds"), [(0.1, 10), (0.001, 5), (1.0, 100)])
def test_a_budget_decides_the_rounds(seconds, rounds):
    clock = FakeClock()
    steps = {"a": clock.step(4), "b": clock.step(6)}  # 10 ms a round; never under five rounds
    assert len(interleave(steps, seconds=seconds, clock=clock)["a"]) == rounds


def test_the_garbage_collector_waits_and_comes_back():
    assert gc.isenabled()
    states = []
    interleave({"x": lambda: states.append(gc.isenabled())}, rounds=1)
    assert not any(states)
    assert gc.isenabled()


def test_global_randomness_is_untouched():
    random.seed(0)
    expected = random.Random(0).random()
    interleave({"x": int, "y": int}, rounds=2)
    assert random.random() == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": {}}, "nothing to time"),
        ({"rounds": 0}, "rounds must be an integer of at least 1, got 0"),
        ({"rounds": 1.5}, "rounds must be an integer"),
        ({"warmup": -1}, "warmup must be an integer of at least 0"),
        ({"seconds": 0}, "seconds must be above 0"),
    ],
)
def test_arguments_that_make_no_measurement(arguments, message):
    with pytest.raises(ValueError, match=message):
        interleave(**{"steps": {"x": int}, **arguments})


def comparison(**samples):
    timings = {name: Timing(name, times) for name, times in samples.items()}
    return LatencyComparison(timings, 32, "eager", 1, 3, machine={})


def test_median_and_quartiles():
    timing = comparison(a=(4.0, 1.0, 2.0, 3.0, 5.0))["a"]
    assert (timing.median_ms, timing.q1, timing.q3) == (3.0, 2.0, 4.0)


def test_ratio_is_the_median_of_paired_ratios():
    paired = comparison(a=(1.0, 2.0, 30.0), b=(2.0, 2.0, 10.0))  # 0.5, 1, 3; of medians: 1
    assert paired.ratio("a", "b") == Spread(median=1.0, q1=0.75, q3=2.0)
    assert comparison(a=(1.0, 9.0, 30.0), b=(2.0, 2.0, 10.0)).ratio("a", "b").median == 3.0


def test_unknown_name_lists_the_others():
    with pytest.raises(ValueError, match="no model 'c' here: choose one of a, b"):
        comparison(a=(1.0,), b=(1.0,)).ratio("a", "c")


def test_text_and_dict_state_the_protocol():
    result = comparison(a=(1.0, 2.0, 3.0))
    assert str(result).splitlines() == [
        "eager, 1 thread, 32 px, batch 1: median ms [quartiles] of 3 interleaved rounds",
        "a      2.00  [1.50, 2.50]",
    ]
    content = result.to_dict()
    assert content["samples_ms"] == {"a": [1.0, 2.0, 3.0]}
    assert content["models"] == [
        {"model": "a", "median_ms": 2.0, "q1_ms": 1.5, "q3_ms": 2.5, "max_difference": 0.0}
    ]


def nets():
    return {
        "pool": nn.AdaptiveAvgPool2d(1),
        "conv": nn.Conv2d(3, 2, 3),
    }


@pytest.mark.parametrize("runtime", ["eager", "onnxruntime"])
def test_comparing_real_modules(runtime):
    pytest.importorskip(latency_module.find_runtime("eager").package)
    if runtime == "onnxruntime":
        pytest.importorskip("onnxruntime")
    before = torch.get_num_threads()
    result = compare_latency(nets(), 32, runtime, rounds=4, warmup=1)
    assert torch.get_num_threads() == before
    assert list(result.timings) == ["pool", "conv"]
    assert (result.runtime, result.resolution, result.threads, result.rounds) == (runtime, 32, 1, 4)
    assert all(len(timing.samples_ms) == 4 for timing in result.timings.values())
    assert all(min(timing.samples_ms) > 0 for timing in result.timings.values())


def test_one_model_is_the_single_form():
    timing = latency(nn.Conv2d(3, 2, 3), 32, rounds=2, warmup=0)
    assert isinstance(timing, Timing)
    assert len(timing.samples_ms) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": {}}, "at least one model"),
        ({"models": {"a": 3}}, r"model 'a' must be a torch\.nn\.Module, got int"),
        ({"resolution": 31}, "resolution must be at least 32 pixels, got 31"),
        ({"resolution": 64.0}, "resolution must be a whole number"),
        ({"runtime": "tflite"}, "unknown runtime 'tflite': choose one of eager"),
        ({"threads": 0}, "threads must be"),
        ({"rounds": 0}, "rounds must be"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        compare_latency(**{"models": nets(), "resolution": 32, **arguments})


def test_an_image_may_be_wider_than_high():
    timed = compare_latency({"net": nn.Conv2d(3, 2, 3)}, (32, 64), rounds=2, warmup=0)
    assert timed.resolution == (32, 64)
    assert "32 x 64 px" in str(timed)


@pytest.mark.parametrize(
    ("size", "message"), [((32,), "height and a width"), ((32, 16), "at least 32 pixels, got 16")]
)
def test_sizes_that_are_no_image(size, message):
    with pytest.raises(ValueError, match=message):
        image(size)


def test_the_image_is_seeded():
    assert image(32).shape == (1, 3, 32, 32)
    assert torch.equal(image(32, seed=1), image(32, seed=1))
    assert not torch.equal(image(32, seed=1), image(32, seed=2))


def test_the_machine_is_described_without_paths_and_host_names():
    import platform

    machine = describe_machine()
    assert machine["versions"]["torch"].startswith("2")
    text = str(machine)
    assert "/" not in text
    assert platform.node() not in text
    assert f"{machine['cores']} core" in machine_in_words()
