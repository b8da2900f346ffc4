"""Parts of a data set: the cut is complete, fixed, and changes no image."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnv3lib.data import load_dataset
from mnv3lib.data.base import ImageArray
from mnv3lib.data.part import Part, held_out_indices
from mnv3lib.train.classification import Classification
from mnv3lib.train.learner import Learner
from mnv3lib.train.processes import make_accelerator
from mnv3lib.train.recipe_files import load_recipe
from mnv3lib.train.run import load_images, train


def numbered(count: int) -> ImageArray:
    """Images of one pixel whose value is their number."""
    images = torch.arange(count, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 3, 1, 1)
    return ImageArray(images, torch.arange(count) % 2, ["even", "odd"], "numbers")


@given(images=st.integers(2, 300), data=st.data())
def test_a_cut_loses_nothing_and_shares_nothing(images, data):
    kept, aside = held_out_indices(images, data.draw(st.integers(1, images - 1)))
    assert sorted([*kept.tolist(), *aside.tolist()]) == list(range(images))


@pytest.mark.parametrize("held_out", [0, 5, 6])
def test_a_cut_leaves_something_on_both_sides(held_out):
    with pytest.raises(ValueError, match=f"cannot set {held_out} of 5 images aside"):
        held_out_indices(5, held_out)


def test_a_part_gives_the_images_that_it_names():
    part = Part(numbered(10), torch.tensor([7, 2, 5]))
    images, labels = part.collate(part.__getitems__([0, 2]))
    assert (len(part), part.classes) == (3, ("even", "odd"))
    assert (images[:, 0, 0, 0].tolist(), labels.tolist()) == ([7, 5], [1, 1])
    assert part[1][0][0].item() == 2


def test_a_part_of_drawn_images_follows_the_epoch():
    whole = load_dataset("emoji", "train")
    part = Part(load_dataset("emoji", "train"), torch.tensor([3]))
    whole.set_epoch(4)
    part.set_epoch(4)
    assert torch.equal(part.__getitems__([0])[0], whole.__getitems__([3])[0])


def test_a_part_needs_images_that_are_there():
    with pytest.raises(ValueError, match="numbers has 3 images, none at 3"):
        Part(numbered(3), torch.tensor([0, 3]))


def test_a_recipe_evaluates_on_what_it_sets_aside():
    recipe = load_recipe("emoji/mobilenet_v3_small", data={"held_out": 100})
    train_set, eval_set = load_images(recipe)
    whole = len(load_dataset("emoji", "train"))
    assert (len(train_set), len(eval_set)) == (whole - 100, 100)
    assert eval_set.seed == 0


def test_own_images_train_a_network():
    one, other = numbered(40), numbered(10)
    sets = tuple(
        ImageArray(s.images.repeat(1, 1, 32, 32), s.labels, s.classes, "own") for s in (one, other)
    )
    changes = {"train": {"epochs": 1, "batch_size": 20}}
    trained = train(load_recipe("emoji/mobilenet_v3_small", **changes), images=sets)
    assert trained.classes == ("even", "odd")
    assert trained.metrics["images"] == 10


def test_a_training_may_start_from_given_weights():
    recipe = load_recipe("emoji/mobilenet_v3_small", train={"batch_size": 16})
    task = Classification(recipe, ["a", "b"])
    start = task.build_network(torch.Generator().manual_seed(5))
    learner = Learner(recipe, task, make_accelerator(), parts=1, seed=0, start=start)
    own, given = learner.network.state_dict(), start.state_dict()
    assert all(torch.equal(own[name], given[name]) for name in given)
    assert all(own[name].data_ptr() != given[name].data_ptr() for name in given)
