"""Losses as recipes name them: what they compute, what they remember, and what they refuse."""

import re
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from mnv3lib.data.base import generator_for
from mnv3lib.models import Network, create_model
from mnv3lib.train import RecipeError, load_recipe, train
from mnv3lib.train.classification import Classification
from mnv3lib.train.criteria import make_criterion
from mnv3lib.train.evaluate import evaluate
from mnv3lib.train.last_map import Observed, WithLastMap
from mnv3lib.train.learner import Learner
from mnv3lib.train.loop import Loop
from mnv3lib.train.processes import make_accelerator
from mnv3lib.train.variance_metrics import VarianceMetrics
from tiny_training import write_images, write_recipe

LOGITS = torch.tensor([[2.0, 0, -1], [0, 1, 0], [0.5, 0.5, 3]])
TARGETS = torch.tensor([0, 2, 2])
MAPS = torch.tensor([[1.0, 2, 3, 4], [0, 0, 0, 1], [5, 1, 1, 5]]).view(3, 1, 2, 2)
OUTPUTS = Observed(LOGITS, MAPS)
PLAIN = {
    "augment": {"policy": "none", "erase": 0.0, "mixup": 0.0, "cutmix": 0.0, "flip": 0.0},
    "model": {"dropout": 0.0, "drop_path": 0.0},
}


@pytest.fixture
def recipe_file(tmp_path):
    return str(write_recipe(tmp_path))


@pytest.fixture
def criterion(recipe_file):
    def build(**loss):
        return make_criterion(load_recipe(recipe_file, loss=loss, train={"label_smoothing": 0.0}))

    return build


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ({"name": "cross_entropy"}, 0.6244330),
        ({"name": "cross_entropy", "scale": 0.5}, 0.3122165),
        ({"name": "focal", "gamma": 0.0}, 0.6244330),
        ({"name": "bias"}, 0.4597672),
        ({"name": "bias", "normalisation": "global"}, 0.4597672),
        ({"name": "bias", "scale": 2.0}, 0.9195344),
        # exp(0.3 v) - 0.3 at 1 - v: 0.9415908, 1.0498588 and 0.7
        ({"name": "bias", "order": "reversed"}, 0.6317097),
    ],
)
def test_losses_by_hand(criterion, loss, expected):
    assert criterion(**loss)(OUTPUTS, TARGETS).item() == pytest.approx(expected, abs=1e-6)


def test_focal_loss_by_hand(criterion):
    losses = functional.cross_entropy(LOGITS, TARGETS, reduction="none")
    right = LOGITS.softmax(1)[torch.arange(3), TARGETS]
    expected = ((1 - right) ** 2 * losses).mean()
    torch.testing.assert_close(criterion(name="focal")(LOGITS, TARGETS), expected)


