"""Predictors: the pixels of an evaluation, the answer in the pixels of the image, odd files."""

import numpy as np
import pytest
import torch
from PIL import Image

from mnv3lib.data import generator_for, load_dataset
from mnv3lib.heads.detections import Detections
from mnv3lib.train import Trained
from mnv3lib.train.checkpoint import CheckpointError, write_checkpoint
from mnv3lib.train.predict import Predictor, load_predictor, read_picture
from mnv3lib.train.predictions import BoxPrediction, ClassPrediction, MaskPrediction
from mnv3lib.train.recipe_files import parse_recipe
from mnv3lib.train.task_kinds import TASKS
from tiny_predictors import COMMON, RECIPES, write_scene
from tiny_training import write_images


def fresh(task, classes, **data):
    """A task and an untrained network of it."""
    content = {**COMMON, **RECIPES[task]}
    content["data"] = {**content["data"], **data}
    recipe = parse_recipe({**content, "task": task})
    own = TASKS[task](recipe, classes)
    network = own.build_network(generator_for(0)).eval()
    return own, Trained(network, recipe, tuple(classes), {})


def scenes(task):
    """Name and options of the scenes as the tiny recipe has them."""
    data = RECIPES[task]["data"]
    return load_dataset(data["name"], "test", **data["options"])


def as_picture(pixels):
    return Image.fromarray(pixels.permute(1, 2, 0).numpy())


@torch.no_grad()
def outputs(own, trained, image):
    inputs = own.prepare_evaluation(image[None])
    return trained.network(inputs.contiguous(memory_format=torch.channels_last)).float()


# --- the pixels of an evaluation -----------------------------------------------------------------


@pytest.mark.parametrize("interpolation", ["bilinear", "random"])
def test_classes_are_those_of_an_evaluation(tmp_path, interpolation):
    root = write_images(tmp_path, images=2, side=50)
    data = {"name": "imagenet", "eval_resize": 36, "interpolation": interpolation}
    own, trained = fresh("classification", ("fish", "bird", "cat"), **data)
    dataset = own.load(trained.recipe.data, "val", train=False, seed=0, root=str(root))
    expected = outputs(own, trained, dataset[0][0]).softmax(1)[0]
    found = Predictor(trained)(read_picture(dataset.paths[0]))
    assert torch.equal(found.probabilities, expected)
    assert (found.size, found.classes) == ((50, 50), ("fish", "bird", "cat"))


def test_boxes_are_those_of_an_evaluation_in_pixels_of_the_image():
    whole = scenes("detection")
    own, trained = fresh("detection", whole.classes)
    dataset = own.load(trained.recipe.data, "test", train=False, seed=0, root=None)
    (expected,) = own.detect(outputs(own, trained, dataset[1][0]))
    found = Predictor(trained)(as_picture(whole[1][0])).found
    assert len(found) > 10
    assert torch.equal(found.labels, expected.labels)
    assert torch.equal(found.scores, expected.scores)
    # The scene has 96 x 64 pixels, the square that the network saw 64 x 64.
    assert torch.allclose(found.boxes, expected.boxes * torch.tensor([1.5, 1, 1.5, 1]))


def test_label_maps_are_those_of_an_evaluation():
    whole = scenes("segmentation")
    own, trained = fresh("segmentation", whole.classes)
    dataset = own.load(trained.recipe.data, "test", train=False, seed=0, root=None)
    image, mask = dataset[1]
    metrics = own.metrics()
    metrics.update(outputs(own, trained, image), mask[None])
    found = Predictor(trained)(as_picture(whole[1][0]))
    assert found.labels.shape == (64, 96)
    pairs = torch.stack([mask.flatten().long(), found.labels.flatten().long()])
    counted = torch.zeros(4, 4, dtype=torch.int64)
    counted.index_put_(tuple(pairs), torch.tensor(1), accumulate=True)
    assert torch.equal(counted, metrics.confusion)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (640, 33)])
