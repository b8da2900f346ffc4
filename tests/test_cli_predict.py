"""``mnv3 predict``: an answer for each task, its picture, and what is refused."""

import json

import pytest
from PIL import Image
from typer.testing import CliRunner

from mnv3lib.cli import app
from tiny_predictors import RECIPES, train_tiny, write_scene

WORDS = {"classification": "classify", "detection": "detect", "segmentation": "segment"}


def mnv3(*words):
    """Runs the command in this process."""
    return CliRunner().invoke(app, list(map(str, words)))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights of a finished run, by task."""
    folder = tmp_path_factory.mktemp("runs")
    for task in RECIPES:
        train_tiny(task, folder / task)
    return {task: folder / task / "weights.safetensors" for task in RECIPES}


@pytest.fixture
def scene(tmp_path):
    return write_scene(tmp_path / "scene.png")


@pytest.mark.parametrize("task", WORDS)
def test_every_task_has_an_answer_and_a_picture(task, weights, scene, tmp_path):
    out = tmp_path / "new" / "picture.png"  # missing folders are made, as for runs
    words = ["predict", scene, "--task", WORDS[task], "--weights", weights[task]]
    result = mnv3(*words, "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{task}, 96 x 64 pixels\n")
    with Image.open(out) as picture:
        assert min(picture.size) > 500
    assert [path.name for path in out.parent.iterdir()] == ["picture.png"]


def test_json_needs_no_picture_and_no_task(weights, scene, tmp_path):
    found = {}
    for task, path in weights.items():
        result = mnv3("predict", scene, "--weights", path, "--json")
        assert result.exit_code == 0, result.output
        found[task] = json.loads(result.stdout)
        assert found[task]["task"] == task
    assert len(found["classification"]["classes"]) == 5
    assert found["detection"]["boxes"] == []  # after one step no score is near 0.3
    assert sum(row["share"] for row in found["segmentation"]["classes"]) == pytest.approx(1)
    assert [path.name for path in tmp_path.iterdir()] == ["scene.png"]


def test_top_and_score_choose_what_is_shown(weights, scene):
    words = ["predict", scene, "--json", "--weights"]
    classes = json.loads(mnv3(*words, weights["classification"], "--top", 2).stdout)["classes"]
    assert len(classes) == 2
    boxes = json.loads(mnv3(*words, weights["detection"], "--score", 0).stdout)["boxes"]
    assert boxes
    middle = sorted(box["score"] for box in boxes)[len(boxes) // 2]
    fewer = json.loads(mnv3(*words, weights["detection"], "--score", middle).stdout)["boxes"]
    assert fewer == [box for box in boxes if box["score"] >= middle]


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "1"])
def test_images_with_alpha_or_one_channel_are_read(mode, weights, tmp_path):
    scene = write_scene(tmp_path / "scene.png", mode)
    out = tmp_path / "out.jpg"
    result = mnv3("predict", scene, "--weights", weights["segmentation"], "--out", out)
    assert result.exit_code == 0, result.output
    assert out.exists()


def refused(*words):
    """Runs a command that must fail, and returns its line on the standard error."""
    result = mnv3("predict", *words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("mnv3: ")
    assert len(result.stderr.splitlines()) == 1
    return result.stderr


def test_no_image_is_refused(weights, tmp_path):
    use = ["--weights", weights["detection"]]
    assert "no image" in refused(tmp_path / "none.png", *use)
    assert "no image" in refused(tmp_path / "none" / "none.png", *use)
    assert "no image" in refused(tmp_path, *use)
    corrupt = tmp_path / "corrupt.jpg"
    corrupt.write_bytes(b"\xff\xd8\xff no picture")
    assert "cannot decode the image" in refused(corrupt, *use)


def test_no_weights_are_refused(weights, scene, tmp_path):
    assert "none.safetensors" in refused(scene, "--weights", tmp_path / "none.safetensors")
    assert "is not a checkpoint" in refused(scene, "--weights", scene)
    unfinished = weights["detection"].with_name("checkpoint.safetensors")
    assert "expected the weights.safetensors" in refused(scene, "--weights", unfinished)


def test_another_task_is_refused(weights, scene):
    use = [scene, "--weights", weights["detection"]]
    assert "is for detection: it cannot segment" in refused(*use, "--task", "segment")
    assert "choose one of classify, detect, segment" in refused(*use, "--task", "detection")
    assert "--top is for classification" in refused(*use, "--top", 3)
    assert "score must be from 0 to 1, got 30.0" in refused(*use, "--score", 30)
    assert "--score is for detection" in refused(
        scene, "--weights", weights["segmentation"], "--score", 0.5
    )
    assert "at least 1 class" in refused(scene, "--weights", weights["classification"], "--top", 0)


def test_a_picture_that_cannot_be_written_is_refused(weights, scene, tmp_path):
    use = [scene, "--weights", weights["classification"], "--out"]
    assert "unknown picture format '.bmp'" in refused(*use, tmp_path / "a.bmp")
    assert "unknown picture format ''" in refused(*use, tmp_path)
    before = scene.read_bytes()
    assert "would replace the image" in refused(*use, scene)
    assert scene.read_bytes() == before
    (tmp_path / "file").write_text("no folder")
    assert "file" in refused(*use, tmp_path / "file" / "a.png")


def test_help_names_the_options():
    result = mnv3("predict", "--help")
    assert result.exit_code == 0
    assert all(f"--{name}" in result.stdout for name in ("task", "weights", "out", "top", "json"))
