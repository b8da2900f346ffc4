"""The recorders of chapter 12: what they time in float and in int8, write and refuse."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from mnv3lib.compress.int8_eager import has_int8_instructions
from mnv3lib.compress.post_training import quantise_network
from mnv3lib.ledger import precision_programs, record_precision_latency, record_precision_parts
from mnv3lib.ledger.precision_programs import NETWORKS, networks_of
from mnv3lib.ledger.record_precision_latency import GROUPS, PrecisionGroup
from mnv3lib.measure.bound import BoundCall
from mnv3lib.measure.latency import image
from mnv3lib.measure.runtimes import WrongOutputError
from mnv3lib.runs import read_run
from quantised_networks import small_network

for package in ("executorch", "onnxruntime", "onnxscript"):
    pytest.importorskip(package)

TINY = {"small": replace(NETWORKS["small"], model="a small network", resolution=32)}
PAIR = {"small_over_itself": ("small", "small")}
RUNTIMES = [
    pytest.param(
        "eager",
        marks=pytest.mark.skipif(
            not has_int8_instructions(), reason="the processor has no VNNI instructions"
        ),
    ),
    "onnxruntime",
    "executorch",
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNV3_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True, scope="module")
def small_model() -> Iterator[None]:
    """Seven layers stand for every registered network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(precision_programs, "create_model", lambda *_, **__: small_network())
        yield
    precision_programs._networks.cache_clear()


def test_pairs_are_timed_and_paper_is_quoted() -> None:
    """Table 4, Pixel 1: Large 44 ms and V2 52 ms; Table 3: 51 ms and 64 ms."""
    (group,) = GROUPS.values()
    assert {name for pair in group.pairs.values() for name in pair} <= {*group.cases}
    samples = {f"{name} {precision}": [1.0] for name in NETWORKS for precision in ("fp32", "int8")}
    ratios = record_precision_latency._ratios(group, samples)
    assert ratios["int8_over_fp32"]["large"]["paper"] == pytest.approx(44 / 51)
    assert ratios["int8"]["large_over_v2"]["paper"] == pytest.approx(44 / 52)
    assert ratios["fp32"]["large_over_v2"]["paper"] == pytest.approx(51 / 64)
    assert ratios["int8"]["efficientnet_b0_over_large"] == {"median": 1.0, "q1": 1.0, "q3": 1.0}


def test_random_networks_have_settled_statistics() -> None:
    networks = networks_of(TINY["small"])
    stem = networks["fp32"].stem
    images = torch.cat([image(32, seed=seed) for seed in range(8)])
    channels = stem.norm(stem.conv(images)).transpose(0, 1).flatten(1)
    torch.testing.assert_close(channels.mean(1), torch.zeros(8), atol=1e-5, rtol=0)
    assert stem.norm.momentum == small_network().stem.norm.momentum
    assert not any(module.training for module in networks["fp32"].modules())
    assert networks is networks_of(TINY["small"])  # quantised once for all runtimes


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_both_precisions_are_timed_and_written(tmp_path: Path, runtime: str) -> None:
    out = tmp_path / f"precision-latency-{runtime}.json"
    groups = {"networks": PrecisionGroup(TINY, PAIR)}
    run = record_precision_latency.record(out, runtime=runtime, rounds=2, groups=groups)
    assert run == read_run(out.stem, path=out)
    assert f"record_precision_latency --runtime {runtime} --threads 1" in run.command
    metrics = run.metrics["networks"]
    assert {*metrics["ms"]["small"]} == {"fp32", "int8"}
    assert {*metrics["bytes"]["small"]} == {"fp32", "int8"}
    noise = metrics["snr_db"]["small"]
    assert noise["fp32"] > 80 > noise["int8"] > 20
    assert metrics["ratios"]["int8_over_fp32"]["small"]["paper"] == pytest.approx(15.5 / 15.8)
    same = {"median": 1.0, "q1": 1.0, "q3": 1.0, "paper": 1.0}
    assert metrics["ratios"]["int8"] == {"small_over_itself": same}


def test_tensors_are_counted_by_hand() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1)).eval()
    assert precision_programs._tensor_bytes(network) == 4 * (12 + 4)
    quantised = quantise_network(network, [image(32)])
    # weights in 1 byte, four scales in 4 and zero points in 8, four biases in 4
    assert precision_programs._tensor_bytes(quantised) == 12 + 4 * (4 + 8) + 4 * 4


def test_wrong_program_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = BoundCall(lambda: torch.zeros(1, 4), torch.zeros(1))
    monkeypatch.setattr(record_precision_latency, "make_program", lambda *_, **__: (wrong, 1))
    group = PrecisionGroup(TINY, PAIR)
    with pytest.raises(WrongOutputError, match=r"small in fp32 is 0\.0 dB from its float network"):
        record_precision_latency.measure_group(group, runtime="onnxruntime", rounds=1)


@pytest.mark.parametrize(
    ("runtime", "float_layer", "int8_layer"),
    [("onnxruntime", "Conv", "QLinearConv"), ("eager", None, "onednn::qconv_pointwise")],
)
def test_operators_of_both_precisions_are_profiled(
    tmp_path: Path, runtime: str, float_layer: str | None, int8_layer: str
) -> None:
    if runtime == "eager" and not has_int8_instructions():
        pytest.skip("the processor has no VNNI instructions")
    out = tmp_path / "precision-parts.json"
    options = {"networks": ["small"], "runtimes": [runtime], "runs": 2, "cases": TINY}
    run = record_precision_parts.record(out, **options)
    assert run == read_run(out.stem, path=out)
    parts = run.metrics["small"][runtime]
    calls = {p: {part["operator"]: part["calls"] for part in parts[p]} for p in ("fp32", "int8")}
    assert calls["int8"][int8_layer] == 6  # stem, block and its gate
    assert float_layer is None or calls["fp32"][float_layer] == 6
    assert sum(part["share"] for part in parts["int8"]) == pytest.approx(1, abs=1e-3)
    if runtime == "onnxruntime":
        assert parts["layers"][0]["layer"] == "stem.conv"
        assert all(layer[p]["own_ms"] > 0 for layer in parts["layers"] for p in calls)


def test_recording_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = ["--out", str(tmp_path / "run.json")]
    assert record_precision_latency.main(["--runtime", "tflite", *out]) == 2
    assert "record_precision_latency: unknown runtime 'tflite'" in capsys.readouterr().err
    assert record_precision_parts.main(["--runtimes", "executorch", *out]) == 2
    assert "unknown runtime 'executorch': choose some of eager, onnx" in capsys.readouterr().err
    assert record_precision_parts.main(["--networks", "resnet", *out]) == 2
    assert "unknown network 'resnet'" in capsys.readouterr().err
