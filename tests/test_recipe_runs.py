"""Every recipe of a cluster takes two steps here, on an image folder of two dozen pictures."""

import json

import pytest

from mnv3lib.models import model_spec
from mnv3lib.train import load_recipe, recipe_names, train
from tiny_training import write_images

CLUSTER = [name for name in recipe_names() if name.startswith("imagenet/")]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("data"), images=4, side=72)


def test_the_published_recipes_are_there():
    for size in ("large", "small"):
        for whose in ("paper", "torchvision", "timm"):
            assert f"imagenet/mobilenet_v3_{size}_{whose}" in CLUSTER


@pytest.mark.parametrize("name", CLUSTER)
def test_dry_run(name, root, tmp_path):
    one_size = not model_spec(load_recipe(name).model.name).any_size
    recipe = load_recipe(
        name,
        model={"resolution": 64} if one_size else {},
        # Small pictures and batches; all else is the recipe's own.
        data={"resolution": 64, "eval_resize": 72, "workers": 0},
        train={"epochs": 1, "batch_size": 4, "micro_batches": 2},
    )
    trained = train(recipe, name=name.replace("/", "-"), out=tmp_path, root=str(root))
    assert trained.metrics["images"] == 4
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["name"] == name.replace("/", "-")
    assert len(run["metrics"]["history"]) == 1
