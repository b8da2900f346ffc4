"""The recorders of utilisation and of linear latency, on the smallest things that can be timed."""

import pytest
import torch

from mnv3lib.ledger import record_layer_latency, record_utilisation
from mnv3lib.ledger.record_layer_latency import judge, level_groups
from mnv3lib.ledger.record_utilisation import BLOCKS, blocks, convolutions
from mnv3lib.search import sample_codes
from mnv3lib.search.simulated_device import DEVICES, device_latency
from mnv3lib.search.tdb_space import small_space


@pytest.fixture
def _drafts_here(tmp_path, monkeypatch):
    monkeypatch.setenv("MNV3_CACHE", str(tmp_path / "cache"))


def test_the_largest_convolutions_are_left_out():
    names = [case.name for case in convolutions((16, 256), (10, 80))]
    assert "regular 3x3, 256x10x10" in names
    assert "regular 3x3, 256x80x80" not in names
    assert "depthwise 5x5, 256x80x80" in names
    assert len(names) == 4 * 4 - 1


def test_blocks_keep_the_shape_of_their_map():
    cases = dict(blocks())
    assert len(cases) == len(BLOCKS) * 5
    case = cases["tucker_25_75, 32x80x80"]
    assert case.macs == 17_612_800
    block = case.build()
    assert block(torch.zeros(1, 32, 4, 4)).shape == (1, 32, 4, 4)
    assert block.use_residual


@pytest.mark.usefixtures("_drafts_here")
def test_utilisation_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(record_utilisation, "BLOCKS", {"tucker": BLOCKS["tucker_25_75"]})
    monkeypatch.setattr(record_utilisation, "_PLACES", ((8, 4),))
    few = {name: record_utilisation.DETECTORS[name] for name in ("large_dagger", "small_dagger")}
    monkeypatch.setattr(record_utilisation, "DETECTORS", few)
    options = {"rounds": 2, "channels": (4,), "sides": (4,), "resolution": 64}
    run = record_utilisation.record(tmp_path / "u.json", **options)
    assert set(run.metrics) == {"convolutions", "blocks", "detectors"}
    assert run.metrics["convolutions"]["depthwise 3x3, 4x4x4"]["macs"] == 9 * 4 * 16
    assert list(run.metrics["blocks"]) == ["tucker, 8x4x4"]
    assert list(run.metrics["detectors"]["ratios"]) == ["small_dagger_over_large_dagger"]
    assert "best GMAC/s regular" in record_utilisation._describe(run)


def test_where_latency_is_multiply_adds_they_predict_it():
    space = small_space(widths=True)
    codes = sample_codes(space, 900, torch.Generator().manual_seed(0))
    latency = device_latency(space, DEVICES["cpu"], 96)(codes)
    judged = judge(space, codes, latency, 800, 96)
    assert {name: round(model["r2"], 3) for name, model in judged.items()} == {
        "macs": 1.0, "macs_by_kind": 1.0, "layers": 1.0
    }  # fmt: skip
    latency = device_latency(space, DEVICES["accelerator"], 96)(codes)
    judged = judge(space, codes, latency, 800, 96)
    assert judged["macs"]["r2"] < 0.6
    assert judged["macs_by_kind"]["r2"] == pytest.approx(1)
    assert judged["layers"]["r2"] > 0.99
    assert len(judged["layers"]["predicted"]) == 100
    with pytest.raises(ValueError, match="1 to 899 may teach, got 900"):
        judge(space, codes, latency, 900, 96)


def test_a_slow_group_is_levelled():
    """The second group ran at half speed, but for one reference that was disturbed."""
    references = [[1.0, 2.0, 4.0], [2.0, 4.0, 40.0], [1.0, 2.0, 4.0]]
    assert level_groups([[5.0], [10.0, 6.0], [7.0]], references) == [5.0, 5.0, 3.0, 7.0]


@pytest.mark.usefixtures("_drafts_here")
def test_latencies_of_layers_are_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(record_layer_latency, "_GROUP", 2)
    monkeypatch.setattr(record_layer_latency, "_REFERENCES", 3)
    monkeypatch.setattr(record_layer_latency, "_SIMULATED", (20,))
    run = record_layer_latency.record(
        tmp_path / "l.json", space="ibn_small", networks=6, held_out=2, resolution=32, rounds=1
    )
    assert len(run.metrics["latency_ms"]) == len(run.metrics["codes"]) == 6
    assert [len(group) for group in run.metrics["references_ms"]] == [3, 3, 3]
    assert set(run.metrics["models"]) == {"macs", "macs_by_kind", "layers"}
    assert set(run.metrics["simulated"]) == set(DEVICES)
    assert "R2 macs" in record_layer_latency._describe(run)
