"""``mnv3 export`` and ``mnv3 latency`` with files: what they print, and how they refuse."""

import json

import pytest
from typer.testing import CliRunner

from mnv3lib.cli import app
from mnv3lib.measure.program_file import card_path
from tiny_programs import about, write_tiny

pytest.importorskip("onnxruntime", reason="needs the extra 'deploy'")

SMALL = "mobilenet_v3_small"
QUICK = ["--width", "0.35", "--classes", "5", "--resolution", "32"]


def mnv3(*words):
    """Runs the command in this process."""
    return CliRunner().invoke(app, list(map(str, words)))


def refused(*words):
    """Runs a command that must fail, and returns its line on the standard error."""
    result = mnv3(*words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("mnv3: ")
    assert len(result.stderr.splitlines()) == 1
    return result.stderr


@pytest.fixture
def file(tmp_path):
    write_tiny(tmp_path / "tiny.onnx")
    return tmp_path / "tiny.onnx"


def test_export_prints_the_card(tmp_path):
    out = tmp_path / "small.onnx"
    result = mnv3("export", SMALL, *QUICK, "--to", "onnx", "--out", out)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == f"small.onnx: onnx, fp32, {out.stat().st_size:,} bytes"
    told = {line.split("  ")[0]: line for line in lines[2:]}
    assert "random, seed 0" in told["weights"]
    assert "float32 NCHW, RGB, 32 x 32 px; mean 0.485, 0.456, 0.406; std" in told["input"]
    assert told["output"].endswith("float32 [1, 5]: logits of the classes")
    assert "same class for 100% (16 x noise)" in told["agreement"]
    assert not {"classes", "calibration", "this file", "float network"} & {*told}

    timed = mnv3("latency", out, "--rounds", "2")
    assert timed.exit_code == 0, timed.output
    assert timed.stdout.startswith("onnxruntime, 1 thread, 32 px, batch 1: ")


def test_the_json_is_the_card_in_the_file(tmp_path):
    pytest.importorskip("torchao", reason="needs the extra 'deploy'")
    out = tmp_path / "int8.onnx"
    how = ["--precision", "int8", "--calibrate", "emoji", "--images", "4"]
    result = mnv3("export", "mobilenet_v1", *QUICK, "--to", "onnx", *how, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert data.pop("file") == "int8.onnx"
    assert data == json.loads(card_path(out).read_text())
    assert data["calibration"] == {"data": "emoji", "images": 4, "rule": "min_max"}


def test_export_refuses_in_one_line(tmp_path):
    use = ["export", SMALL, *QUICK, "--to", "onnx", "--out", tmp_path / "a.onnx"]
    assert "--calibrate names a data set" in refused(*use, "--precision", "int8")
    assert "unknown data set 'emojy'" in refused(*use, "--calibrate", "emojy")
    assert "none.pth" in refused(*use, "--weights", tmp_path / "none.pth")
    assert "choose one of onnx, executorch" in refused(*use[:-4], "--to", "tf", *use[-2:])
    assert "did you mean" in refused("export", "mobilenet_v4", *use[2:])
    assert list(tmp_path.iterdir()) == []


def test_latency_of_files_as_json(file):
    twin = file.with_name("twin.onnx")
    write_tiny(twin)
    result = mnv3("latency", file, twin, "--rounds", "3", "--json")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert (data["ratio_to"], data["resolution"]) == ("tiny.onnx", 32)
    assert [len(times) for times in data["samples_ms"].values()] == [3, 3]


def test_latency_refuses_what_a_file_has_decided(file, tmp_path):
    assert "give networks or files" in refused("latency", file, SMALL)
    assert "--resolution does not go with files" in refused("latency", file, "--resolution", "32")
    assert "--runtime does not go with files" in refused("latency", file, "--runtime", "executorch")
    assert "no file" in refused("latency", tmp_path / "none.onnx")
    file.write_bytes(b"damaged")
    assert "damaged or was replaced" in refused("latency", file)


def test_latency_on_a_phone_says_what_is_missing(tmp_path, monkeypatch):
    from mnv3lib.compress.card import write_program

    file, runner = tmp_path / "net.pte", tmp_path / "executor_runner"
    write_program(file, b"for a phone", **about())
    runner.write_bytes(b"for a phone")
    monkeypatch.setenv("PATH", str(tmp_path))
    use = ["latency", file, "--device", "adb"]
    assert "needs --runner" in refused(*use)
    assert "no adb on the path" in refused(*use, "--runner", runner)
    assert "--seconds does not go with" in refused(*use, "--runner", runner, "--seconds", "1")
    assert "--runner is for --device adb" in refused("latency", file, "--runner", runner)
    assert "unknown device 'usb'" in refused("latency", file, "--device", "usb")
    assert "give networks or files" in refused("latency", SMALL, "--device", "adb")
