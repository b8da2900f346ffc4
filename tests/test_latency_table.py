"""Latency tables: sums by hand, keys that tell rows apart, the way to disk and back."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mnv3lib.ledger import record_prediction
from mnv3lib.measure import row_latency
from mnv3lib.measure.latency_table import LatencyTable, MissingRowsError
from mnv3lib.measure.placed_rows import PlacedRow, placed_rows, shape_text
from mnv3lib.measure.prediction import PredictionReport
from mnv3lib.measure.row_latency import measure_table, row_latencies
from mnv3lib.models import create_model, model_spec


class TwoRows(nn.Module):
    """Two rows, the second without a network's spec to name it."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Flatten())

    def forward(self, x):
        return self.rows(x)


def by_hand(**changes) -> tuple[LatencyTable, list[PlacedRow]]:
    rows = placed_rows(TwoRows(), 32)
    content = {
        "runtime": "eager",
        "threads": 1,
        "rounds": 3,
        "rows_ms": {rows[0].key: 10.0, rows[1].key: 4.0},
        "handover_ms": {"3x32x32": 2.0, "4x16x16": 1.0, "1024": 0.5},
    }
    return LatencyTable(**{**content, **changes}), rows


def test_rows_know_their_places():
    first, second = placed_rows(TwoRows(), 32)
    assert (first.input_shape, first.output_shape) == ((1, 3, 32, 32), (1, 4, 16, 16))
    assert (second.input_shape, second.output_shape) == ((1, 4, 16, 16), (1, 1024))
    assert first.key.startswith("Conv2d @ 3x32x32 #")
    assert shape_text((1, 1024)) == "1024"


def test_finding_places_computes_nothing_and_moves_nothing():
    model = TwoRows()
    placed_rows(model, 32)
    assert all(parameter.device.type == "cpu" for parameter in model.parameters())


def test_row_of_a_network_is_named_by_its_line_of_the_table():
    model = create_model("mobilenet_v3_small")
    rows = placed_rows(model, 64)
    assert len(rows) == len(model.spec.rows)
    assert rows[1].key.startswith(
        "BneckRow(kernel=3, exp=16, out=16, se=True, act='relu', stride=2) @ 16x32x32 #"
    )


def test_keys_tell_conventions_apart():
    symmetric, same = (
        placed_rows(create_model("mobilenet_v3_small", padding=padding), 64)
        for padding in ("symmetric", "same")
    )
    assert symmetric[1].key != same[1].key
    assert symmetric[-1].key == same[-1].key


def test_equal_rows_share_a_key():
    keys = [row.key for row in placed_rows(create_model("mobilenet_v3_large"), 224)]
    assert keys[5] == keys[6]  # bneck 5x5, exp 120, out 40, twice on 28 x 28 maps
    assert len(set(keys)) == len(keys) - 3  # and 184/80 and 960/160 come twice, too


def test_a_row_costs_its_time_less_half_of_both_handovers():
    table, rows = by_hand()
    assert table.row_ms(rows[0]) == pytest.approx(10 - 0.5 * 2 - 0.5 * 1)
    assert table.row_ms(rows[1]) == pytest.approx(4 - 0.5 * 1 - 0.5 * 0.5)


def test_a_network_is_the_sum_with_one_handover_at_each_end():
    table, _ = by_hand()
    assert table.predict(TwoRows(), 32) == pytest.approx(10 + 4 - 1)  # only the middle goes


@given(scale=st.floats(0.1, 10))
def test_the_scale_multiplies_everything(scale):
    table, rows = by_hand(scale=scale)
    assert table.predict(TwoRows(), 32) == pytest.approx(13 * scale)
    assert table.row_ms(rows[0]) == pytest.approx(8.5 * scale)


def test_calibration_is_the_median_of_the_ratios():
    table, _ = by_hand(scale=2.0)
    assert table.calibrated([1.0, 2.0, 4.0], [1.0, 3.0, 40.0]).scale == pytest.approx(3.0)
    with pytest.raises(ValueError, match="got 1 for 2"):
        table.calibrated([1.0, 2.0], [1.0])


def test_missing_rows_are_named():
    table, rows = by_hand()
    poorer = replace(table, rows_ms={rows[0].key: 10.0})
    assert poorer.missing(TwoRows(), 32) == [rows[1].key]
    assert table.missing(TwoRows(), 32) == []
    with pytest.raises(MissingRowsError, match=r"no time for 1 rows, first 'Flatten @ 4x16x16"):
        poorer.predict(TwoRows(), 32)


def test_a_table_survives_the_way_to_disk(tmp_path):
    table, _ = by_hand(scale=1.5, machine={"cores": 2})
    table.save(tmp_path / "table.json")
    assert LatencyTable.load(tmp_path / "table.json") == table
    assert json.loads((tmp_path / "table.json").read_text())["handover_ms"]["1024"] == 0.5


@pytest.mark.parametrize("content", ["{", "{}", '{"runtime": "eager", "colour": 1}'])
def test_a_file_that_is_no_table(tmp_path, content):
    path = tmp_path / "table.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="not a latency table"):
        LatencyTable.load(path)


