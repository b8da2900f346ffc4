"""The recording that times twists beside each other."""

from dataclasses import replace

import pytest

from mnv3lib.ledger import record_twist_latency
from mnv3lib.ledger.record_twist_latency import TwistGroup, cells, halves, published, record
from mnv3lib.models import model_spec
from mnv3lib.models.tinynet import TWISTS
from mnv3lib.runs import read_run
from mnv3lib.search.row_costs import macs_at


def macs(group, name):
    spec = group.cases[name]
    return macs_at(spec.resolution or 224)(spec)


def test_published_networks_stand_beside_giants_of_their_cost():
    group = published()
    for name in TWISTS:
        giant = name.replace("tinynet", "giant")
        assert (name, giant) in group.ratios.values()
        assert 0.97 < macs(group, giant) / macs(group, name) <= 1.01
    assert (macs(group, "b0"), macs(group, "b_minus_4")) == (385_814_752, 41_631_168)
    assert {case for pair in group.ratios.values() for case in pair} <= set(group.cases)


def test_halves_cost_about_half():
    group = halves()
    assert all(abs(macs(group, name) / 200e6 - 1) < 0.04 for name in group.cases if name != "b0")


def test_cells_cost_the_same():
    group = cells()
    costs = [macs(group, name) for name in group.cases]
    assert max(costs) / min(costs) < 1.11
    assert "side_168_blocks_16" in group.cases


def test_a_small_recording(tmp_path, monkeypatch):
    monkeypatch.setenv("MNV3_CACHE", str(tmp_path / "cache"))
    spec = model_spec("mobilenet_v3_small", width_mult=0.35)
    pair = ("a", "b")
    small = TwistGroup(dict.fromkeys(pair, replace(spec, resolution=32)), {"ratio": pair})
    out = tmp_path / "twist-latency-eager.json"
    run = record(out, rounds=3, groups={"cells": lambda: small})
    assert read_run(out.stem, path=out).metrics == run.metrics
    found = run.metrics["cells"]
    assert set(found["median_ms"]) == set(pair)
    assert found["ratios"]["ratio"]["q1"] > 0
    assert run.command.startswith("python -m mnv3lib.ledger.record_twist_latency --runtime eager")


def test_unknown_runtime(tmp_path, capsys):
    words = ["--runtime", "tflite", "--out", str(tmp_path / "x.json")]
    assert record_twist_latency.main(words) == 2
    assert "unknown runtime 'tflite'" in capsys.readouterr().err


@pytest.mark.parametrize("name", record_twist_latency.GROUPS)
def test_every_group_has_ratios(name):
    assert record_twist_latency.GROUPS[name]().ratios
