"""The recorders of chapter 6: what they write, how they go on, what they refuse."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mnv3lib import count, create_model
from mnv3lib.executors import InProcess
from mnv3lib.ledger import record_pieces, record_speed
from mnv3lib.ledger.drafts import Draft
from mnv3lib.measure.cuts import cut_network, time_pieces
from mnv3lib.measure.forms import paired_ratio, stock_twin, time_forms
from mnv3lib.measure.latency import Spread
from mnv3lib.runs import read_run

TINY = {"resolution": 32, "rounds": 2}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "cache"
    monkeypatch.setenv("MNV3_CACHE", str(folder))
    return folder


def test_speed_run_holds_both_comparisons(tmp_path: Path) -> None:
    out = tmp_path / "speed.json"
    names = ["mobilenet_v3_small", "mobilenet_v2_035", "large_without_se"]
    record_speed.record(out, networks=names, forms=["eager", "deploy"], **TINY)
    run = read_run("speed", path=out)
    small = run.metrics["networks"]["mobilenet_v3_small"]
    assert set(run.metrics["networks"]) == set(names[:2])  # a variant has no forms of its own
    assert set(small["ms"]) == {"eager", "deploy"}
    assert "deploy_over_eager" in small["ratios"]
    assert small["params"] == 2_542_856
    assert small["fastest"] in ("eager", "deploy")
    beside = run.metrics["forms"]["deploy"]
    assert list(beside["ms"]) == names
    assert set(beside["ratios"]) == {"mobilenet_v3_small_over_mobilenet_v2_035"}
    assert run.config["resolution"] == 32
    assert run.seeds == [0]


def test_variants_of_large_change_one_thing_each() -> None:
    specs = {name: make() for name, make in record_speed.FAMILY.items()}
    large = specs["mobilenet_v3_large"].rows
    assert not any(getattr(row, "se", False) for row in specs["large_without_se"].rows)
    assert {row.kernel for row in specs["large_with_3x3"].rows[1:16]} == {3}
    assert "hard_swish" not in {getattr(r, "act", None) for r in specs["large_with_relu"].rows}
    for name in ("large_without_se", "large_with_3x3", "large_with_relu"):
        assert [getattr(r, "out", 0) for r in specs[name].rows] == [
            getattr(r, "out", 0) for r in large
        ]


def test_interrupted_recording_goes_on(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"networks": ["mobilenet_v3_small"], "forms": ["eager"], **TINY}
    monkeypatch.setattr(record_speed, "measure_networks", _interrupt)
    with pytest.raises(KeyboardInterrupt):
        record_speed.record(tmp_path / "speed.json", **options)
    assert len(list(cache.glob("*.draft.json"))) == 1
    monkeypatch.undo()
    monkeypatch.setenv("MNV3_CACHE", str(cache))
    monkeypatch.setattr(record_speed, "measure_forms", _interrupt)  # is not measured again
    record_speed.record(tmp_path / "speed.json", **options)
    assert not list(cache.glob("*.draft.json"))


def _interrupt(*_: object) -> dict:
    raise KeyboardInterrupt


def test_draft_belongs_to_its_protocol() -> None:
    first = Draft("run", {"rounds": 2})
    assert first.part("a", lambda: 1) == 1
    assert first.part("a", lambda: 2) == 1
    assert Draft("run", {"rounds": 2}).parts == {"a": 1}
    assert Draft("run", {"rounds": 2}).started == first.started
    assert Draft("run", {"rounds": 3}).parts == {}
    first.discard()
    assert Draft("run", {"rounds": 2}).parts == {}


def test_draft_keeps_each_part_as_it_is_finished() -> None:
    def measure(item: int) -> int:
        if item == 3:
            raise KeyboardInterrupt
        return 10 * item

    draft = Draft("run", {})
    draft.part("a", lambda: 7)
    with pytest.raises(KeyboardInterrupt):
        draft.each({"a": 1, "b": 2, "c": 3, "d": 4}, measure, InProcess())
    again = Draft("run", {})
    assert again.parts == {"a": 7, "b": 20}
    assert again.each({"b": 0, "d": 4}, measure, InProcess()) == {"b": 20, "d": 40}
    again.discard()


def test_pieces_run_adds_up_to_the_network(tmp_path: Path) -> None:
    out = tmp_path / "latency-rows.json"
    small = ["mobilenet_v3_small"]
    record_pieces.record(out, networks=small, runtimes=["eager"], **TINY)
    pieces = read_run("latency-rows", path=out).metrics["mobilenet_v3_small"]["eager"]
    whole = count(create_model("mobilenet_v3_small"), 32)
    assert sum(piece["macs"] for piece in pieces) == whole.macs
    for row in whole.rows[:13]:
        assert sum(p["macs"] for p in pieces if p["row"] == row.index) == row.macs
    assert [p["kind"] for p in pieces if p["row"] == 1] == ["depthwise", "se", "project"]
    assert pieces[0]["kind"] == "conv"
    assert pieces[-1]["kind"] == "pool and head"


def test_last_cut_is_the_network() -> None:
    network = create_model("mobilenet_v2", width_mult=0.35).eval()
    *_, cut = cut_network(network)
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert (cut.row, cut.kind) == (19, "pool and head")
    torch.testing.assert_close(cut.beginning(x), network(x))


def test_stock_twin_has_the_same_weights() -> None:
    network = create_model("mobilenet_v3_small").eval()
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(stock_twin(network).eval()(x), network(x))


def test_ratio_is_taken_within_rounds() -> None:
    samples = {"a": [2.0, 30.0, 4.0], "b": [1.0, 10.0, 4.0]}  # ratios 2, 3, 1
    assert paired_ratio(samples, "a", "b") == Spread(2.0, 1.5, 2.5)


def test_unknown_names_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(ValueError, match="unknown network 'resnet'"):
        record_speed.record(tmp_path / "speed.json", networks=["resnet"])
    with pytest.raises(ValueError, match="unknown form 'jit'"):
        time_forms({"a": (create_model("mobilenet_v3_small"), "jit")})
    with pytest.raises(ValueError, match="unknown runtime 'jit'"):
        time_pieces(create_model("mobilenet_v3_small"), runtime="jit")
    for module in (record_speed, record_pieces):
        assert module.main(["--out", str(tmp_path / "speed.json"), "--rounds", "0"]) == 2
    assert "rounds must be" in capsys.readouterr().err
