"""Detection as a task of the training loop: batches, losses, and a detector that learns."""

import json

import pytest
import torch
from PIL import Image

from mnv3lib.data.base import generator_for
from mnv3lib.data.box_batch import collate_boxes
from mnv3lib.data.box_views import BoxView
from mnv3lib.data.coco import BoxFiles
from mnv3lib.data.scenes import EmojiScenes
from mnv3lib.data.viewed import Viewed
from mnv3lib.train import load_recipe, recipe_names, train
from mnv3lib.train.detection import Detection
from mnv3lib.train.recipe import Recipe
from mnv3lib.train.recipe_files import RecipeError, parse_recipe
from mnv3lib.train.run import evaluate_trained, load_trained

FEW = ("drink", "food-fruit", "transport-ground")
TINY = {
    "source": "a test",
    "task": "detection",
    "model": {
        "name": "mobilenet_v3_small",
        "width_mult": 0.35,
        "tail": "dagger",
        "removed_strides": 1,
        "bn_momentum": 0.1,
    },
    "head": {"kind": "ssdlite", "scales": [0.25, 0.8], "extra_channels": [32]},
    "data": {
        "name": "emoji-scenes",
        "resolution": 64,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
        "options": {
            "task": "detection",
            "size": [64, 64],
            "count": 8,
            "objects": [1, 2],
            "classes": list(FEW),
        },
    },
    "optimizer": {"name": "adamw", "lr": 5e-3, "clip_norm": 10.0},
    "train": {"epochs": 1, "batch_size": 4, "eval_batch_size": 3},
}


def recipe(**changes: dict) -> Recipe:
    """The tiny recipe with some keys replaced, by section."""
    content = {**TINY}
    for section, values in changes.items():
        content[section] = {**content.get(section, {}), **values}
    return parse_recipe(content)


def batch(task: Detection, *, count: int = 4) -> tuple:
    images = task.load(recipe().data, "train", train=True, seed=0, root=None)
    return images.collate([images[index] for index in range(count)])


# --- batches -----------------------------------------------------------------------------------


def test_flips_move_the_boxes():
    task = Detection(recipe(augment={"flip": 1.0}), FEW)
    images, targets = batch(task)
    floats, flipped = task.prepare_training(images, targets)
    expected = (images.flip(-1).float() / 255 - 0.5) / 0.25
    assert torch.allclose(floats, expected, atol=1e-6)
    back = flipped.flipped(torch.ones(4, dtype=torch.bool), 64)
    assert torch.equal(back.boxes, targets.boxes)
    assert not torch.equal(flipped.boxes, targets.boxes)


def test_half_of_the_images_are_flipped_with_their_boxes():
    task = Detection(recipe(augment={"flip": 0.5}), FEW)
    images, targets = batch(task, count=8)
    torch.manual_seed(2)
    floats, flipped = task.prepare_training(images, targets)
    plain = task.prepare_evaluation(images)
    moved = [not torch.equal(a, b) for a, b in zip(floats, plain, strict=True)]
    assert 0 < sum(moved) < 8
    boxes = zip(flipped.boxes, targets.boxes, strict=True)
    assert moved == [not torch.equal(a, b) for a, b in boxes]


def test_loss_of_crowds_and_of_images_without_objects():
    task = Detection(recipe(), FEW)
    images, targets = batch(task)
    network = task.build_network(generator_for(0)).eval()
    outputs = network(task.prepare_evaluation(images))
    crowds = collate_boxes(
        [
            {
                "boxes": own,
                "labels": labels,
                "crowd": torch.ones_like(labels, dtype=torch.bool),
                "image_id": number,
                "size": (64, 64),
            }
            for number, (own, labels) in enumerate(targets.objects(k) for k in range(4))
        ]
    )
    none = collate_boxes(
        [
            {
                "boxes": torch.zeros(0, 4),
                "labels": torch.zeros(0, dtype=torch.int64),
                "crowd": torch.zeros(0, dtype=torch.bool),
                "image_id": number,
                "size": (64, 64),
            }
            for number in range(4)
        ]
    )
    assert task.loss(outputs, crowds) == task.loss(outputs, none)
    assert task.loss(outputs, targets) != task.loss(outputs, none)


def test_every_weight_learns():
    task = Detection(recipe(), FEW)
    images, targets = batch(task)
    network = task.build_network(generator_for(0))
    task.loss(network(task.prepare_evaluation(images)), targets).backward()
    without = [name for name, weight in network.named_parameters() if weight.grad is None]
    assert without == []


# --- learning ----------------------------------------------------------------------------------


def test_eight_scenes_are_learned_by_heart():
    chosen = recipe(
        train={"epochs": 60, "batch_size": 8, "eval_every": 60},
        schedule={"name": "cosine", "warmup_epochs": 3},
    )
    scenes = EmojiScenes("train", size=(64, 64), count=8, objects=(1, 2), classes=FEW)
    images = Viewed(scenes, BoxView(64), collate_targets=collate_boxes)
    trained = train(chosen, images=(images, images))
    assert trained.metrics["map50"] > 0.9
    assert trained.history[-1]["loss"] < 0.1 * trained.history[0]["loss"]


