"""The recorder of exported files: every format and precision, measured in the same way."""

import pytest

from tiny_training import write_images, write_recipe

pytest.importorskip("executorch")

from mnv3lib.ledger import record_deployment
from mnv3lib.train import load_recipe, train


def test_every_format_and_precision_is_measured_and_kept(tmp_path, monkeypatch):
    root = write_images(tmp_path / "data")
    recipe = load_recipe(str(write_recipe(root, epochs="epochs = 1")))
    train(recipe, out=tmp_path / "run", root=str(root))
    options = {
        "network": recipe.model.name,
        "weights": str(tmp_path / "run" / "weights.safetensors"),
        "images": 4,
        "rounds": 2,
        "work": str(tmp_path / "files"),
        "root": str(root),
    }
    run = record_deployment.record(tmp_path / "tiny-deployment.json", **options)
    files = run.metrics["files"]
    assert {to: list(found) for to, found in files.items()} == {
        "onnx": ["fp32", "fp16", "int8"],
        "executorch": ["fp32", "fp16", "int8"],
    }
    for found in files.values():
        assert found["fp32"]["agreement"]["relative"] < 1e-4
        assert found["fp32"]["bytes"] > found["fp16"]["bytes"] > found["int8"]["bytes"]
        assert all(entry["ms"]["median"] > 0 for entry in found.values())
        assert found["fp32"]["metrics"]["top1"] == run.metrics["network"]["top1"]

    def unneeded(*_, **__):
        raise AssertionError("exported again")

    monkeypatch.setattr(record_deployment, "export", unneeded)
    again = record_deployment.record(tmp_path / "tiny-deployment.json", **options)
    assert again.metrics["files"]["onnx"]["int8"]["bytes"] == files["onnx"]["int8"]["bytes"]
