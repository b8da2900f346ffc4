"""Trained weights through the torchvision layout: right answers, and what the padding costs."""

import csv
import json
import os
from pathlib import Path

import pytest
import torch
from PIL import Image

from mnv3lib import create_model, export_weights
from mnv3lib.ledger import pretrained_check
from mnv3lib.ledger.pretrained_check import (
    DATA_VARIABLE,
    SETTINGS,
    WEIGHTS,
    Setting,
    classify,
    compare_settings,
    data_folder,
    main,
    read_photographs,
)

DATA = Path(os.environ.get(DATA_VARIABLE, ""))


@pytest.fixture
def photographs(tmp_path):
    """Five images of 40 x 36 pixels, each of one colour with one white pixel at the top left."""
    (tmp_path / "images").mkdir()
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["index", "wnid", "name"])
        for index in range(5):
            image = Image.new("RGB", (40, 36), (51 * index, 0, 255))
            image.save(tmp_path / "images" / f"n{index}.jpg")
            writer.writerow([index, f"n{index}", "a colour"])
    return tmp_path


def test_every_fourth_photograph_is_read_and_cropped(photographs):
    images, labels = read_photographs(photographs, 32)
    assert images.shape == (2, 3, 32, 32)
    assert labels.tolist() == [0, 4]


def test_pixels_are_scaled_to_plus_minus_one(photographs):
    images, _ = read_photographs(photographs, 32)
    red, green, blue = images[0].mean((1, 2)).tolist()
    assert red == pytest.approx(-1, abs=0.03)  # JPEG is lossy
    assert green == pytest.approx(-1, abs=0.03)
    assert blue == pytest.approx(1, abs=0.03)


def test_crop_is_from_the_centre(tmp_path):
    image = Image.new("RGB", (34, 36))
    image.putpixel((1, 2), (255, 255, 255))  # (34 - 32) / 2, (36 - 32) / 2
    image.save(tmp_path / "point.png")
    crop = pretrained_check._centre_crop(tmp_path / "point.png", 32)
    assert crop[:, 0, 0].tolist() == [1, 1, 1]
    assert crop.sum() == 3 - (32 * 32 - 1) * 3


def test_settings_are_compared_with_the_first(photographs, tmp_path):
    weights = tmp_path / "weights.pt"
    generator = torch.Generator().manual_seed(0)
    model = create_model("mobilenet_v2", generator=generator)
    torch.save(export_weights(model, layout="torchvision"), weights)
    settings = (Setting("a", resolution=32), Setting("b", resolution=32))
    results = compare_settings(photographs, weights, settings)
    assert list(results) == ["a", "b"]
    assert results["b"]["changed"] == 0
    assert results["a"]["images"] == 2
    assert results["a"]["correct"] == results["b"]["correct"]


def test_photograph_smaller_than_the_crop(photographs):
    with pytest.raises(ValueError, match="smaller than a crop of 64 pixels"):
        read_photographs(photographs, 64)


def test_folder_without_labels(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no labels\.csv"):
        read_photographs(tmp_path, 32)


def test_variable_is_not_set(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    with pytest.raises(FileNotFoundError, match="MNV3_DATA is not set"):
        data_folder()
    assert main(["--out", str(tmp_path / "run.json")]) == 2
    assert "MNV3_DATA is not set" in capsys.readouterr().err


def test_command_writes_a_run(monkeypatch, tmp_path, capsys):
    made = {"as_trained": {"images": 2, "correct": 1, "changed": 0}}
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    monkeypatch.setattr(pretrained_check, "compare_settings", lambda folder, weights: made)
    out = tmp_path / "some-run.json"
    assert main(["--out", str(out)]) == 0
    run = json.loads(out.read_text())
    assert run["metrics"] == made
    assert run["config"]["weights"] == WEIGHTS.name
    assert str(tmp_path) not in out.read_text()
    assert "as_trained: 1 of 2" in capsys.readouterr().out


@pytest.mark.skipif(
    not (DATA / "imagenet-sample").is_dir() or not (DATA.parent / WEIGHTS).is_file(),
    reason=f"{DATA_VARIABLE} names no folder with imagenet-sample/ and ../{WEIGHTS}",
)
@pytest.mark.parametrize(("setting", "right"), [(SETTINGS[0], 217), (SETTINGS[1], 196)])
def test_trained_weights_classify_photographs(setting, right):
    state = pretrained_check.read_checkpoint(DATA.parent / WEIGHTS)
    images, labels = read_photographs(DATA / "imagenet-sample", setting.resolution)
    answers = classify(images, state, setting)
    assert len(labels) == 250
    assert int((answers == labels).sum()) == right