def test_a_run_is_kept_and_measured_again(tmp_path):
    trained = train(recipe(), out=tmp_path)
    again = evaluate_trained(load_trained(tmp_path / "weights.safetensors"))
    assert again.metrics == pytest.approx(trained.metrics)
    run = json.loads((tmp_path / "run.json").read_text())["metrics"]
    assert run["classes"] == list(FEW)
    assert {"summary", "average_precision", "precision"} <= set(run)
    assert [len(run[key]) for key in ("summary", "average_precision", "precision")] == [12, 3, 3]


@pytest.mark.parametrize("loss", ["focal", "hard_negatives"])
@pytest.mark.parametrize("anchors", ["tf", "torchvision"])
def test_losses_and_layouts_run(loss, anchors):
    trained = train(recipe(head={"loss": loss, "anchors": anchors}, data={"crop_area": [0.3, 1.0]}))
    assert trained.metrics["images"] == 8


def test_the_size_of_evaluation_batches_does_not_matter():
    numbers = [train(recipe(train={"eval_batch_size": size})).metrics for size in (1, 8)]
    assert numbers[0] == pytest.approx(numbers[1], abs=1e-3)


# --- recipes of a cluster ----------------------------------------------------------------------


def write_coco(root) -> None:
    """Writes COCO's layout: four images a split, of odd pixel formats too, one without a box."""
    folder = root / "coco"
    modes = ("RGB", "L", "RGBA", "RGB")
    (folder / "annotations").mkdir(parents=True)
    for split in ("train", "val"):
        images, boxes = [], []
        (folder / f"{split}2017").mkdir()
        for number, mode in enumerate(modes, start=1):
            name = f"{number:012d}.png"
            Image.new(mode, (96, 64 + number)).save(folder / f"{split}2017" / name)
            size = {"width": 96, "height": 64 + number}
            images.append({"id": number, "file_name": name, **size})
            if number < 4:
                box = {"image_id": number, "bbox": [10, 5, 50, 40], "iscrowd": int(number == 3)}
                boxes.append({"id": number, "category_id": (1, 90)[number % 2], **box})
        content = {"images": images, "annotations": boxes}
        content["categories"] = [{"id": 1, "name": "person"}, {"id": 90, "name": "toothbrush"}]
        file = folder / "annotations" / f"instances_{split}2017.json"
        file.write_text(json.dumps(content))


@pytest.mark.parametrize("name", [n for n in recipe_names() if n.startswith("coco/")])
def test_dry_run(name, tmp_path):
    write_coco(tmp_path)
    chosen = load_recipe(
        name,
        # Small pictures and batches; all else is the recipe's own.
        data={"resolution": 64, "workers": 0},
        train={"epochs": 1, "batch_size": 4, "micro_batches": 2},
    )
    trained = train(chosen, name="coco", out=tmp_path / "run", root=str(tmp_path))
    assert (trained.metrics["images"], trained.metrics["boxes"]) == (4, 2)
    assert trained.classes == ("person", "toothbrush")


def test_full_scale_recipes_are_those_of_the_papers():
    heads = [name.removeprefix("coco/ssdlite_") for name in recipe_names() if "coco/" in name]
    mobiledets = [f"mobiledet_{device}" for device in ("cpu", "dsp", "edgetpu", "gpu")]
    assert heads == [*mobiledets, "mobilenet_v3_large_tf", "mobilenet_v3_large_torchvision"]


# --- mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("augment", "pad_crop", 4),
        ("augment", "mixup", 0.2),
        ("augment", "policy", "rand_augment"),
        ("augment", "erase", 0.1),
        ("data", "eval_resize", 80),
        ("data", "interpolation", "bicubic"),
        ("train", "label_smoothing", 0.1),
    ],
)
def test_keys_without_a_meaning_are_refused(section, key, value):
    with pytest.raises(ValueError, match=rf"{section}\.{key}.*means nothing for detection"):
        Detection(recipe(**{section: {key: value}}), FEW)


def test_other_tasks_and_heads_are_refused():
    with pytest.raises(RecipeError, match=r"head\.kind must be one of ssdlite for detection"):
        parse_recipe({**TINY, "head": {"kind": "lr_aspp"}})
    data = recipe(data={"name": "emoji", "options": {}}).data
    with pytest.raises(ValueError, match="emoji is for classification: it has no boxes"):
        Detection.load(data, "train", train=True, seed=0, root=None)


def _files(tmp_path, **annotation) -> BoxFiles:
    Image.new("RGB", (96, 64)).save(tmp_path / "a.png")
    row = {"id": 1, "image_id": 5, "category_id": 1, "bbox": [10, 5, 50, 40], **annotation}
    content = {
        "images": [{"id": 5, "file_name": "a.png", "width": 96, "height": 64}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [row],
    }
    return BoxFiles(content, tmp_path, name="own", title="own")


def test_boxes_outside_of_their_image_stop_the_training(tmp_path):
    files = _files(tmp_path, bbox=[200, 5, 20, 20])
    images = Viewed(files, BoxView(64), collate_targets=collate_boxes)
    with pytest.raises(ValueError, match=r"image 5: the box .* outside of the image of 96 x 64"):
        train(recipe(train={"batch_size": 1}), images=(images, images))


def test_labels_of_no_class_stop_the_training(tmp_path):
    files = _files(tmp_path)
    files.labels += 3
    images = Viewed(files, BoxView(64), collate_targets=collate_boxes)
    with pytest.raises(ValueError, match="labels must be 0 to 0, got 3 to 3"):
        train(recipe(train={"batch_size": 1}), images=(images, images))
    with pytest.raises(ValueError, match="category 7"):
        _files(tmp_path, category_id=7)
