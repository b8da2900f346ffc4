"""Twists of one cost, and the recording that trains them."""

import inspect
import json
import math
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
from mnv3lib.search.twist_trends import correlations, slopes

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


@pytest.mark.parametrize("share", [0.25, 0.125])
def test_the_recorded_grids_are_full(share):
    """Only then are the two axes independent, and the chapter's arithmetic of ranks holds."""
    defaults = inspect.signature(record_twists.record).parameters
    sides, depths = defaults["sides"].default, defaults["depths"].default
    assert share in defaults["budgets"].default
    assert len(list(twist_grid(share * WHOLE, sides, depths))) == len(sides) * len(depths) == 9


def test_cells_that_miss_the_budget_are_left_out():
    assert list(twist_grid(1000, (32,), (1.0,))) == []
    strict = list(twist_grid(0.5 * WHOLE, (16, 24, 32), (0.5, 1.0, 1.5), tolerance=0.001))
    assert len(strict) < 9


def test_a_cell_survives_json():
    cell = TwistCell.of(Twist(0.75, 0.6, 0.5))
    assert from_table(json.loads(json.dumps(to_table(cell.spec)))) == cell.spec


def test_rank_correlations_by_hand():
    axes = {"resolution": [16, 24, 32], "width": [1.5, 1.2, 1.0], "depth": [9, 9, 9]}
    found = correlations(axes, [[0.1, 0.3], [0.2, 0.2], [0.3, 0.1]])
    assert found == {"resolution": [1.0, -1.0], "width": [-1.0, 1.0]}


def test_what_three_values_an_axis_can_show():
    """The ranks 2, 5 and 8, three times each, against 1 to 9: at most 6 / sqrt(6 * 60 / 9)."""
    axis = {"depth": [1, 1, 1, 2, 2, 2, 3, 3, 3]}
    steps = [[value] for value in (1, 2, 3, 4, 5, 6, 7, 8, 9)]
    assert correlations(axis, steps)["depth"] == [pytest.approx(18 / math.sqrt(360))]
    steps[2], steps[3] = steps[3], steps[2]
    assert correlations(axis, steps)["depth"] == [pytest.approx(17 / math.sqrt(360))]


def test_slopes_by_hand():
    """Two points a doubling of the image, half a point lost a doubling of the blocks."""
    places = [(side, blocks) for side in (16, 32) for blocks in (10, 20)]
    axes = {"resolution": [s for s, _ in places], "depth": [b for _, b in places]}
    top1 = [[2 * math.log2(s) - 0.5 * math.log2(b), 7.0] for s, b in places]
    found = slopes(axes, top1)
    assert found["resolution"] == [pytest.approx(2), pytest.approx(0, abs=1e-12)]
    assert found["depth"] == [pytest.approx(-0.5), pytest.approx(0, abs=1e-12)]
    assert list(slopes({"resolution": [8, 16], "depth": [3, 3]}, [[1.0], [2.0]])) == ["resolution"]


def test_axes_that_go_together_have_no_slopes():
    with pytest.raises(ValueError, match="4 twists cannot tell resolution and depth apart"):
        slopes({"resolution": [8, 8, 16, 16], "depth": [2, 2, 4, 4]}, [[0.1]] * 4)


def test_fronts_are_those_of_the_seeds_and_go_by_budgets():
    """The cheapest cell of a budget is on no front just because rounding made it cheap."""
    grids = {share: list(twist_grid(share * WHOLE, (16, 32), (0.5, 1.0))) for share in (0.25, 0.5)}
    (a, b, *others), large = grids[0.25], grids[0.5]
    top1 = {cell: [0.1, 0.1] for cell in [*others, *large]}
    top1 |= {a: [0.2, 0.3], b: [0.3, 0.2], large[0]: [0.4, 0.1]}
    found = record_twists.fronts(grids, top1)
    assert [t.twist for t in found] == [b.twist, large[0].twist, a.twist]
    assert [t.macs for t in found] == [WHOLE // 4, WHOLE // 2, WHOLE // 4]


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
        "held_out_budget": 0.35,
        "sides": (16, 32),
        "depths": (0.5, 1.5),
        "seeds": 2,
        "executor": "in-process",
        "workers": 1,
        "work": str(tmp_path / "work"),
    }
    run = record_twists.record(tmp_path / "twists.json", **options)
    assert read_run("twists", path=tmp_path / "twists.json").metrics == run.metrics
    grid = run.metrics["grids"]["500"]
    assert len(grid["cells"]) == 4
    assert [len(cell["top1"]) for cell in grid["cells"]] == [2] * 4
    assert grid["spearman"]["depth"][0] > 0 > grid["spearman"]["width"][0]
    assert grid["points_a_doubling"]["depth"][0] > 0 < grid["points_a_doubling"]["resolution"][1]
    assert {round(t["macs"] / WHOLE, 4) for t in run.metrics["front"]} <= {0.25, 0.5}
    formulas = run.metrics["formulas"]
    assert formulas["predicted"]["depth_sd"] > 0
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
