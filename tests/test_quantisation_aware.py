"""Quantisation-aware training: what is trained is what is deployed, in the project's own loop."""

import pytest
import torch

from quantised_networks import images, one_product, small_network
from tiny_training import write_images, write_recipe

pytest.importorskip("executorch")

from mnv3lib.compress.agreement import signal_to_noise_db
from mnv3lib.compress.quantisation_aware import fine_tuning, finish, prepare, train_quantised
from mnv3lib.train import Trained, load_recipe
from mnv3lib.train.recipe_losses import FocalSection
from mnv3lib.train.run import load_images
from mnv3lib.train.stopping import Stopped
from mnv3lib.train.task_kinds import TASKS


def test_one_step_by_hand():
    # As in post-training quantisation: inputs and weights in steps of 0.01, 0.004 becomes 0. The
    # gradient of a weight is the rounded input, also for the weight that was rounded to nothing.
    network = one_product(1.27, -0.64, 0.004)
    batch = torch.tensor([[2.55, 0.0, 0.0], [0.0, 1.0, 0.0]])[..., None, None]
    prepared = prepare(network, batch).eval()
    output = prepared(torch.tensor([0.502, 0.25, 2.0]).reshape(1, 3, 1, 1))
    step = (1.27 * 2.55 + 0.64) / 255
    assert output.item() == pytest.approx(1.27 * 0.5 - 0.64 * 0.25, abs=step / 2)
    output.sum().backward()
    (weight,) = prepared.parameters()
    assert weight.grad.flatten().tolist() == pytest.approx([0.5, 0.25, 2.0])
    assert network[0].weight.grad is None


def test_what_is_trained_is_what_is_deployed():
    network = small_network()
    prepared = prepare(network, images(64))
    optimizer = torch.optim.SGD(prepared.parameters(), lr=0.01)
    for seed in range(5):
        optimizer.zero_grad()
        prepared.train()(images(16, seed=seed)).square().mean().backward()
        optimizer.step()
    deployed = finish(prepared)
    test = images(8, seed=9)
    with torch.no_grad():
        trained, untrained = prepared.eval()(test), network(test)
    assert signal_to_noise_db(trained, deployed(test)) > 60
    assert signal_to_noise_db(untrained, deployed(test)) < 30


def test_ranges_follow_the_batches_until_they_are_frozen():
    prepared = prepare(one_product(1.0, 0.0, 0.0), images(4))

    def ranges(batch):
        prepared(batch)
        return [float(b) for name, b in prepared.named_buffers() if name.endswith("max_val")]

    before = ranges(images(4))
    assert ranges(10 * images(4)) != before
    prepared.eval()
    before = ranges(images(4))
    assert ranges(100 * images(4)) == before
    prepared.train()
    assert ranges(100 * images(4)) != before
    prepared.freeze_ranges()
    before = ranges(images(4))
    assert ranges(1000 * images(4)) == before
    assert prepared.train() is prepared
    assert ranges(1000 * images(4)) == before


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A network that has not learned anything, its recipe, and the folder of its images."""
    root = write_images(tmp_path_factory.mktemp("data"))
    recipe = load_recipe(str(write_recipe(root)))
    train_set, _ = load_images(recipe, root=str(root))
    network = TASKS[recipe.task](recipe, train_set.classes).build_network()
    return Trained(network.eval(), recipe, tuple(train_set.classes), {}), str(root)


def test_fine_tuning_in_the_loop(start):
    trained, root = start
    focal = trained.recipe.model_copy(update={"loss": FocalSection(name="focal")})
    recipe = fine_tuning(focal, epochs=2, lr=0.001)
    assert recipe.train.ema_decay is None
    assert recipe.loss.name == "cross_entropy"
    assert recipe.optimizer.name == "rmsprop_tf"
    entries = []
    found = train_quantised(trained, recipe, root=root, on_epoch=entries.append)
    assert [entry["epoch"] for entry in entries] == [1, 2]
    assert found.history == entries
    assert set(found.metrics) >= {"top1", "nll"}
    assert found.network(images(3, side=32)).shape == (3, len(trained.classes))
    operators = {str(node.target) for node in found.network.graph.nodes}
    assert "quantized_decomposed.quantize_per_tensor.default" in operators


def test_an_interrupted_fine_tuning_goes_on(start, tmp_path):
    # The ranges are frozen in the second epoch, after the interruption.
    trained, root = start
    recipe = fine_tuning(trained.recipe, epochs=2, lr=0.01)
    settings = {"root": root, "freeze_from": 0.7}
    whole = train_quantised(trained, recipe, **settings)

    def stop(entry):
        raise Stopped("as by a signal")

    checkpoint = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Stopped):
        train_quantised(trained, recipe, checkpoint=checkpoint, on_epoch=stop, **settings)
    entries = []
    settings |= {"checkpoint": checkpoint, "on_epoch": entries.append}
    resumed = train_quantised(trained, recipe, **settings)
    assert [entry["epoch"] for entry in entries] == [2]
    assert resumed.metrics == whole.metrics
    batch = images(3, side=32)
    torch.testing.assert_close(resumed.network(batch), whole.network(batch), rtol=0, atol=0)


def test_what_fine_tuning_refuses(start):
    trained, root = start
    with pytest.raises(ValueError, match=r"the recipe asks for train\.ema_decay: see fine_tuning"):
        train_quantised(trained, trained.recipe, root=root)
    other = Trained(trained.network, trained.recipe, ("cat", "dog"), {})
    with pytest.raises(ValueError, match="the network knows 2 classes, cat, dog"):
        train_quantised(other, fine_tuning(trained.recipe, epochs=1, lr=0.1), root=root)
