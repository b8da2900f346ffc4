"""The loop: resumed, distributed and interrupted runs end like undisturbed ones."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from mnv3lib.data.base import generator_for
from mnv3lib.train import TrainingError, checkpoint, load_recipe, load_trained, train
from mnv3lib.train.classification import Classification
from mnv3lib.train.learner import Learner
from mnv3lib.train.loop import Loop
from mnv3lib.train.plan import Plan
from mnv3lib.train.processes import make_accelerator
from tiny_training import write_images, write_recipe

STEPS = 9  # three epochs of 24 images, 8 a step


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_images(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory):
    return write_recipe(tmp_path_factory.mktemp("recipes"))


@pytest.fixture(scope="module")
def undisturbed(root, recipe_file, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    train(load_recipe(str(recipe_file)), seed=3, out=out, root=str(root))
    return out


def results(out):
    """Weights, and the numbers that do not depend on the clock."""
    metrics = json.loads((out / "run.json").read_text())["metrics"]
    for entry in metrics["history"]:
        del entry["images_per_s"]
    return load_file(out / "weights.safetensors"), metrics


def assert_same(out, expected):
    weights, metrics = results(out)
    expected_weights, expected_metrics = results(expected)
    assert metrics == expected_metrics
    assert weights.keys() == expected_weights.keys()
    for name, value in weights.items():
        assert torch.equal(value, expected_weights[name]), name


class Power(Exception):
    """It went out."""


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_run_that_dies_after_any_step_ends_the_same(
    root, recipe_file, undisturbed, tmp_path, monkeypatch, step
):
    recipe = load_recipe(str(recipe_file))
    # Before a step, or for the last one before its epoch is closed.
    method = "_learning_rate" if step < STEPS else "_close_epoch"
    undisturbed_method = getattr(Loop, method)

    def die(loop, *arguments):
        if loop.step == step:
            raise Power
        return undisturbed_method(loop, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, method, die)
        with pytest.raises(Power):
            train(recipe, seed=3, out=tmp_path, root=str(root))
    train(recipe, seed=3, out=tmp_path, resume=True, root=str(root))
    assert_same(tmp_path, undisturbed)


def start(recipe_file, root, out, *options, launcher=()):
    """Starts the command as a user would."""
    command = [sys.executable, "-m", *launcher, "mnv3lib.cli", "train", "--recipe", recipe_file]
    command += ["--seed", "3", "--out", out, "--root", root, *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        list(map(str, command)), stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )


def succeed(process):
    _, said = process.communicate()
    assert process.returncode == 0, said.decode()


def wait_for_checkpoint(process, out):
    while not (out / "checkpoint.safetensors").exists():
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_resumes_to_the_same_numbers(
    root, recipe_file, undisturbed, tmp_path, number
):
    process = start(recipe_file, root, tmp_path)
    wait_for_checkpoint(process, tmp_path)
    process.send_signal(number)
    _, said = process.communicate()
    if number == signal.SIGTERM:
        assert process.returncode == 143
        assert re.search(r"stopped after step \d+; --resume goes on from there", said.decode())
    assert not (tmp_path / "run.json").exists()
    succeed(start(recipe_file, root, tmp_path, "--resume"))
    assert_same(tmp_path, undisturbed)


def test_two_processes_compute_what_one_does(root, tmp_path):
    # Batch norm sees a micro-batch at a time: two on one process, or one on each of two.
    recipe_file = write_recipe(tmp_path, batch_size="batch_size = 8\nmicro_batches = 2")
    launcher = ("torch.distributed.run", "--nproc_per_node", "2", "-m")
    two = start(recipe_file, root, tmp_path / "two", launcher=launcher)
    succeed(two)
    train(load_recipe(str(recipe_file)), seed=3, out=tmp_path / "one", root=str(root))
    recorded = json.loads((tmp_path / "two" / "run.json").read_text())
    assert recorded["command"].startswith("torchrun --nproc_per_node 2 ")
    weights, metrics = results(tmp_path / "two")
    expected_weights, expected = results(tmp_path / "one")
    # The order of sums may differ; with two parts nothing else can.
    for key, value in expected["final"].items():
        assert metrics["final"][key] == pytest.approx(value, rel=1e-6), key
    for name, value in expected_weights.items():
        torch.testing.assert_close(weights[name], value, rtol=1e-6, atol=1e-7)


def freeze_batch_norm(module):
    """Normalises with the running statistics, also in training mode."""
    if isinstance(module, nn.BatchNorm2d):
        module.eval()
        module.train = lambda mode=True: module


def test_micro_batches_add_up_to_the_gradient_of_the_batch(root, tmp_path):
    """Without batch norm's own statistics and without chance, their number changes nothing."""
    found = []
    for parts in (1, 2, 4):
        recipe = load_recipe(
            str(write_recipe(tmp_path, batch_size=f"batch_size = 8\nmicro_batches = {parts}")),
            model={"dropout": 0.0, "drop_path": 0.0},
            augment={"policy": "none", "erase": 0.0, "mixup": 0.0, "cutmix": 0.0, "flip": 0.0},
            train={"epochs": 1},
        )
        images = torch.randint(0, 256, (8, 3, 32, 32), generator=generator_for(0)).byte()
        labels = torch.arange(8) % 2
        task = Classification(recipe, ("a", "b"))
        learner = Learner(recipe, task, make_accelerator(), parts=parts, seed=0)
        learner.network.apply(freeze_batch_norm)
        pieces = zip(images.chunk(parts), labels.chunk(parts), strict=True)
        loss = learner.take_step(0, [(k, *piece) for k, piece in enumerate(pieces)], lr=0.01)
        found.append((loss, torch.cat([p.flatten() for p in learner.network.parameters()])))
    for loss, weights in found[1:]:
        torch.testing.assert_close(loss, found[0][0])
        torch.testing.assert_close(weights, found[0][1])


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(root, tmp_path):
    changes = {"optimizer": {"name": "sgd", "lr": 1e20}}
    recipe = load_recipe(str(write_recipe(tmp_path)), **changes)
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) at step \d of 9: lower"):
        train(recipe, out=tmp_path / "out", root=str(root))
    parts, progress = checkpoint.read_checkpoint(tmp_path / "out" / "checkpoint.safetensors")
    assert progress["step"] < STEPS
    assert progress["epoch_losses"] or progress["history"]
    assert all(bool(weight.isfinite().all()) for weight in parts["network"].values())


