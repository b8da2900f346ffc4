"""``mnv3 search``: what it prints and leaves behind, how it goes on, what it refuses."""

import json
import os
import signal
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from mnv3lib.cli import app
from mnv3lib.executors import WorkerDiedError
from mnv3lib.measure.latency_table import LatencyTable
from mnv3lib.measure.placed_rows import shape_text
from mnv3lib.models import Network
from mnv3lib.models.tables import from_table
from mnv3lib.runs import read_run, write_run
from mnv3lib.search import SMALL_32, decode, macs_at, spec_of, trainings, tuning
from mnv3lib.search.benchmark import RecordedLatency, load_latency
from mnv3lib.search.encoding import from_ranks
from mnv3lib.search.reachable_rows import reachable_rows
from mnv3lib.search.record_benchmark import drawn_ranks
from mnv3lib.search.shrinking import width_grid
from mnv3lib.search.table_latency import additive_cost
from mnv3lib.train.run import load_trained

# A training of a step or two on the embedded images.
SHORT = """
recipe = "emoji/mobilenet_v3_small"
[{section}.changes]
model = {{ width_mult = 0.35, removed_strides = 1 }}
data = {{ subset = 16, held_out = 40 }}
train = {{ epochs = 1, batch_size = 16, ema_decay = 0.5 }}
schedule = {{ warmup_epochs = 0 }}
"""
SEARCH = """
source = "a test"
[search]
space = "small_32"
budget = 4
batch = 2
[searcher]
name = "evolution"
population = 2
tournament = 2
[reward]
target_ms = 10.0
w = -0.07
[candidates]
latencies = "latencies.json"
"""
ADAPT = """
source = "a test"
[cuts]
delta = 0.06
target_share = 0.89
[proposals]
smallest_share = 0.25
[latency]
by = "macs"
[start]
{start}
[tune]
{tune}
"""


def mnv3(*words):
    """Runs the command in this process."""
    return CliRunner().invoke(app, ["search", *map(str, words)])


def made_up_table(rows) -> LatencyTable:
    """A table in which every row takes a millisecond, and one more for a hundred channels."""
    rows_ms, handover_ms = {}, {}
    for row in rows:
        rows_ms[row.key] = 1.0 + 0.01 * row.output_shape[1]
        handover_ms |= {shape_text(s): 0.0 for s in (row.input_shape, row.output_shape)}
    return LatencyTable("eager", 1, 1, rows_ms, handover_ms)


