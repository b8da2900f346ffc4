"""Recipes: those that ship are whole and buildable, and mistakes in others are named."""

import re

import pytest
import torch

from mnv3lib.models import create_model
from mnv3lib.train.augment import Augment
from mnv3lib.train.optimizers import Lamb, RMSpropTF, make_optimizer
from mnv3lib.train.recipe import Augmentation, Data, Optimizer, Recipe, Schedule, Training
from mnv3lib.train.recipe_files import RecipeError, load_recipe, parse_recipe, recipe_names
from mnv3lib.train.schedules import learning_rate
from mnv3lib.train.sections import Section
from mnv3lib.train.task_kinds import TASKS

NAMES = recipe_names()
CLASSIFIERS = [name for name in NAMES if load_recipe(name).task == "classification"]
IMAGENET = [
    f"imagenet/mobilenet_v3_{size}_{origin}"
    for size in ("large", "small")
    for origin in ("paper", "timm", "torchvision")
]


def small() -> dict:
    """The least that a recipe must say."""
    return {
        "source": "a test",
        "model": {"name": "mobilenet_v3_small"},
        "data": {"name": "emoji", "resolution": 32},
        "optimizer": {"lr": 0.1},
        "train": {"epochs": 1, "batch_size": 8},
    }


# --- the recipes that ship ---------------------------------------------------------------------


def test_names() -> None:
    assert {*IMAGENET} < {name for name in NAMES if name.startswith("imagenet/")}


@pytest.mark.parametrize("name", NAMES)
def test_shipped_recipe_is_whole(name: str) -> None:
    recipe = load_recipe(name)
    assert len(recipe.source.split()) > 10
    assert recipe.data.name == name.split("/")[0].replace("_", "-")
    assert all(0 < value < 1 for value in recipe.expected.values())
    assert recipe.train.batch_size % recipe.train.micro_batches == 0


@pytest.mark.parametrize("name", NAMES)
def test_shipped_recipe_can_be_built(name: str) -> None:
    recipe = load_recipe(name)
    task = TASKS[recipe.task](recipe, [f"class {number}" for number in range(7)])
    network = task.build_network(torch.Generator())
    optimizer = make_optimizer(network, recipe.optimizer)
    assert optimizer.param_groups[0]["lr"] == recipe.optimizer.lr


@pytest.mark.parametrize("name", NAMES)
def test_shipped_recipe_survives_its_record(name: str) -> None:
    """A run keeps what differs from the defaults, and a study reads it back when it goes on."""
    recipe = load_recipe(name)
    recorded = recipe.model_dump(mode="json", exclude_defaults=True)
    assert parse_recipe(recorded).decisive() == recipe.decisive()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_shipped_augmentation_can_be_applied(name: str) -> None:
    recipe = load_recipe(name)
    images = torch.zeros(2, 3, recipe.data.resolution, recipe.data.resolution, dtype=torch.uint8)
    augment = Augment(recipe.augment, mean=recipe.data.mean, std=recipe.data.std, num_classes=7)
    floats, targets = augment.train(images, torch.tensor([0, 1]))
    assert floats.isfinite().all()
    assert len(targets) == 2


@pytest.mark.parametrize("name", NAMES)
def test_shipped_rates_are_sensible(name: str) -> None:
    recipe = load_recipe(name)
    epochs, base = recipe.train.epochs, recipe.optimizer.lr
    warm = learning_rate(recipe.schedule, base, recipe.schedule.warmup_epochs, epochs)
    assert 0.9 * base < warm <= base
    assert learning_rate(recipe.schedule, base, epochs, epochs) < 0.2 * base


# --- what their sources say --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "epoch", "rate"),
    [
        ("large_timm", 0, 1e-6),
        ("large_timm", 5, 0.0605907),
        ("large_timm", 100, 0.0208356),
        ("large_timm", 599, 7.01903e-5),
        ("large_torchvision", 0, 0.064),
        ("large_torchvision", 100, 0.0162863),
        ("small_torchvision", 599, 1.78616e-5),
        ("large_paper", 2.9, 0.1),
        ("large_paper", 3, 0.099),
        ("small_paper", 300, 0.1 * 0.99**100),
        ("small_timm", 0, 1e-6),
        ("small_timm", 5, 0.005),
        ("small_timm", 450, 0.0),
    ],
)
def test_known_rates(name: str, epoch: float, rate: float) -> None:
    recipe = load_recipe(f"imagenet/mobilenet_v3_{name}")
    found = learning_rate(recipe.schedule, recipe.optimizer.lr, epoch, recipe.train.epochs)
    assert found == pytest.approx(rate, 1e-5)


@pytest.mark.parametrize(
    ("name", "kind", "decayed"),
    [
        ("large_paper", RMSpropTF, "filters"),
        ("large_timm", RMSpropTF, "filters"),
        ("small_timm", Lamb, "filters"),
        ("large_torchvision", torch.optim.RMSprop, "all"),
    ],
)
def test_known_optimisers(name: str, kind: type, decayed: str) -> None:
    recipe = load_recipe(f"imagenet/mobilenet_v3_{name}")
    optimizer = make_optimizer(create_model("mobilenet_v3_small"), recipe.optimizer)
    assert type(optimizer) is kind
    assert len(optimizer.param_groups) == {"filters": 2, "all": 1}[decayed]


def test_epsilon_of_torchvision_is_the_root_of_that_of_tensorflow() -> None:
    torchvision, timm = (
        load_recipe(f"imagenet/mobilenet_v3_large_{o}") for o in ("torchvision", "timm")
    )
    assert torchvision.optimizer.eps**2 == pytest.approx(timm.optimizer.eps, rel=0.002)


