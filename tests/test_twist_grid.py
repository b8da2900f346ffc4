"""Twists of one cost, and the recording that trains them."""

import json
from types import SimpleNamespace

import pytest

from mnv3lib import count
from mnv3lib.models import Network
from mnv3lib.models.tables import from_table, to_table
from mnv3lib.models.tinynet import Twist, twisted
from mnv3lib.runs import read_run
from mnv3lib.search import record_twists, trainings
from mnv3lib.search.twist_costs import macs_of
from mnv3lib.search.twist_grid import SMALL_BASE, TwistCell, at_side, twist_grid

WHOLE = 8_674_368


def test_the_small_base():
    """At 48 pixels it has 19,318,128 multiply-adds; parameters do not depend on the image."""
    spec = twisted(Twist(), SMALL_BASE)
    assert (macs_of(Twist(), SMALL_BASE), macs_of(Twist(1.5), SMALL_BASE)) == (WHOLE, 19_318_128)
    counted = count(Network(spec))
    assert (counted.resolution, counted.macs, counted.params) == (32, WHOLE, 1_000_808)
    assert SMALL_BASE.channels(0.6) == (8, 8, 12, 24, 32, 56, 96)


@pytest.mark.parametrize("side", [16, 20, 24, 28, 32])
def test_sides_are_hit(side):
    assert twisted(Twist(at_side(side)), SMALL_BASE).resolution == side


def test_the_cells_of_a_grid_cost_the_same():
    cells = list(twist_grid(0.5 * WHOLE, (16, 24, 32), (0.5, 1.0, 1.5)))
    assert len(cells) == 9
    assert all(abs(cell.macs / (0.5 * WHOLE) - 1) <= 0.05 for cell in cells)
    assert [cell.spec.resolution for cell in cells] == [16] * 3 + [24] * 3 + [32] * 3
    widths = [cell.twist.width for cell in cells]
    # What depth takes, width loses, and what larger images take as well.
    assert all(widths[i] > widths[i + 1] for i in (0, 1, 3, 4, 6, 7))
    assert all(widths[i] > widths[i + 3] for i in range(6))


def test_cells_that_miss_the_budget_are_left_out():
    assert list(twist_grid(1000, (32,), (1.0,))) == []
    strict = list(twist_grid(0.5 * WHOLE, (16, 24, 32), (0.5, 1.0, 1.5), tolerance=0.001))
    assert len(strict) < 9


def test_a_cell_survives_json():
    cell = TwistCell.of(Twist(0.75, 0.6, 0.5))
    assert from_table(json.loads(json.dumps(to_table(cell.spec)))) == cell.spec


def test_rank_correlations_by_hand():
    twists = [Twist(r, w, 1) for r, w in ((0.5, 1.5), (0.7, 1.2), (1, 1))]
    found = record_twists.correlations(twists, [[0.1, 0.3], [0.2, 0.2], [0.3, 0.1]])
    assert found["resolution"] == [1.0, -1.0]
    assert found["width"] == [-1.0, 1.0]


@pytest.fixture
def seen(monkeypatch):
    """Stands in for training: an accuracy that rises with depth and with the image."""
    trained = []

    def train(recipe, *, seed, images):
        rows = len(recipe.model.network.rows)
        trained.append((recipe.data.resolution, recipe.augment.pad_crop, recipe.data.held_out))
        top1 = 0.3 + 0.01 * rows + 0.005 * recipe.data.resolution + 0.001 * seed
        return SimpleNamespace(metrics={"top1": top1})

    monkeypatch.setattr(trainings, "train", train)
    monkeypatch.setattr(trainings, "shared_images", lambda *_: None)
    return trained


def test_a_recording_and_again(seen, tmp_path):
    options = {
        "budgets": (0.5, 0.25),
        "sides": (16, 24, 32),
        "seeds": 2,
        "executor": "in-process",
        "workers": 1,
        "work": str(tmp_path / "work"),
    }
    run = record_twists.record(tmp_path / "twists.json", **options)
    assert read_run("twists", path=tmp_path / "twists.json").metrics == run.metrics
    grid = run.metrics["grids"]["0.5"]
    assert len(grid["cells"]) == 9
    assert [len(cell["top1"]) for cell in grid["cells"]] == [2] * 9
    assert grid["spearman"]["depth"][0] > 0 > grid["spearman"]["width"][0]
    formulas = run.metrics["formulas"]
    assert formulas["tiny"]["macs"] <= 0.35 * WHOLE
    assert len(formulas["tiny_over_giant"]) == 2
    # Shifts are an eighth of the side, and only the two last networks see the test images.
    assert all(shift == side // 8 for side, shift, _ in seen)
    assert sum(held_out is None for *_, held_out in seen) == 4
    before = len(seen)
    again = record_twists.record(tmp_path / "twists.json", **options)
    assert len(seen) == before
    assert again.metrics == run.metrics


def test_images_are_not_enlarged(tmp_path):
    with pytest.raises(ValueError, match="images of 32 pixels are not enlarged"):
        record_twists.record(tmp_path / "twists.json", sides=(32, 40))
