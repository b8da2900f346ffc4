"""Trained candidates as a benchmark: recorded in pieces, read back, searched."""

from datetime import UTC, datetime

import pytest
import torch

from mnv3lib import count
from mnv3lib.executors import InProcess
from mnv3lib.measure.latency_table import LatencyTable, deployed_rows
from mnv3lib.measure.placed_rows import shape_text
from mnv3lib.paths import data_root
from mnv3lib.runs import write_run
from mnv3lib.search import SMALL_32, Reward, decode, network_of, sample_codes
from mnv3lib.search.benchmark import Benchmark, load_benchmark
from mnv3lib.search.candidates import ShortTraining, TrainedCandidates, recipe_of
from mnv3lib.search.encoding import from_ranks
from mnv3lib.search.networks import spec_of
from mnv3lib.search.record_benchmark import drawn_ranks
from mnv3lib.search.record_benchmark import record as record_benchmark
from mnv3lib.search.record_comparison import compare, possible_gain, rewards_at
from mnv3lib.search.record_latency import record as record_latency
from mnv3lib.search.table_latency import additive_cost, covering_points
from mnv3lib.train.recipe_files import load_recipe


def short_recipe():
    """A training of three steps on the embedded images."""
    return load_recipe(
        "emoji/mobilenet_v3_small",
        model={"removed_strides": 0, "width_mult": 1.0},
        data={"subset": 48, "held_out": 40},
        train={"epochs": 1, "batch_size": 16},
    )


def some_codes(count: int) -> torch.Tensor:
    return from_ranks(SMALL_32, drawn_ranks(SMALL_32, count))


class Counting(InProcess):
    """Counts what is really computed."""

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__()
        self.computed, self.stop_after = 0, stop_after

    def map(self, function, items):
        for index, result in super().map(function, items):
            self.computed += 1
            yield index, result
            if self.computed == self.stop_after:
                raise KeyboardInterrupt


def test_an_interrupted_recording_repeats_nothing(tmp_path):
    codes, options = some_codes(2), {"seeds": (0, 1)}
    whole = ShortTraining(short_recipe(), tmp_path / "whole", **options).accuracies(SMALL_32, codes)
    with pytest.raises(KeyboardInterrupt):
        ShortTraining(
            short_recipe(), tmp_path / "cut", executor=Counting(stop_after=1), **options
        ).accuracies(SMALL_32, codes)
    rest = Counting()
    cut = ShortTraining(short_recipe(), tmp_path / "cut", executor=rest, **options)
    assert torch.equal(cut.accuracies(SMALL_32, codes), whole)
    assert rest.computed == 3
    assert whole.shape == (2, 2)


def test_the_network_of_a_candidate_is_trained(tmp_path):
    (spec,) = [spec_of(SMALL_32, point) for point in decode(SMALL_32, some_codes(1))]
    recipe = recipe_of(short_recipe(), spec)
    assert recipe.model.network == spec
    assert recipe.model.options == short_recipe().model.options


def test_a_folder_belongs_to_one_recipe(tmp_path):
    ShortTraining(short_recipe(), tmp_path)
    optimizer = short_recipe().optimizer.model_copy(update={"lr": 0.3})
    other = short_recipe().model_copy(update={"optimizer": optimizer})
    with pytest.raises(ValueError, match="candidates that another recipe trained"):
        ShortTraining(other, tmp_path)


def test_trained_candidates_are_an_evaluator(tmp_path):
    training = ShortTraining(short_recipe(), tmp_path, seeds=(0, 1))
    params = additive_cost(SMALL_32, lambda n: [1.0 for _ in n.rows], num_classes=3)
    found = TrainedCandidates(SMALL_32, training, params)(some_codes(2))
    assert torch.equal(found.accuracy, training.accuracies(SMALL_32, some_codes(2)).mean(1))
    assert found.latency_ms.tolist() == params(some_codes(2)).tolist()


def test_draws_are_nested_and_without_repetition():
    few, many = drawn_ranks(SMALL_32, 5), drawn_ranks(SMALL_32, 300)
    assert torch.equal(many[:5], few)
    assert len(many.unique()) == 300
    with pytest.raises(ValueError, match="small_32 has 12288 networks, cannot draw 0"):
        drawn_ranks(SMALL_32, 0)


@pytest.fixture(scope="module")
def made_up() -> Benchmark:
    """A benchmark whose accuracy is a sum over options, and whose latency is one over rows."""
    weights = torch.linspace(0, 0.02, len(SMALL_32.sizes), dtype=torch.float64)
    codes = some_codes(200)
    exact = 0.3 + (codes * weights).sum(1)
    noise = torch.tensor([0.001, -0.001], dtype=torch.float64)
    cost = additive_cost(SMALL_32, lambda n: [1.0 + len(list(m.modules())) for m in n.rows])
    return Benchmark(SMALL_32, codes, exact[:, None] + noise, cost)