@pytest.mark.parametrize("name", IMAGENET)
def test_batch_norm_and_crops_of_the_sources(name: str) -> None:
    recipe = load_recipe(name)
    options = recipe.model.options
    timm = name.endswith("timm")
    assert (options["bn_momentum"], options["bn_eps"]) == ((0.1, 1e-5) if timm else (0.01, 1e-3))
    assert (recipe.data.resolution, recipe.data.eval_resize) == (224, 256)
    assert recipe.data.eval_split == "val"
    assert (options.get("padding") == "same") == name.endswith("paper")


# --- mistakes ----------------------------------------------------------------------------------

SECTIONS = {
    "data": Data,
    "augment": Augmentation,
    "optimizer": Optimizer,
    "schedule": Schedule,
    "train": Training,
}
KEYS = [(section, key) for section, kind in SECTIONS.items() for key in kind.model_fields]


def failing(changes: dict) -> str:
    """The error of the least recipe with other keys in its sections."""
    content = small()
    for section, values in changes.items():
        content[section] = {**content.get(section, {}), **values}
    with pytest.raises(RecipeError) as raised:
        parse_recipe(content)
    return str(raised.value)


def test_the_least_recipe_is_one() -> None:
    recipe = parse_recipe(small())
    assert recipe.schedule == Schedule()
    assert recipe.augment == Augmentation()


@pytest.mark.parametrize("section", SECTIONS)
def test_unknown_keys_are_named(section: str) -> None:
    message = failing({section: {"wrong_key": 1}})
    assert f"{section}.wrong_key" in message


def test_unknown_sections_and_missing_keys_are_named() -> None:
    with pytest.raises(RecipeError, match="sceduler"):
        parse_recipe({**small(), "sceduler": {}})
    for key in ("source", "model", "data", "optimizer", "train"):
        content = small()
        del content[key]
        with pytest.raises(RecipeError, match=f"{key} is missing"):
            parse_recipe(content)
    for section, key in (("train", "epochs"), ("optimizer", "lr"), ("data", "resolution")):
        content = small()
        del content[section][key]
        with pytest.raises(RecipeError, match=re.escape(f"{section}.{key} is missing")):
            parse_recipe(content)


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_wrong_types_are_named(section: str, key: str) -> None:
    message = failing({section: {key: [["x"]]}})
    assert f"{section}.{key}" in message


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("model", "width_mult", 0.0),
        ("data", "resolution", 0),
        ("data", "interpolation", "nearest"),
        ("data", "crop_area", [0.08]),
        ("data", "workers", -1),
        ("augment", "flip", 1.5),
        ("augment", "flip", -0.5),
        ("augment", "policy", "fast"),
        ("augment", "policy_magnitude", 31),
        ("augment", "policy_ops", 0),
        ("augment", "pad_crop", -1),
        ("augment", "pad_crop", 2.5),
        ("augment", "erase", 2.0),
        ("augment", "mixup", -0.2),
        ("augment", "cutmix", -1.0),
        ("optimizer", "name", "adam"),
        ("optimizer", "lr", 0.0),
        ("optimizer", "lr", "0.1"),
        ("optimizer", "eps", 0.0),
        ("optimizer", "momentum", 1.5),
        ("optimizer", "nesterov", 1),
        ("optimizer", "weight_decay", -1e-5),
        ("optimizer", "clip_norm", 0.0),
        ("schedule", "name", "linear"),
        ("schedule", "warmup_epochs", -1),
        ("schedule", "every", 0.0),
        ("schedule", "gamma", 1.1),
        ("schedule", "noise", [0.4]),
        ("train", "epochs", 0),
        ("train", "epochs", 1.5),
        ("train", "batch_size", 0),
        ("train", "micro_batches", 0),
        ("train", "label_smoothing", 1.1),
        ("train", "ema_decay", -0.1),
        ("train", "precision", "fp8"),
        ("train", "channels_last", "yes"),
    ],
)
def test_values_out_of_range_are_named(section: str, key: str, value: object) -> None:
    message = failing({section: {key: value}})
    assert f"{section}.{key}" in message
    assert repr(value) in message or message.endswith("is missing")  # half of a pair


def test_every_mistake_is_named_at_once() -> None:
    message = failing({"train": {"epochs": 0, "batch": 8}, "optimizer": {"lr": -1.0}})
    assert all(key in message for key in ("train.epochs", "train.batch", "optimizer.lr"))


def test_recipes_do_not_change_once_read() -> None:
    recipe = parse_recipe(small())
    assert isinstance(recipe, Section)
    with pytest.raises(ValueError, match="frozen"):
        recipe.train.epochs = 5


# --- files -------------------------------------------------------------------------------------


def test_changes_replace_single_keys() -> None:
    name = IMAGENET[1]
    recipe, shorter = load_recipe(name), load_recipe(name, train={"epochs": 2})
    assert shorter.train == recipe.train.model_copy(update={"epochs": 2})
    assert isinstance(shorter, Recipe)
    assert shorter.optimizer == recipe.optimizer
    with pytest.raises(RecipeError, match=r"train\.epoch"):
        load_recipe(name, train={"epoch": 2})


def test_a_file_of_ones_own(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('source = "mine"\n[train]\nepochs = ', encoding="utf-8")
    with pytest.raises(RecipeError, match=r"mine\.toml.* not TOML"):
        load_recipe(str(path))
    path.write_text('source = "mine"\n', encoding="utf-8")
    with pytest.raises(RecipeError, match=r"mine\.toml: model is missing"):
        load_recipe(str(path))


def test_unknown_recipes_name_the_nearest() -> None:
    with pytest.raises(FileNotFoundError, match="mobilenet_v3_large_timm"):
        load_recipe("imagenet/mobilenet_v3_large_tim")
    with pytest.raises(FileNotFoundError, match="no recipe"):
        load_recipe("nowhere.toml")
