"""What the recorders and the ledger know of heads: counts, ratios, and examples of predictions."""

from dataclasses import replace
from pathlib import Path

import pytest

from mnv3lib import count
from mnv3lib.ledger.heads_answers import (
    build_detector,
    build_segmenter,
    detection_head_macs,
    detection_head_params,
    detector_macs,
    detector_params,
    detector_variables,
    segmenter_macs,
    segmenter_params,
)
from mnv3lib.ledger.record_head_ratios import HEAD_GROUPS, main, measure_group, record
from mnv3lib.models import deploy
from mnv3lib.runs import read_run

SMALL, V2 = "mobilenet_v3_small", "mobilenet_v2"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNV3_CACHE", str(tmp_path / "cache"))


# --- counts --------------------------------------------------------------------------------------


def test_counts_are_those_of_the_books_counter() -> None:
    options = {"tail": "rf2", "head": "lr_aspp", "filters": 128}
    counted = count(build_segmenter(SMALL, **options), (64, 128))
    assert segmenter_macs(SMALL, size=[64, 128], **options) == counted.macs
    assert segmenter_params(SMALL, **options) == counted.params == 468_830
    kinds = ("hard_swish", "multiply", "add", "pool")
    touched = sum(counted.operators[kind] for kind in kinds)
    # three resizings: the gate to 4 x 8, the product to 8 x 16, the logits to 64 x 128
    touched += 128 * (4 * 8 + 8 * 16) + 19 * 64 * 128
    both = segmenter_macs(SMALL, size=[64, 128], elementwise=True, **options)
    assert both - counted.macs == touched


def test_detectors_without_batch_norm_and_with_it() -> None:
    assert detector_params(SMALL, tail="dagger") == 1_765_279
    assert detector_params(SMALL, tail="dagger", batch_norm=True) == 1_785_743
    counted = count(build_detector(SMALL, tail="dagger").detector, 320)
    assert detector_macs(SMALL, tail="dagger") == counted.macs == 162_303_424


def test_all_that_a_training_program_keeps_of_a_detector() -> None:
    """MobileDets' released code prints 4.21 million."""
    assert detector_params("mobiledet_cpu", batch_norm=True) == 4_165_055
    assert detector_variables("mobiledet_cpu") == 4_205_423


def test_light_heads_are_those_of_the_detector() -> None:
    parts = count(build_detector(V2, num_classes=80).detector, 320)
    network = 2_223_872  # up to the 1280 channels, batch norm's 34,112 included
    whole = detector_params(V2, num_classes=80)
    light = {"model": V2, "num_classes": 80}
    assert detection_head_params("light", **light) == whole - (network - 34_112)
    assert detection_head_macs("light", **light) == parts.macs - 611_212_800


def test_variants_under_heads() -> None:
    """Table 6: 0.93 M and 0.16 B (0.167 cut off); Table 7, row 9: 0.28 M."""
    assert detector_params("mobilenet_v2_last_scaled", width_mult=0.35) == 929_531
    assert detector_macs("mobilenet_v2_last_scaled", width_mult=0.35) == 166_713_786
    lr_aspp = {"head": "lr_aspp", "filters": 128}
    assert segmenter_params("mobilenet_v2_rf2", width_mult=0.5, **lr_aspp) == 282_598


# --- ratios --------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", HEAD_GROUPS.values(), ids=HEAD_GROUPS)
def test_groups_compare_what_they_time(group) -> None:
    assert {name for pair in group.ratios.values() for name in pair} <= {*group.cases}


@pytest.mark.parametrize(
    ("group", "ratio", "paper"),
    [
        ("detectors", "large_dagger_over_large", 119 / 137),
        ("detectors", "large_dagger_over_v2", 119 / 162),
        ("detectors", "large_torchvision_over_large_dagger", None),
        ("segmenters", "large_rf2_lr_256_over_v2_r_256", 0.659 / 1.02),
    ],
)
def test_paper_stands_beside_the_measurement(monkeypatch, group, ratio, paper) -> None:
    spread = {"median": 1.0, "q1": 1.0, "q3": 1.0}

    def measured(cases, pairs, **_):
        return {"ratios": {name: dict(spread) for name in pairs}}

    monkeypatch.setattr("mnv3lib.ledger.record_head_ratios.measure_ratios", measured)
    found = measure_group(HEAD_GROUPS[group])["ratios"][ratio]
    assert found == (spread if paper is None else {**spread, "paper": pytest.approx(paper)})


def _tiny(name: str, cases: list[str], size, **options):
    """A group with some of its cases, narrow and on small images."""
    group = HEAD_GROUPS[name]
    kept = {key: group.cases[key] for key in cases}
    kept = {k: replace(c, options={**c.options, **options}) for k, c in kept.items()}
    ratios = {key: pair for key, pair in group.ratios.items() if {*pair} <= {*kept}}
    return replace(group, cases=kept, size=size, ratios=ratios)


def test_recording_heads_writes_a_run(tmp_path: Path) -> None:
    narrow = {"width_mult": 0.25, "num_classes": 2}
    groups = {
        "detectors": _tiny("detectors", ["small", "small_dagger"], 64, resolution=64, **narrow),
        "segmenters": _tiny(
            "segmenters", ["large_rf2_r_256", "large_rf2_lr_256"], (32, 64), **narrow
        ),
    }
    out = tmp_path / "head-ratios-onnxruntime.json"
    run = record(out, rounds=2, groups=groups)
    assert run == read_run("head-ratios-onnxruntime", path=out)
    assert run.config["runtime"] == "onnxruntime"
    assert "record_head_ratios --runtime onnxruntime --threads 1" in run.command
    detectors = run.metrics["detectors"]
    assert {name: len(times) for name, times in detectors["samples_ms"].items()} == {
        "small": 2,
        "small_dagger": 2,
    }
    assert {*detectors["ratios"]["small_dagger_over_small"]} == {"median", "q1", "q3", "paper"}
    assert {*run.metrics["segmenters"]["ratios"]} == {"large_rf2_lr_256_over_large_rf2_r_256"}
    assert list((tmp_path / "cache").glob("*.draft.json")) == []


def test_every_case_can_be_built_and_deployed() -> None:
    for group in HEAD_GROUPS.values():
        for case in group.cases.values():
            narrow = {**case.options, "width_mult": 0.25}
            deploy(group.build(case.model, **narrow))


def test_recording_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["--runtime", "tflite", "--out", str(tmp_path / "run.json")]) == 2
    assert capsys.readouterr().err.startswith("record_head_ratios: unknown runtime 'tflite'")
