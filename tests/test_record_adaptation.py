"""The recorded comparison of NetAdapt with scaling: twins, trainings, what is written."""

import json

import pytest
import torch

from mnv3lib.executors import InProcess
from mnv3lib.measure.latency import LatencyComparison, Timing
from mnv3lib.measure.latency_table import LatencyTable
from mnv3lib.measure.placed_rows import shape_text
from mnv3lib.models import model_spec
from mnv3lib.models.tables import from_table, to_table
from mnv3lib.runs import read_run
from mnv3lib.search import macs_at, record_adaptation, run_netadapt, trainings
from mnv3lib.search.from_scratch import train_from_scratch
from mnv3lib.search.reachable_rows import reachable_rows
from mnv3lib.search.scaled_twins import closest_twin, scaled_tables
from mnv3lib.train.recipe import Model
from mnv3lib.train.recipe_files import load_recipe

SHORT = """
[{section}]
recipe = "emoji/mobilenet_v3_small"
[{section}.changes]
model = {{ width_mult = 0.35, removed_strides = 1 }}
data = {{ subset = 16, held_out = {held_out} }}
train = {{ epochs = 1, batch_size = 16, ema_decay = 0.5 }}
schedule = {{ warmup_epochs = 0 }}
"""
ADAPT = """
source = "a test"
[cuts]
delta = 0.015
target_share = 0.975
[proposals]
smallest_share = 0.5
[latency]
by = "runtime"
runtime = "eager"
"""


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def clock(**times_ms: float) -> LatencyComparison:
    """Times that were the same in two rounds."""
    timings = {name: Timing(name, (ms, ms)) for name, ms in times_ms.items()}
    return LatencyComparison(timings, 32, "eager", 1, 2, {})


# --- twins ---------------------------------------------------------------------------------------


def test_scaled_tables_differ_and_start_with_the_widest():
    small = Model(name="mobilenet_v3_small", removed_strides=1)
    found = scaled_tables(small, 10, grid=0.01, smallest=0.5)
    assert next(iter(found)) == "1.000"
    assert len({spec.rows for spec in found.values()}) == len(found) < 51
    for multiplier, spec in found.items():
        scaled = model_spec(
            small.name, width_mult=float(multiplier), num_classes=10, removed_strides=1
        )
        assert spec == scaled


def test_multipliers_are_shares_of_the_networks_own():
    half = Model(name="mobilenet_v3_small", width_mult=0.5)
    assert list(scaled_tables(half, 10, grid=0.25, smallest=0.5)) == ["0.500", "0.375", "0.250"]


@pytest.mark.parametrize(("grid", "smallest"), [(0.0, 0.3), (1.0, 0.3), (0.1, 0.0)])
def test_a_grid_out_of_range(grid, smallest):
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        scaled_tables(Model(name="mobilenet_v3_small"), 10, grid=grid, smallest=smallest)


def test_the_twin_is_the_closest_that_is_not_faster():
    times = clock(adapted=2.0, wide=3.0, near=2.1, faster=1.99)
    assert closest_twin(times, "adapted", ["wide", "near", "faster"]) == "near"
    assert closest_twin(clock(adapted=2.0, same=2.0), "adapted", ["same"]) == "same"
    with pytest.raises(ValueError, match="no scaled network is as slow as 'adapted'"):
        closest_twin(times, "adapted", ["faster"])


# --- trainings -----------------------------------------------------------------------------------


class StopsAfter(InProcess):
    """Ends after some items, as a signal would."""

    def __init__(self, items: int) -> None:
        super().__init__()
        self.items = items

    def map(self, function, items):
        for done, result in enumerate(super().map(function, items), start=1):
            yield result
            if done == self.items:
                raise KeyboardInterrupt


def test_equal_tables_are_trained_once_and_nothing_twice(tmp_path, monkeypatch):
    recipe = load_recipe(
        "emoji/mobilenet_v3_small",
        data={"subset": 16},
        train={"epochs": 1, "batch_size": 16, "ema_decay": 0.5},
    )
    specs = [
        model_spec("mobilenet_v3_small", width_mult=w, num_classes=12) for w in (0.35, 0.35, 0.25)
    ]
    tables = dict(zip(("one", "again", "other"), specs, strict=True))
    train, trained = trainings.train, []

    def noting(recipe, **options):
        trained.append((recipe.model.network.rows, options["seed"]))
        return train(recipe, **options)

    monkeypatch.setattr(trainings, "train", noting)
    options = {"seeds": 2}
    with pytest.raises(KeyboardInterrupt):
        train_from_scratch(recipe, tables, tmp_path, executor=StopsAfter(1), **options)
    top1 = train_from_scratch(recipe, tables, tmp_path, executor=InProcess(), **options)
    assert len(trained) == len(set(trained)) == 4
    assert top1["one"] == top1["again"]
    assert [len(seeds) for seeds in top1.values()] == [2, 2, 2]


