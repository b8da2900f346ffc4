"""The recorder of throughput: what it writes, what it compares, what it refuses."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mnv3lib.ledger import record_throughput
from mnv3lib.ledger.record_throughput import FORMS, NETWORKS, PAIRS, measure_set, record
from mnv3lib.models import create_model
from mnv3lib.runs import read_run

MINI, SPLIT = "efficientvit_mini", "efficientvit_mini_split"
PROTOCOL = {"threads": 1, "rounds": 2, "seed": 0}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "cache"
    monkeypatch.setenv("MNV3_CACHE", str(folder))
    monkeypatch.setattr(record_throughput, "PAIRS", ((MINI, SPLIT),))
    return folder


def test_a_run_holds_speeds_ratios_and_operators(tmp_path: Path) -> None:
    out = tmp_path / "throughput.json"
    options = {"networks": [MINI, SPLIT], "runtimes": ["eager"], "batches": [1, 2], "rounds": 2}
    record(out, **options)
    run = read_run("throughput", path=out)
    assert set(run.metrics["eager"]) == {"batch 1", "batch 2"}
    timed = run.metrics["eager"]["batch 2"]
    assert set(timed["images_per_s"]) == {f"{n} {f}" for n in (MINI, SPLIT) for f in FORMS}
    assert set(timed["ratios"]) == {
        f"{MINI} deployed over {SPLIT} deployed",
        f"{MINI} folded over {SPLIT} folded",
        f"{MINI} folded over {SPLIT} plain",
        f"{MINI} plain over {SPLIT} plain",
        *(
            f"{name} {f} over {name} plain"
            for name in (MINI, SPLIT)
            for f in ("folded", "deployed")
        ),
    }
    kinds = run.metrics["operators"]["eager"][MINI]
    assert sum(kind["share"] for kind in kinds) == pytest.approx(1, abs=1e-3)
    assert "--batches 1 2" in run.command


def test_speed_is_images_and_not_calls_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two milliseconds for the one and four for the other, for three images each."""
    times = {f"{MINI} plain": [2.0, 2.0], f"{SPLIT} plain": [4.0, 4.0]}

    def clock(steps: dict, **options: int) -> dict[str, list[float]]:
        return {name: times.get(name, [1.0, 1.0]) for name in steps}

    monkeypatch.setattr(record_throughput, "interleave", clock)
    timed = measure_set("eager", 3, [MINI, SPLIT], PROTOCOL)
    assert timed["images_per_s"][f"{MINI} plain"]["median"] == 1500
    assert timed["images_per_s"][f"{SPLIT} plain"]["median"] == 750
    assert timed["ratios"][f"{MINI} plain over {SPLIT} plain"]["median"] == 2
    assert timed["ratios"][f"{SPLIT} folded over {SPLIT} plain"]["median"] == 4


def test_onnxruntime_gets_the_folded_network() -> None:
    timed = measure_set("onnxruntime", 2, [MINI], PROTOCOL)
    assert list(timed["images_per_s"]) == [f"{MINI} folded"]


def test_nothing_that_is_timed_is_zero() -> None:
    network = record_throughput._build(MINI, seed=0)
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(norm.weight.abs().min() > 0 for norm in norms)


def test_the_networks_and_pairs_are_there() -> None:
    assert set(NETWORKS) >= {name for pair in PAIRS for name in pair}
    assert {create_model(name).resolution for name in NETWORKS[-3:]} == {224, 256}


def test_what_it_refuses(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown runtime 'tflite'"):
        record(tmp_path / "run.json", runtimes=["tflite"])
    with pytest.raises(ValueError, match="a batch has at least 1 image, got 0"):
        measure_set("eager", 0, [MINI], PROTOCOL)