def test_a_benchmark_knows_the_whole_space(made_up):
    found = made_up(made_up.every)
    assert found.accuracy.shape == (SMALL_32.cardinality,)
    weights = torch.linspace(0, 0.02, len(SMALL_32.sizes), dtype=torch.float64)
    exact = 0.3 + (made_up.every * weights).sum(1)
    assert (found.accuracy - exact).abs().max() < 1e-3
    assert made_up.seed_deviation == pytest.approx(0.001 * 2**0.5)
    assert (made_up.predicted() - made_up.accuracies.mean(1)).abs().max() < 1e-3


def test_a_comparison_pairs_the_seeds(made_up):
    found = compare(made_up, budget=60, batch=20, seeds=2)
    gains = found["gain"]
    assert found["differences"]["ppo_over_random"] == [
        100 * (a - b) for a, b in zip(gains["ppo"], gains["random"], strict=True)
    ]
    assert set(found["latency_over_target"]) == set(rewards_at(1.0))
    assert compare(made_up, budget=60, batch=20, seeds=1)["gain"]["ppo"] == gains["ppo"][:1]


def test_the_best_network_has_the_whole_gain(made_up):
    reward = Reward.soft(10.0)
    whole = reward(*made_up(made_up.every))
    assert possible_gain(made_up, reward, whole.max()).item() == 1
    assert possible_gain(made_up, reward, whole.mean()).item() == 0


def test_both_recordings_make_a_benchmark(tmp_path, monkeypatch):
    monkeypatch.setattr("mnv3lib.runs.data_root", lambda: tmp_path)
    (tmp_path / "runs").mkdir()
    space = "small_32"
    ranks = drawn_ranks(SMALL_32, 4).tolist()
    common = {"seeds": [0, 1], "started": datetime.now(UTC), "duration_s": 0.0, "command": "x"}
    top1 = [[0.1, 0.2], [0.3, 0.4], [0.2, 0.2], [0.5, 0.1]]
    write_run(
        "search-benchmark",
        config={"space": space},
        metrics={"ranks": ranks, "top1": top1},
        **common,
    )
    write_run(
        "search-latency",
        config={
            "space": space,
            "resolution": 32,
            "classes": 10,
            "runtime": "eager",
            "threads": 1,
        },
        metrics={"table": flat_table()},
        **common,
    )
    benchmark = load_benchmark()
    assert benchmark.codes.tolist() == from_ranks(SMALL_32, torch.tensor(ranks)).tolist()
    assert benchmark.accuracies.tolist() == top1
    rows = [len(spec_of(SMALL_32, p).rows) for p in decode(SMALL_32, benchmark.codes)]
    assert benchmark.latency(benchmark.codes).tolist() == pytest.approx(rows)


def flat_table() -> dict:
    """A latency table in which every row takes a millisecond."""
    rows_ms, handover_ms = {}, {}
    for point in covering_points(SMALL_32):
        for row in deployed_rows(network_of(SMALL_32, point, num_classes=10), 32):
            rows_ms[row.key] = 1.0
            for shape in (row.input_shape, row.output_shape):
                handover_ms[shape_text(shape)] = 0.0
    about = {"runtime": "eager", "threads": 1, "rounds": 1, "scale": 1.0, "machine": {}}
    return {**about, "rows_ms": rows_ms, "handover_ms": handover_ms}


def test_networks_are_recorded_with_their_costs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = tmp_path / "short.toml"
    recipe.write_text(
        (data_root() / "recipes/emoji/mobilenet_v3_small.toml")
        .read_text()
        .replace("width_mult = 0.5\nremoved_strides = 1\n", "")
        .replace("resolution = 32\n", "resolution = 32\nheld_out = 40\nsubset = 32\n")
        .replace("epochs = 40", "epochs = 1")
    )
    options = {"recipe": str(recipe), "networks": 2, "seeds": 1, "executor": "in-process"}
    run = record_benchmark(tmp_path / "two.json", workers=1, work="work", **options)
    assert run.metrics["ranks"] == drawn_ranks(SMALL_32, 2).tolist()
    assert [len(row) for row in run.metrics["top1"]] == [1, 1]
    (point, _) = decode(SMALL_32, some_codes(2))
    found = count(network_of(SMALL_32, point, num_classes=12), 32)
    assert (run.metrics["params"][0], run.metrics["macs"][0]) == (found.params, found.macs)


def test_the_latencies_of_a_space_are_recorded(tmp_path):
    run = record_latency(tmp_path / "latencies.json", runtime="eager", rounds=1, judges=2)
    table = LatencyTable.from_dict(run.metrics["table"])
    for point in decode(SMALL_32, sample_codes(SMALL_32, 3, torch.Generator().manual_seed(5))):
        assert table.missing(network_of(SMALL_32, point, num_classes=10), 32) == []
    assert run.metrics["calibrated"]["networks"] == ["judging 0", "judging 1"]