# --- the whole recording -------------------------------------------------------------------------


def by_macs(models, resolution, runtime, threads, *, rounds):
    """A clock that counts."""
    return clock(**{name: macs_at(resolution)(m.spec) for name, m in models.items()})


def made_up_table(start, resolution, grid, how) -> LatencyTable:
    """A millisecond a row, and another one for each 20,000 weights."""
    rows_ms, handover_ms = {}, {}
    for row in reachable_rows(start.spec, resolution, grid):
        rows_ms[row.key] = 1.0 + sum(p.numel() for p in row.module.parameters()) / 20_000
        handover_ms |= {shape_text(s): 0.0 for s in (row.input_shape, row.output_shape)}
    return LatencyTable("eager", 1, 1, rows_ms, handover_ms)


@pytest.fixture
def _made_up(monkeypatch, tmp_path):
    """Times that are the same on every machine, and a recipe."""
    monkeypatch.setattr(record_adaptation, "compare_latency", by_macs)
    monkeypatch.setattr(run_netadapt, "_measured", made_up_table)
    monkeypatch.chdir(tmp_path)
    sections = [SHORT.format(section=name, held_out=40) for name in ("start", "tune")]
    (tmp_path / "tiny.toml").write_text("\n".join([ADAPT, *sections]), encoding="utf-8")


@pytest.mark.usefixtures("_made_up")
def test_a_recording_holds_both_rules_and_their_twins(tmp_path, monkeypatch, capsys):
    words = ["--recipe", "tiny.toml", "--seeds", "2", "--grid", "0.1", "--out"]
    assert record_adaptation.main([*words, str(tmp_path / "one.json")]) == 0
    assert "ratio_over_scaled" in capsys.readouterr().out
    run = read_run("one", path=tmp_path / "one.json")
    rules, networks = run.metrics["rules"], run.metrics["networks"]
    assert rules["ratio"]["start"] == rules["accuracy"]["start"]
    assert rules["ratio"]["steps"][0]["trials"] == rules["accuracy"]["steps"][0]["trials"]
    assert len(rules["ratio"]["steps"][0]["trials"]) > 1
    for rule in ("ratio", "accuracy"):
        adapted, twin = networks[rule], networks[f"{rule}_scaled"]
        assert adapted["table"]["rows"] == rules[rule]["table"]["rows"]
        assert twin["macs"] >= adapted["macs"]  # the made-up clock counts them
        assert run.metrics["twin_over_adapted"][rule]["median"] == pytest.approx(
            twin["macs"] / adapted["macs"]
        )
        assert twin["latency_ms"]["median"] == twin["macs"]
        points = [100 * (a - b) for a, b in zip(adapted["top1"], twin["top1"], strict=True)]
        assert run.metrics["differences"][f"{rule}_over_scaled"] == points
    start = from_table(networks["start"]["table"])
    assert networks["start"]["macs"] == macs_at(32)(start)
    assert to_table(start)["rows"] == networks["start"]["table"]["rows"]

    def no_more(*arguments, **options):
        raise AssertionError("trained again")

    for module in (trainings, run_netadapt):
        monkeypatch.setattr(module, "train", no_more)
    assert record_adaptation.main([*words, str(tmp_path / "two.json")]) == 0
    again = read_run("two", path=tmp_path / "two.json")
    assert again.metrics == run.metrics
    assert json.loads((tmp_path / "runs/search-adaptation/search.json").read_text())["grid"] == 0.1
    other = ["--recipe", "tiny.toml", "--grid", "0.2", "--out", str(tmp_path / "three.json")]
    assert record_adaptation.main(other) == 2
    assert "holds a search with grid 0.1, now it is 0.2" in capsys.readouterr().err


@pytest.mark.usefixtures("_made_up")
def test_a_cost_that_no_clock_measures_is_refused(tmp_path, capsys):
    recipe = (tmp_path / "tiny.toml").read_text()
    counted = recipe.replace('by = "runtime"\nruntime = "eager"', 'by = "macs"')
    (tmp_path / "counted.toml").write_text(counted, encoding="utf-8")
    out = ["--out", str(tmp_path / "run.json")]
    assert record_adaptation.main(["--recipe", "counted.toml", *out]) == 2
    assert "the recipe's cost is by 'macs'" in capsys.readouterr().err
    assert record_adaptation.main(["--recipe", "tiny.toml", "--seeds", "0", *out]) == 2
    assert "seeds must be at least 1" in capsys.readouterr().err
