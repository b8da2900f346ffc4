"""``mnv3 train``, ``evaluate``, ``recipes``, ``study`` and ``data``: what they print and refuse."""

import json

import pytest
from typer.testing import CliRunner

from mnv3lib.cli import app
from mnv3lib.data import list_datasets
from mnv3lib.train import recipe_names
from mnv3lib.train.recipe_files import RecipeError, parse_changes
from tiny_training import write_images, write_recipe


def mnv3(*words):
    """Runs the command in this process."""
    return CliRunner().invoke(app, list(map(str, words)))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run: its recipe, the folder of the data, its own folder, and what was printed."""
    folder = tmp_path_factory.mktemp("run")
    recipe, root = write_recipe(folder), write_images(folder)
    words = ["train", "--recipe", recipe, "--root", root, "--out", folder / "out", "--json"]
    result = mnv3(*words, "--set", "train.epochs=2", "--set", "model.dropout=0.1")
    assert result.exit_code == 0, result.stderr
    return recipe, root, folder / "out", result


def test_train_tells_epochs_and_leaves_three_files(run):
    _, _, out, result = run
    printed = json.loads(result.stdout)
    assert printed["recipe"]["train"]["epochs"] == 2
    assert printed["recipe"]["model"]["dropout"] == 0.1
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == ["epoch 1", "epoch 2"]
    names = {"checkpoint.safetensors", "weights.safetensors", "run.json"}
    assert {path.name for path in out.iterdir()} == names
    recorded = json.loads((out / "run.json").read_text())
    assert recorded["command"] == (
        "mnv3 train --recipe tiny --seed 0 --set train.epochs=2 --set model.dropout=0.1"
    )


def test_evaluate_finds_the_same_numbers(run):
    _, root, out, result = run
    again = mnv3("evaluate", out / "weights.safetensors", "--root", root, "--json")
    assert again.exit_code == 0, again.stderr
    trained, evaluated = json.loads(result.stdout), json.loads(again.stdout)
    assert evaluated == trained
    text = mnv3("evaluate", out / "weights.safetensors", "--root", root, "--split", "train")
    assert "mobilenet_v3_small on imagenet, 32 px, 2 classes" in text.stdout
    assert "24" in next(line for line in text.stdout.splitlines() if line.startswith("images"))


def test_recipes_lists_what_is_shipped():
    result = mnv3("recipes")
    assert result.exit_code == 0
    assert all(name in result.stdout for name in recipe_names())
    assert set(json.loads(mnv3("recipes", "--json").stdout)) == set(recipe_names())


def test_data_list_shows_every_set(tmp_path):
    result = mnv3("data", "list", "--root", tmp_path)
    assert result.exit_code == 0
    rows = json.loads(mnv3("data", "list", "--root", tmp_path, "--json").stdout)
    assert [row["name"] for row in rows] == list_datasets()
    assert all(name in result.stdout for name in list_datasets())


def test_data_check_reports_and_fails_on_damage(tmp_path):
    root = write_images(tmp_path)
    result = mnv3("data", "check", "imagenet", "--root", root)
    assert result.exit_code == 0, result.output
    assert "train: 24 images" in result.stdout
    assert result.stdout.splitlines()[-1] == "all is well"
    broken = next(root.rglob("val/*/*.JPEG"))
    broken.write_bytes(b"no picture")
    result = mnv3("data", "check", "imagenet", "--root", root)
    assert result.exit_code == 1
    assert broken.name in result.stdout


BAD = {
    "no such recipe": (["train", "--recipe", "emoji/mobilenet_v4"], "no recipe"),
    "no such key": (
        ["train", "--recipe", "cifar10/mobilenet_v3_small", "--set", "train.epoch=1"],
        "train.epoch is no key",
    ),
    "no such section": (
        ["train", "--recipe", "cifar10/mobilenet_v3_small", "--set", "training.epochs=1"],
        "training is no key",
    ),
    "no change": (
        ["train", "--recipe", "cifar10/mobilenet_v3_small", "--set", "epochs"],
        "section.key=value",
    ),
    "no data": (
        ["train", "--recipe", "cifar10/mobilenet_v3_small", "--root", "nowhere"],
        "nowhere",
    ),
    "no weights": (["evaluate", "weights.safetensors"], "there is nothing to resume or evaluate"),
    "no study": (["study", "cifar10-whole", "--work", "work"], "no study"),
    "no data set": (["data", "check", "cifar"], "did you mean cifar10"),
    "nothing to fetch": (["data", "download", "imagenet"], "imagenet"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_status_2(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MNV3_DATA", raising=False)
    words, text = BAD[case]
    result = mnv3(*words)
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("mnv3: ")
    assert text in result.stderr


def test_a_second_run_in_the_same_folder_is_refused(run):
    recipe, root, out, _ = run
    result = mnv3("train", "--recipe", recipe, "--root", root, "--out", out)
    assert result.exit_code == 2
    assert "already holds a run" in result.stderr


def test_changes_are_read_as_toml():
    texts = ["train.epochs=2", "data.crop_area=[0.5, 1.0]", "model.name=mobilenet_v2"]
    assert parse_changes([*texts, "train.ema_decay=0.9", "optimizer.nesterov=true"]) == {
        "train": {"epochs": 2, "ema_decay": 0.9},
        "data": {"crop_area": [0.5, 1.0]},
        "model": {"name": "mobilenet_v2"},
        "optimizer": {"nesterov": True},
    }
    with pytest.raises(RecipeError, match=r"section\.key=value"):
        parse_changes(["epochs=2"])