def made_up_latency(name: str) -> RecordedLatency:
    """A millisecond a row, without building deployed rows, which takes seconds."""
    if Path(name).name != "latencies.json":
        return load_latency(name)
    cost = additive_cost(SMALL_32, lambda network: [1.0] * len(network.spec.rows), num_classes=10)
    return RecordedLatency(SMALL_32, cost, 32, 10, "eager", 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the recorded run of a small benchmark, and with recipes."""
    folder = tmp_path_factory.mktemp("search")
    ranks = drawn_ranks(SMALL_32, 24)
    top1 = (0.5 + 0.01 * from_ranks(SMALL_32, ranks).sum(1, keepdim=True).double()).tolist()
    write_run(
        "trained",
        command="x",
        config={"space": "small_32"},
        seeds=[0],
        metrics={"ranks": ranks.tolist(), "top1": top1},
        started=datetime.now(UTC),
        duration_s=0.0,
        path=folder / "trained.json",
    )
    looked_up = SEARCH + 'by = "benchmark"\ntrained = "trained.json"\n'
    trained = SEARCH + 'by = "training"\n' + SHORT.format(section="candidates")
    tiny = {name: SHORT.format(section=name) for name in ("start", "tune")}
    texts = {"looked-up": looked_up, "trained": trained, "adapt": ADAPT.format(**tiny)}
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder


cached_latency = cache(made_up_latency)


@pytest.fixture(autouse=True)
def _work_there(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr("mnv3lib.search.run_nas.load_latency", cached_latency)
    torch.set_num_threads(1)


def stopping_at(count, function):
    """The function, which the process is asked to end at its n-th call."""
    calls = []

    def stopped(*arguments, **options):
        calls.append(1)
        if len(calls) == count:
            os.kill(os.getpid(), signal.SIGTERM)
        return function(*arguments, **options)

    return stopped


def recorded(out):
    return read_run("run", path=out / "run.json")


# --- architecture search -------------------------------------------------------------------------

NAS = ["nas", "--recipe", "looked-up.toml"]


def test_nas_leaves_a_run_and_a_network(tmp_path):
    result = mnv3(*NAS, "--out", tmp_path, "--set", "search.budget=6", "--seed", 3)
    assert result.exit_code == 0, result.output
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == [
        "2 of 6", "4 of 6", "6 of 6"
    ]  # fmt: skip
    assert "evolution on small_32, 6 evaluations, target 10 ms, seed 3" in result.stdout
    assert "filters" in result.stdout
    run = recorded(tmp_path)
    assert run.name == "nas-looked-up"
    assert run.command == ("mnv3 search nas --recipe looked-up --seed 3 --set search.budget=6")
    history, best = run.metrics["history"], run.metrics["best"]
    at = history["rewards"].index(max(history["rewards"]))
    assert (history["codes"][at], history["accuracy"][at]) == (best["code"], best["accuracy"])
    found = from_table(json.loads((tmp_path / "network.json").read_text()))
    point = decode(SMALL_32, torch.tensor([best["code"]]))[0]
    assert found == spec_of(SMALL_32, point).with_classes(10)
    assert Network(found)(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_nas_as_json(tmp_path):
    result = mnv3(*NAS, "--out", tmp_path, "--json")
    printed = json.loads(result.stdout)
    assert set(printed) == {"metrics", "recipe", "seed"}
    assert set(printed["metrics"]) == {
        "space", "evaluations", "best", "finalists", "table", "history"
    }  # fmt: skip
    assert set(printed["metrics"]["best"]) == {
        "code", "accuracy", "latency_ms", "reward", "table_ms"
    }  # fmt: skip
    assert printed["metrics"] == recorded(tmp_path).metrics


def test_finalists_are_measured_and_ranked_anew(tmp_path):
    words = ["--set", "final.measure=2", "--set", "final.rounds=1", "--json"]
    found = json.loads(mnv3(*NAS, "--out", tmp_path, *words).stdout)["metrics"]
    assert len(found["finalists"]) == 2
    assert found["best"] == found["finalists"][0]
    assert found["finalists"][0]["reward"] >= found["finalists"][1]["reward"]
    assert all(0 < c["latency_ms"] != c["table_ms"] for c in found["finalists"])
    rewards = found["history"]["rewards"]
    codes = found["history"]["codes"]
    first = codes[rewards.index(max(rewards))]
    assert first in [candidate["code"] for candidate in found["finalists"]]


def test_a_search_that_is_stopped_goes_on_and_repeats_no_training(tmp_path, monkeypatch):
    words = ["nas", "--recipe", "trained.toml", "--out"]
    whole = mnv3(*words, tmp_path / "whole")
    assert whole.exit_code == 0, whole.output
    train = trainings.train
    monkeypatch.setattr(trainings, "train", stopping_at(3, train))
    cut = mnv3(*words, tmp_path / "cut")
    assert cut.exit_code == 143
    last = cut.stderr.splitlines()[-1]
    assert last.startswith("mnv3: stopped; what is finished lies in")
    assert "--resume" in last
    finished = len(list((tmp_path / "cut").glob("trainings/seed-0/*.json")))
    assert finished == 2
    calls = []
    monkeypatch.setattr(trainings, "train", lambda *a, **o: calls.append(1) or train(*a, **o))
    again = mnv3(*words, tmp_path / "cut", "--resume")
    assert again.exit_code == 0, again.output
    every = len(list((tmp_path / "whole").glob("trainings/seed-0/*.json")))
    assert len(calls) == every - finished
    assert recorded(tmp_path / "cut").metrics == recorded(tmp_path / "whole").metrics


def test_a_folder_belongs_to_one_search(tmp_path):
    assert mnv3(*NAS, "--out", tmp_path).exit_code == 0
    before = (tmp_path / "run.json").read_bytes()
    for words, text in [
        ([], "already holds a run: resume it"),
        (["--resume", "--seed", 1], "a search with seed 0, now it is 1"),
        (["--resume", "--set", "reward.w=-0.15"], "reward.w -0.07, now it is -0.15"),
    ]:
        result = mnv3(*NAS, "--out", tmp_path, *words)
        assert result.exit_code == 2
        assert text in result.stderr
    assert (tmp_path / "run.json").read_bytes() == before


# --- NetAdapt ------------------------------------------------------------------------------------

ADAPT_WORDS = ["netadapt", "--recipe", "adapt.toml"]


@pytest.fixture(scope="module")
def adapted(folder, tmp_path_factory):
    """A finished run: its folder, and what was printed."""
    out = tmp_path_factory.mktemp("adapted")
    before = os.getcwd()
    os.chdir(folder)
    result = mnv3(*ADAPT_WORDS, "--out", out, "--set", "final.train=true", "--json")
    os.chdir(before)
    assert result.exit_code == 0, result.output
    return out, result


def test_netadapt_leaves_a_run_and_a_network(adapted):
    out, result = adapted
    printed = json.loads(result.stdout)
    assert set(printed) == {"metrics", "recipe", "seed"}
    metrics = printed["metrics"]
    assert set(metrics) == {
        "unit", "target", "start", "end", "footprint", "steps", "table", "trained"
    }  # fmt: skip
    assert metrics == recorded(out).metrics
    assert metrics["unit"] == "multiply-adds"
    assert (
        metrics["end"]["latency_ms"] <= metrics["target"] == 0.89 * metrics["start"]["latency_ms"]
    )
    spec = from_table(json.loads((out / "network.json").read_text()))
    assert macs_at(32)(spec) == metrics["end"]["latency_ms"]
    changed = [g for g in metrics["footprint"] if g["after"] < g["before"]]
    assert {g["index"] for g in changed} == {s["kept"]["group"] for s in metrics["steps"]}
    assert len(metrics["steps"][0]["trials"]) > 1
    steps = [line for line in result.stderr.splitlines() if line.startswith("step ")]
    assert len(steps) == len(metrics["steps"])
    trained = out / f"result-{len(steps)}-steps"
    assert recorded(trained).metrics["final"] == metrics["trained"]
    assert recorded(trained).config["data"]["held_out"] == 40  # the recipe of the start says so


def test_an_adaptation_that_is_stopped_goes_on(adapted, tmp_path, monkeypatch):
    train = tuning.train
    monkeypatch.setattr(tuning, "train", stopping_at(3, train))
    words = [*ADAPT_WORDS, "--out", tmp_path]
    cut = mnv3(*words)
    assert cut.exit_code == 143
    assert "--resume" in cut.stderr.splitlines()[-1]
    assert len(list(tmp_path.glob("trial-*.safetensors"))) == 2
    monkeypatch.setattr(tuning, "train", train)
    again = mnv3(*words, "--resume")
    assert again.exit_code == 0, again.output
    whole = json.loads(adapted[1].stdout)["metrics"]
    assert recorded(tmp_path).metrics == {**whole, "trained": None}
    assert "after the steps" in again.stdout
    assert "bottleneck" in again.stdout


def test_a_finished_adaptation_goes_on_to_another_target(adapted, tmp_path):
    weights = adapted[0] / "start" / "weights.safetensors"
    words = [*ADAPT_WORDS, "--out", tmp_path, "--weights", weights]
    near = ["--set", "cuts.target_share=0.945"]
    assert mnv3(*words, *near).exit_code == 0
    assert len(recorded(tmp_path).metrics["steps"]) == 1
    assert "weights.safetensors" in recorded(tmp_path).command
    assert mnv3(*words, "--resume").exit_code == 0
    whole = json.loads(adapted[1].stdout)["metrics"]
    assert recorded(tmp_path).metrics == {**whole, "trained": None}


def test_a_target_that_is_out_of_reach_leaves_what_was_reached(adapted, tmp_path):
    weights = adapted[0] / "start" / "weights.safetensors"
    words = [*ADAPT_WORDS, "--out", tmp_path, "--weights", weights]
    narrow = ["--set", "proposals.smallest_share=0.6", "--set", "cuts.delta=0.04"]
    result = mnv3(*words, *narrow, "--set", "cuts.target_share=0.3")
    assert result.exit_code == 2
    last = result.stderr.splitlines()[-1]
    assert last.startswith("mnv3: no group can save another")
    steps = [line for line in result.stderr.splitlines() if line.startswith("step ")]
    again = mnv3(*words, *narrow, "--set", "cuts.target_share=0.99", "--resume")
    assert again.exit_code == 0, again.output
    assert len(recorded(tmp_path).metrics["steps"]) == len(steps)


def test_a_table_from_elsewhere_and_one_that_lacks_rows(adapted, tmp_path):
    weights = adapted[0] / "start" / "weights.safetensors"
    spec = load_trained(weights).network.spec
    rows = list(reachable_rows(spec, 32, width_grid(spec, 8, 0.25)))
    words = [*ADAPT_WORDS, "--weights", weights, "--set", "latency.by=table"]
    cuts = ["--set", "cuts.delta=0.02", "--set", "cuts.target_share=0.98"]
    for name, known in (("whole", rows), ("part", rows[: len(rows) // 2])):
        made_up_table(known).save(tmp_path / f"{name}.json")
        file = ["--set", f"latency.file={tmp_path / name}.json"]
        result = mnv3(*words, *cuts, *file, "--out", tmp_path / name)
        if name == "whole":
            assert result.exit_code == 0, result.output
            run = recorded(tmp_path / name)
            assert run.metrics["unit"] == "ms"
            assert run.config["latency"] == {"by": "table", "file": "whole.json"}
            assert (tmp_path / name / "latency-table.json").is_file()
        else:
            assert result.exit_code == 2
            assert "the table has no time for" in result.stderr


def test_rows_within_reach_are_measured_once(adapted, tmp_path):
    weights = adapted[0] / "start" / "weights.safetensors"
    words = ["latency.by=runtime", "latency.runtime=eager", "latency.rounds=1"]
    words += ["proposals.smallest_share=0.8", "cuts.target_share=0.9999", "cuts.delta=0.0001"]
    changes = [word for change in words for word in ("--set", change)]
    result = mnv3(*ADAPT_WORDS, "--weights", weights, "--out", tmp_path, *changes, "--json")
    table = LatencyTable.load(tmp_path / "latency-table.json")
    start = json.loads((tmp_path / "search.json").read_text())["latency"]
    assert start["by"] == "runtime"
    assert table.rounds == 1
    if result.exit_code == 0:  # one round of timing is no order to rely on
        assert json.loads(result.stdout)["metrics"]["unit"] == "ms"
    else:
        assert "no group can save another" in result.stderr


# --- refusals ------------------------------------------------------------------------------------

BAD = {
    "no such search": (["nas", "--recipe", "small_32/luck"], "no recipe"),
    "no such key": ([*NAS, "--set", "search.steps=3"], "search.steps is no key"),
    "batch above budget": ([*NAS, "--set", "search.batch=9"], "1 <= batch <= budget"),
    "another space": ([*NAS, "--set", "search.space=mnasnet"], "not about mnasnet"),
    "no recorded run": ([*NAS, "--set", "candidates.trained=nowhere.json"], "no recorded run"),
    "no adaptation": (["netadapt", "--recipe", "imagenet"], "no recipe"),
    "delta": ([*ADAPT_WORDS, "--set", "cuts.delta=0"], "cuts.delta"),
    "no weights": ([*ADAPT_WORDS, "--weights", "w.safetensors"], "no checkpoint"),
    "no data": ([*ADAPT_WORDS, "--set", "tune.recipe=cifar10/search_proxy"], "cifar10"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_status_2(case, tmp_path, monkeypatch):
    monkeypatch.delenv("MNV3_DATA", raising=False)
    words, text = BAD[case]
    result = mnv3(*words, "--out", tmp_path / "out")
    assert result.exit_code == 2, result.output
    last = result.stderr.splitlines()[-1]
    assert last.startswith("mnv3: ")
    assert text in last


def test_a_table_that_lacks_rows_of_the_space_is_refused(tmp_path):
    write_run(
        "lacking",
        command="x",
        config={"space": "small_32", "resolution": 32, "classes": 10},
        seeds=[],
        metrics={"table": vars(made_up_table([]))},
        started=datetime.now(UTC),
        duration_s=0.0,
        path=tmp_path / "lacking.json",
    )
    changes = ["--set", f"candidates.latencies={tmp_path / 'lacking.json'}"]
    result = mnv3(*NAS, "--out", tmp_path / "out", *changes)
    assert result.exit_code == 2
    assert "the table has no time for" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_dead_worker_is_one_line(tmp_path, monkeypatch):
    def dies(*arguments, **options):
        raise WorkerDiedError("item 0: its worker died 3 times")

    monkeypatch.setattr("mnv3lib.search.run_nas.run_search", dies)
    result = mnv3(*NAS, "--out", tmp_path)
    assert result.exit_code == 2
    assert result.stderr.splitlines() == ["mnv3: item 0: its worker died 3 times"]