def test_shuffled_weights_are_the_same_weights(criterion):
    shuffled = criterion(name="bias", order="shuffled")
    unit = Observed(torch.zeros(3, 2), MAPS)  # every cross-entropy is log 2
    own = criterion(name="bias")(unit, TARGETS // 2)
    found = set()
    for seed in range(8):
        torch.manual_seed(seed)
        torch.testing.assert_close(shuffled(unit, TARGETS // 2), own)
        found.add(round(shuffled(OUTPUTS, TARGETS).item(), 5))
    assert len(found) > 1


def test_smoothing_and_mixed_targets(recipe_file):
    smooth = make_criterion(load_recipe(recipe_file, loss={"name": "bias"}))
    mixed = torch.tensor([[0.5, 0.5, 0], [0, 0, 1], [0.25, 0, 0.75]])
    target = 0.9 * mixed + 0.1 / 3
    losses = -(target * LOGITS.log_softmax(1)).sum(1)
    weights = torch.tensor([0.7872010, 0.7, 1.0498588])
    torch.testing.assert_close(smooth(OUTPUTS, mixed), (weights * losses).mean())


def test_bias_loss_needs_a_map(criterion):
    with pytest.raises(ValueError, match=re.escape("train this one with loss.name =")):
        criterion(name="bias")(LOGITS, TARGETS)


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        ({"name": "hinge"}, "loss name must be cross_entropy, focal or bias, got .*hinge"),
        ({"name": "bias", "gamma": 1.0}, "gamma is no key here"),
        ({"name": "bias", "normalisation": "batch"}, "normalisation"),
        ({"name": "bias", "normalisation": "global", "order": "reversed"}, "'reversed' needs"),
        ({"name": "bias", "beta": 1.0}, "beta must be below 1, got 1.0"),
        ({"name": "cross_entropy", "scale": 0.0}, "scale"),
    ],
)
def test_losses_that_cannot_be(recipe_file, loss, text):
    with pytest.raises(RecipeError, match=text):
        load_recipe(recipe_file, loss=loss)


@pytest.mark.parametrize("name", ["emoji_scenes/detection", "emoji_scenes/segmentation"])
def test_other_tasks_have_their_own_losses(name):
    with pytest.raises(RecipeError, match=r"loss: \w+ has its own; leave the section out"):
        load_recipe(name, loss={"name": "bias"})


# --- networks that show their last map ---------------------------------------------------------


def test_the_last_map_is_what_is_pooled():
    network = create_model("mobilenet_v3_small", width_mult=0.35, num_classes=5).eval()
    images = torch.rand(2, 3, 64, 64)
    seen = WithLastMap(network)(images)
    torch.testing.assert_close(seen.logits, network(images))
    torch.testing.assert_close(seen.last_map, network.features(images)["C5"])
    assert seen.last_map.shape == (2, network.feature_channels["C5"], 2, 2)
    with pytest.raises(ValueError, match="expected RGB images"):
        WithLastMap(network)(images[:, :1])
    headless = replace(network.spec, rows=network.spec.map_rows)
    with pytest.raises(ValueError, match="mobilenet_v3 pools no map"):
        WithLastMap(Network(headless))


def test_only_recipes_that_look_at_maps_pay_for_them(recipe_file):
    plain = Classification(load_recipe(recipe_file), ("a", "b"))
    network = plain.build_network()
    assert plain.observed(network) is network
    assert plain.memory() == {}
    for loss in ({"name": "cross_entropy", "watch": True}, {"name": "bias"}):
        task = Classification(load_recipe(recipe_file, loss=loss), ("a", "b"))
        assert isinstance(task.observed(network), WithLastMap)
        assert isinstance(task.metrics(), VarianceMetrics)
        # A quantised network is no table of rows: it is evaluated by its logits alone.
        other = torch.nn.Sequential(network)
        assert task.observed(other) is other


# --- in training -------------------------------------------------------------------------------


def test_watching_changes_no_weight(recipe_file, tmp_path):
    root = str(write_images(tmp_path))
    one, other = (
        train(load_recipe(recipe_file, loss={"watch": watch, "name": "cross_entropy"}), root=root)
        for watch in (False, True)
    )
    for name, value in one.network.state_dict().items():
        assert torch.equal(value, other.network.state_dict()[name]), name
    assert {key: other.metrics[key] for key in one.metrics} == one.metrics
    assert 0 <= other.metrics["variance_auroc"] <= 1
    assert sum(row[0] for row in other.details["by_variance"]) == 12


class Power(Exception):
    """It went out."""


def test_global_bias_loss_resumes_bit_for_bit(recipe_file, tmp_path, monkeypatch):
    root = str(write_images(tmp_path))
    bias = {"name": "bias", "normalisation": "global", "order": "shuffled"}
    recipe = load_recipe(recipe_file, loss=bias)
    train(recipe, out=tmp_path / "one", root=root)
    rate = Loop._learning_rate

    def die(loop, step):
        if loop.step == 5:
            raise Power
        return rate(loop, step)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_learning_rate", die)
        with pytest.raises(Power):
            train(recipe, out=tmp_path / "two", root=root)
    train(recipe, out=tmp_path / "two", resume=True, root=root)
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    assert all(torch.equal(one[key], two[key]) for key in one)
    memory = [
        load_file(tmp_path / name / "checkpoint.safetensors")["memory/_bias.smallest"]
        for name in ("one", "two")
    ]
    assert memory[0].isfinite()
    assert memory[0] == memory[1]


def test_the_order_of_micro_batches_is_forgotten(recipe_file):
    """Several processes can only agree if no micro-batch sees what another one found."""
    recipe = load_recipe(
        recipe_file,
        **PLAIN,
        loss={"name": "bias", "normalisation": "global"},
        optimizer={"name": "sgd"},
        train={"micro_batches": 2},
    )
    images = torch.randint(0, 256, (8, 3, 32, 32), generator=generator_for(0)).byte()
    labels = torch.arange(8) % 2
    found = []
    for order in ([0, 1], [1, 0]):
        task = Classification(recipe, ("a", "b"))
        learner = Learner(recipe, task, make_accelerator(), parts=2, seed=0)
        for step in range(2):
            parts = [(part, *(x.chunk(2)[part] for x in (images, labels))) for part in order]
            learner.take_step(step, parts, lr=0.01)
        found.append((task.memory()["_bias.smallest"], learner.network.rows[0].conv.weight))
    torch.testing.assert_close(found[0], found[1])


def test_a_network_without_rows_is_evaluated_by_its_logits(recipe_file, tmp_path):
    root = str(write_images(tmp_path))
    recipe = load_recipe(recipe_file, loss={"name": "bias"})
    task = Classification(recipe, ("a", "b"))
    images = task.load(recipe.data, "val", train=False, seed=0, root=root)
    network = torch.nn.Sequential(task.build_network())
    found = evaluate(network, images, task, make_accelerator())
    assert "variance_auroc" not in found.compute()
    assert "by_variance" not in found.details()