def test_a_missing_table(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no latency table 'none\.json'"):
        LatencyTable.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("model", "resolution", "message"),
    [(nn.Flatten(), 32, "Flatten has no sequence of rows"), (TwoRows(), 16, "at least 32")],
)
def test_places_need_rows_and_a_resolution(model, resolution, message):
    with pytest.raises(ValueError, match=message):
        placed_rows(model, resolution)


def test_a_measured_table_predicts_network_and_spec():
    networks = {"small": (create_model("mobilenet_v3_small", width_mult=0.35), 32)}
    table, measured_ms = measure_table(networks, rounds=1, warmup=0, clock=Ticks())
    assert list(measured_ms) == ["small"]
    spec = model_spec("mobilenet_v3_small", width_mult=0.35)
    assert table.predict(spec, 32) == pytest.approx(table.predict(*networks["small"]))
    # Every call takes one tick of 1 ms, hand-overs too: 1 ms at the ends, nothing in between.
    assert set(table.rows_ms.values()) == set(table.handover_ms.values()) == {1.0}
    assert measured_ms["small"] == 1.0
    assert table.predict(*networks["small"]) == pytest.approx(1.0)


class Ticks:
    """A clock that moves by a millisecond each time it is read."""

    now = 0

    def __call__(self) -> int:
        self.now += 10**6
        return self.now


def test_equal_rows_are_compiled_once(monkeypatch):
    compiled = []
    original = row_latency.compile_model

    def counting(module, x, **options):
        compiled.append(module)
        return original(module, x, **options)

    monkeypatch.setattr(row_latency, "compile_model", counting)
    model = nn.Module()
    model.rows = nn.Sequential(nn.ReLU(), nn.ReLU(), nn.ReLU())
    assert len(row_latencies(model, 32, rounds=1)) == 3
    assert len(compiled) == 3  # the ReLU, the hand-over of its shape, the row run before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"networks": {}}, "no networks to take rows from"),
        ({"runtime": "tflite"}, "unknown runtime 'tflite'"),
        ({"threads": 0}, "threads must be"),
        ({"rounds": 0}, "rounds must be"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        measure_table(**{"networks": {"two": (TwoRows(), 32)}, **arguments})


@pytest.mark.parametrize("shape", [(1, 16, 4, 4), (1, 16)])
@pytest.mark.parametrize("runtime", ["eager", "onnxruntime", "executorch"])
def test_a_handover_changes_nothing(runtime, shape):
    x = torch.randn(shape)
    assert torch.equal(row_latency._handover(runtime, shape)(x), x)


def test_a_report_by_hand():
    report = PredictionReport(
        {"a": 1.1, "b": 2.0, "c": 2.4, "d": 9.0}, {"a": 1.0, "b": 2.0, "c": 3.0, "d": 10.0}
    )
    assert report.errors == pytest.approx({"a": 0.1, "b": 0.0, "c": -0.2, "d": -0.1})
    assert report.median_error == pytest.approx(0.1)
    assert report.largest_error == pytest.approx(0.2)
    assert report.spearman == pytest.approx(1.0)


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=3, max_size=9).filter(
        lambda pairs: all(len(set(column)) > 1 for column in zip(*pairs, strict=True))
    )
)
def test_spearman_agrees_with_scipy(pairs):
    stats = pytest.importorskip("scipy.stats")
    predicted, measured = zip(*pairs, strict=True)
    report = PredictionReport(dict(enumerate(predicted)), dict(enumerate(measured)))
    assert report.spearman == pytest.approx(stats.spearmanr(predicted, measured)[0])


def test_a_report_needs_the_same_networks():
    with pytest.raises(ValueError, match="same two or more networks"):
        PredictionReport({"a": 1.0, "b": 1.0}, {"a": 1.0, "c": 1.0})


def test_the_sample_covers_what_the_run_promises():
    networks, calibrating = record_prediction.sample_networks(
        record_prediction.FAMILIES[-2:], record_prediction.PLACES[:2]
    )
    assert list(networks) == [
        "mobilenet_v3_large_minimalistic x0.35 @224",
        "mobilenet_v3_large_minimalistic x0.5 @160",
        "mobilenet_v3_small_minimalistic x0.35 @224",
        "mobilenet_v3_small_minimalistic x0.5 @160",
    ]
    assert calibrating == [name for i, name in enumerate(networks) if i in (0, 3)]
    families, places = record_prediction.FAMILIES, record_prediction.PLACES
    assert len(families) * (len(places) - 1) >= 30  # networks that judge
    assert {min(w for w, _ in places), max(w for w, _ in places)} == {0.35, 1.4}
    assert {min(r for _, r in places), max(r for _, r in places)} == {96, 256}


def test_calibrating_networks_do_not_judge(tmp_path):
    out = tmp_path / "latency-prediction-test.json"
    run = record_prediction.record(
        out, rounds=1, families=["mobilenet_v3_small"], places=[(0.35, 32), (0.5, 32), (0.75, 32)]
    )
    assert run.metrics["calibrating"] == ["mobilenet_v3_small x0.35 @32"]
    for kind in ("raw", "calibrated"):
        assert run.metrics[kind]["networks"] == [
            "mobilenet_v3_small x0.5 @32",
            "mobilenet_v3_small x0.75 @32",
        ]
    assert LatencyTable.from_dict(run.metrics["table"]).scale == run.metrics["scale"]
    assert run.command.endswith("--out data/runs/latency-prediction-test.json")
