"""The segmentation task: what it does to batches, its loss, and whole trainings."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from mnv3lib.data import DataNotFoundError
from mnv3lib.train import load_recipe, recipe_names, train
from mnv3lib.train.recipe_files import RecipeError, parse_recipe
from mnv3lib.train.run import evaluate_trained, load_trained
from mnv3lib.train.segmentation import Segmentation

EMOJI = "emoji_scenes/segmentation"
NAMES = [name for name in recipe_names() if load_recipe(name).task == "segmentation"]
FEW = {"task": "segmentation", "size": [64, 64], "count": 8, "classes": ["drink", "food-fruit"]}


def task(**changes) -> Segmentation:
    return Segmentation(load_recipe(EMOJI, **changes), ["a", "b", "c"])


def test_names():
    assert [name.split("/")[0] for name in NAMES] == ["camvid"] * 2 + ["cityscapes", "emoji_scenes"]


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_image_and_mask_are_flipped_together(flip):
    images = torch.zeros(2, 3, 4, 6, dtype=torch.uint8)
    images[..., :3] = 255
    masks = (images[:, 0] // 255).clone()
    changed, labels = task(augment={"flip": flip}).prepare_training(images, masks)
    assert torch.equal((changed[:, 0] > 0).to(torch.uint8), labels)
    assert labels[0, 0].tolist() == ([0, 0, 0, 1, 1, 1] if flip else [1, 1, 1, 0, 0, 0])


def test_some_are_flipped():
    images = torch.arange(6, dtype=torch.uint8).expand(40, 3, 2, 6).contiguous()
    torch.manual_seed(0)
    _, labels = task().prepare_training(images, images[:, 0].clone())
    assert 5 < int((labels[:, 0, 0] == 0).sum()) < 35


def test_jitter_changes_images_only():
    images = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
    masks = torch.ones(2, 4, 4, dtype=torch.uint8)
    jittered = task(augment={"flip": 0.0, "jitter": 0.5})
    changed, labels = jittered.prepare_training(images, masks)
    assert not torch.equal(changed, jittered.prepare_evaluation(images))
    assert torch.equal(labels, masks)


def test_loss_leaves_void_out():
    logits = torch.zeros(1, 3, 1, 4)
    logits[0, 1, 0, 0] = math.log(2)  # probabilities 1/4, 1/2, 1/4
    masks = torch.tensor([[[1, 2, 255, 255]]], dtype=torch.uint8)
    assert task().loss(logits, masks).item() == pytest.approx((math.log(2) + math.log(3)) / 2)


def test_loss_of_void_alone_is_zero():
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    loss = task().loss(logits, torch.full((1, 2, 2), 255, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("name", NAMES)
def test_views_of_the_recipes(name):
    data = load_recipe(name).data
    if name == "cityscapes/lr_aspp_paper":
        assert (data.resolution, data.eval_resize) == (769, 1024)
    if name.startswith("camvid"):
        assert data.resolution == (180, 240)
        low, high = data.scale
        assert low < 0.5 < high


def test_studies_of_camvid_differ_in_one_thing():
    """In the head or in the network, and in nothing else."""
    recipes = {name: load_recipe(name) for name in NAMES if name.startswith("camvid")}
    plain = recipes.pop("camvid/lr_aspp_mobilenet_v3_small")
    for other in recipes.values():
        assert (other.model == plain.model) != (other.head == plain.head)
        assert (other.data, other.augment, other.train) == (plain.data, plain.augment, plain.train)
        assert (other.optimizer, other.schedule) == (plain.optimizer, plain.schedule)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"augment": {"cutmix": 1.0}}, "augment.cutmix .* segmentation"),
        ({"augment": {"pad_crop": 4}}, "augment.pad_crop .* segmentation"),
        ({"data": {"crop_area": [0.5, 1.0]}}, "data.crop_area .* segmentation"),
    ],
)
def test_keys_that_mean_nothing(changes, message):
    with pytest.raises(ValueError, match=message):
        task(**changes)


def test_heads_of_another_task():
    content = load_recipe(EMOJI).model_dump(mode="json")
    with pytest.raises(RecipeError, match=r"head.kind must be one of r_aspp, lr_aspp"):
        parse_recipe({**content, "head": {"kind": "ssdlite"}})


def test_data_of_another_task():
    data = load_recipe(EMOJI, data={"name": "emoji", "options": {}}).data
    with pytest.raises(ValueError, match="emoji is for classification: it has no masks"):
        Segmentation.load(data, "train", train=True, seed=0, root=None)


def test_data_that_are_not_there(monkeypatch, tmp_path):
    monkeypatch.delenv("MNV3_DATA", raising=False)
    monkeypatch.setenv("MNV3_CACHE", str(tmp_path))
    data = load_recipe("camvid/lr_aspp_mobilenet_v3_small").data
    with pytest.raises(DataNotFoundError, match=r"CamVid \(train\) was not found"):
        Segmentation.load(data, "train", train=True, seed=0, root=None)


def test_a_tiny_network_learns_eight_scenes():
    """Wiring: image, mask, flip and head agree, or this would not be learnt."""
    recipe = load_recipe(
        EMOJI,
        data={"eval_split": "train", "resolution": 64, "options": FEW},
        train={"epochs": 60, "batch_size": 8, "ema_decay": 0.9, "eval_every": 60},
        schedule={"warmup_epochs": 5},
        optimizer={"lr": 0.01},
    )
    trained = train(recipe)
    assert trained.classes == ("background", "drink", "food-fruit")
    assert trained.metrics["miou"] > 0.8
    assert trained.metrics["images"] == 8
    assert len(trained.details["iou"]) == 3


def test_same_seed_same_run(tmp_path):
    recipe = load_recipe(
        EMOJI,
        data={"resolution": 64, "options": FEW, "scale": [0.7, 1.5]},
        train={"epochs": 2, "batch_size": 4},
    )
    runs = [train(recipe, seed=3, out=tmp_path / str(n)) for n in range(2)]
    assert runs[0].metrics == runs[1].metrics
    again = evaluate_trained(load_trained(tmp_path / "0" / "weights.safetensors"))
    assert again.metrics == pytest.approx(runs[0].metrics, abs=1e-6)
    written = json.loads((tmp_path / "0" / "run.json").read_text())["metrics"]
    assert len(written["confusion"]) == 3


def write_cityscapes(root):
    """Two training images and one to validate on, 64 x 128, half road and half void."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 2), ("val", 1)):
        for number in range(count):
            stem = f"city_{number:06}_000019"
            folder = root / "cityscapes" / "leftImg8bit" / split / "city"
            masks = root / "cityscapes" / "gtFine" / split / "city"
            folder.mkdir(parents=True, exist_ok=True)
            masks.mkdir(parents=True, exist_ok=True)
            pixels = generator.integers(0, 256, (64, 128, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{stem}_leftImg8bit.png")
            labels = np.full((64, 128), 7, dtype=np.uint8)
            labels[:32] = 0
            Image.fromarray(labels).save(masks / f"{stem}_gtFine_labelIds.png")
    return root


def test_cityscapes_dry_run(tmp_path):
    name = "cityscapes/lr_aspp_paper"
    recipe = load_recipe(
        name,
        data={"resolution": 65, "eval_resize": 64, "workers": 0},
        train={"epochs": 1, "batch_size": 2},
    )
    root = write_cityscapes(tmp_path / "data")
    trained = train(recipe, name="dry", out=tmp_path / "out", root=str(root))
    assert trained.metrics["images"] == 1
    confusion = torch.tensor(trained.details["confusion"])
    assert confusion.shape == (19, 19)
    assert int(confusion.sum()) == int(confusion[0].sum()) == 32 * 128  # road, at full size


def write_camvid(root, size=(48, 36)):
    for split, count in (("train", 4), ("test", 2)):
        for part in ("images", "labels"):
            (root / "camvid" / split / part).mkdir(parents=True)
        for number in range(count):
            folder = root / "camvid" / split
            Image.new("RGB", size, (0, 0, 40 * number)).save(folder / f"images/{number}.jpg")
            Image.new("L", size, number).save(folder / f"labels/{number}.png")
    return root


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("camvid")])
def test_camvid_dry_run(name, tmp_path):
    recipe = load_recipe(name, data={"resolution": [33, 48]}, train={"epochs": 1, "batch_size": 2})
    trained = train(recipe, root=str(write_camvid(tmp_path)))
    assert int(torch.tensor(trained.details["confusion"]).sum()) == 2 * 48 * 36
    assert np.isfinite(trained.history[0]["loss"])