def test_weights_that_are_no_numbers_are_not_saved(root, recipe_file, tmp_path, monkeypatch):
    look = Loop._look

    def spoil(loop, *arguments):
        look(loop, *arguments)
        if loop.step == 4:  # its loss was a number, and the update was not
            next(loop.learner.network.parameters()).data[0] = float("nan")

    monkeypatch.setattr(Loop, "_look", spoil)
    with pytest.raises(TrainingError, match="a weight is no number after step 4: lower"):
        train(load_recipe(str(recipe_file)), out=tmp_path, root=str(root))
    assert checkpoint.read_checkpoint(tmp_path / "checkpoint.safetensors")[1]["step"] == 3


def test_a_full_disk_keeps_the_last_checkpoint(root, recipe_file, tmp_path, monkeypatch):
    write, written = checkpoint.write_atomically, []

    def fill_up(path, content):
        if len(written) == 4:
            raise OSError(28, "No space left on device")
        written.append(write(path, content))

    monkeypatch.setattr(checkpoint, "write_atomically", fill_up)
    with pytest.raises(OSError, match="No space left on device; the last one is intact"):
        train(load_recipe(str(recipe_file)), out=tmp_path, root=str(root))
    assert checkpoint.read_checkpoint(tmp_path / "checkpoint.safetensors")[1]["step"] == 3


@pytest.mark.parametrize("workers", [0, 1])
def test_a_corrupt_image_is_named(recipe_file, tmp_path, workers):
    root = write_images(tmp_path)
    broken = sorted(root.rglob("train/*/*.JPEG"))[5]
    broken.write_bytes(broken.read_bytes()[:200])
    recipe = load_recipe(str(recipe_file), data={"workers": workers})
    with pytest.raises(ValueError, match=broken.name) as caught:
        train(recipe, out=tmp_path / "out", root=str(root))
    assert len(str(caught.value).splitlines()) == 1


def test_a_folder_with_a_run_is_not_overwritten(undisturbed, root, recipe_file):
    with pytest.raises(FileExistsError, match="already holds a run"):
        train(load_recipe(str(recipe_file)), out=undisturbed, root=str(root))


@pytest.mark.parametrize(
    ("changes", "text"),
    [({"train": {"epochs": 4}}, "another recipe"), ({}, "another seed")],
    ids=["recipe", "seed"],
)
def test_another_run_is_not_resumed(undisturbed, root, recipe_file, changes, text):
    recipe = load_recipe(str(recipe_file), **changes)
    with pytest.raises(ValueError, match=text):
        train(recipe, seed=3 if changes else 4, out=undisturbed, resume=True, root=str(root))


def test_a_damaged_checkpoint_is_named(undisturbed, root, recipe_file, tmp_path):
    content = (undisturbed / "checkpoint.safetensors").read_bytes()
    (tmp_path / "checkpoint.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"checkpoint.safetensors is not a checkpoint"):
        train(load_recipe(str(recipe_file)), seed=3, out=tmp_path, resume=True, root=str(root))


def test_weights_come_back_with_recipe_and_classes(undisturbed, recipe_file):
    trained = load_trained(undisturbed / "weights.safetensors")
    assert trained.recipe == load_recipe(str(recipe_file))
    assert len(trained.classes) == 2
    _, metrics = results(undisturbed)
    assert trained.metrics == metrics["final"]


def test_training_leaves_the_global_generator_alone(root, recipe_file):
    state = torch.get_rng_state()
    train(load_recipe(str(recipe_file), train={"epochs": 1}), root=str(root))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_plan_visits_every_image_once_an_epoch():
    plan = Plan(images=24, batch_size=8, parts=2, seed=1)
    order = plan.order(epoch=5)
    assert order.shape == (3, 2, 4)
    assert sorted(order.flatten().tolist()) == list(range(24))
    assert not torch.equal(order, plan.order(epoch=6))
    assert torch.equal(order, Plan(24, 8, 2, seed=1).order(5))


def test_a_subset_is_the_same_for_every_seed():
    chosen = {
        tuple(sorted(Plan(100, 5, seed=seed, subset=20).order(epoch).flatten().tolist()))
        for seed in range(3)
        for epoch in range(2)
    }
    assert len(chosen) == 1


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ({"batch_size": 8, "parts": 3}, "cannot be cut into 3"),
        ({"batch_size": 32}, "choose a smaller train.batch_size"),
        ({"batch_size": 8, "subset": 25}, "data.subset is 25, but there are 24"),
    ],
)
def test_plans_that_do_not_fit(numbers, text):
    with pytest.raises(ValueError, match=text):
        Plan(images=24, **numbers)