@pytest.mark.parametrize("task", RECIPES)
def test_images_of_any_size_have_an_answer_of_their_size(task, size):
    _, trained = fresh(task, ("a", "b", "c"))
    found = Predictor(trained)(Image.new("RGB", size, "teal"))
    assert (found.task, found.size) == (task, size)
    if task == "segmentation":
        assert found.labels.shape == size[::-1]
    if task == "detection":
        assert (found.found.boxes >= 0).all()
        assert (found.found.boxes <= torch.tensor([*size, *size])).all()


# --- what a prediction can be asked --------------------------------------------------------------


def test_top_takes_the_best_first():
    found = ClassPrediction((2, 2), ("a", "b", "c"), torch.tensor([0.25, 0.25, 0.5]))
    best = found.top(2)
    assert best.classes == ("c", "a")
    assert best.probabilities.tolist() == [0.5, 0.25]
    assert found.top(9).classes == ("c", "a", "b")
    with pytest.raises(ValueError, match="at least 1 class, got 0"):
        found.top(0)


def test_above_keeps_boxes_of_at_least_the_score():
    boxes = torch.arange(12.0).view(3, 4)
    found = Detections(boxes, torch.tensor([0.75, 0.5, 0.25]), torch.tensor([2, 0, 1]))
    kept = BoxPrediction((9, 9), ("a", "b", "c"), found).above(0.5).found
    assert (kept.scores.tolist(), kept.labels.tolist()) == ([0.75, 0.5], [2, 0])
    assert torch.equal(kept.boxes, boxes[:2])
    with pytest.raises(ValueError, match=r"from 0 to 1, got 30"):
        BoxPrediction((9, 9), ("a", "b", "c"), found).above(30)


def test_pixels_counts_the_classes_that_occur():
    labels = torch.tensor([[2, 2, 0], [2, 2, 0]], dtype=torch.uint8)
    assert MaskPrediction((3, 2), ("a", "b", "c"), labels).pixels() == {2: 4, 0: 2}


# --- files ---------------------------------------------------------------------------------------


def test_transparency_is_white_and_grey_is_rgb(tmp_path):
    clear = np.zeros((4, 4, 4), dtype=np.uint8)  # black, and not to be seen
    Image.fromarray(clear).save(tmp_path / "clear.png")
    assert np.array(read_picture(tmp_path / "clear.png")).min() == 255
    Image.fromarray(np.full((4, 4), 7, dtype=np.uint8)).save(tmp_path / "grey.png")
    assert np.array(read_picture(tmp_path / "grey.png")).tolist() == [[[7, 7, 7]] * 4] * 4


def test_an_image_of_another_mode_is_refused():
    _, trained = fresh("classification", ("a", "b"))
    with pytest.raises(ValueError, match="mode 'L', expected RGB"):
        Predictor(trained)(Image.new("L", (32, 32)))


def test_what_is_no_picture_is_refused(tmp_path):
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(FileNotFoundError, match="no image"):
            read_picture(path)
    cut = write_scene(tmp_path / "scene.png")
    cut.write_bytes(cut.read_bytes()[:900])
    with pytest.raises(ValueError, match=r"cannot decode the image .*scene\.png"):
        read_picture(cut)


def weights(path, *, classes=("a", "b", "c"), left_out=None):
    """Writes weights as a run does, for those classes or without a part of what is known."""
    _, trained = fresh("classification", ("a", "b", "c"))
    recipe = trained.recipe.model_dump(mode="json")
    about = {"recipe": recipe, "classes": classes, "metrics": {}}
    about.pop(left_out, None)
    write_checkpoint(path, {"network": trained.network.state_dict()}, about)
    return path


def test_weights_are_read(tmp_path):
    predictor = load_predictor(weights(tmp_path / "weights.safetensors"))
    assert (predictor.task, predictor.classes) == ("classification", ("a", "b", "c"))


def test_what_holds_no_network_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(FileNotFoundError, match=r"w\.safetensors"):
        load_predictor(path)
    path.write_text("no weights")
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load_predictor(path)
    for wrong in ({"classes": ("a", "b")}, {"left_out": "classes"}, {"left_out": "recipe"}):
        with pytest.raises(CheckpointError, match="does not hold a finished network"):
            load_predictor(weights(path, **wrong))
