"""Images spoiled on purpose: which, how, and only in training."""

import pytest
import torch

from mnv3lib.data.base import ImageArray
from mnv3lib.data.spoiled import Spoiled, blurred
from mnv3lib.train.detection import Detection
from mnv3lib.train.recipe_files import load_recipe
from mnv3lib.train.run import load_images


def noise(count: int = 10, side: int = 8) -> ImageArray:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, side, side), generator=generator).byte()
    return ImageArray(images, torch.arange(count) % 2, ["even", "odd"], "noise")


def test_a_blurred_image_keeps_the_colours_of_its_quarters():
    image = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    image[..., :2, :2] = torch.tensor([[0, 40], [80, 120]])  # mean 60
    found = blurred(image)
    assert found.dtype == torch.uint8
    # Corners are the quarters' means; between them the blend is linear.
    assert found[0, 0].tolist() == [[60, 45, 15, 0], [45, 34, 11, 0], [15, 11, 4, 0], [0] * 4]


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.25, 2), (0.3, 3), (1.0, 10)])
def test_the_share_is_kept_and_labels_stay(share, count):
    whole = noise()
    found = Spoiled(whole, share)
    assert int(found.spoiled.sum()) == count
    assert torch.equal(found.labels, whole.labels)
    images, labels = found.__getitems__(list(range(10)))
    assert torch.equal(labels, whole.labels)
    for index in range(10):
        wanted = whole.images[index]
        if found.spoiled[index]:
            wanted = blurred(wanted[None])[0]
        assert torch.equal(images[index], wanted)
        assert torch.equal(found[index][0], wanted)


def test_the_original_stays_as_it_is():
    whole = noise()
    before = whole.images.clone()
    Spoiled(whole, 1.0).__getitems__([0, 1])
    assert torch.equal(whole.images, before)


def test_the_same_images_are_spoiled_for_every_seed():
    recipe = load_recipe("emoji/mobilenet_v3_small", data={"spoiled": 0.15})
    one, other = (load_images(recipe, seed=seed) for seed in (0, 1))
    assert torch.equal(one[0].spoiled, other[0].spoiled)
    assert not isinstance(one[1], Spoiled)  # evaluation sees the images as they are
    one[0].set_epoch(3)
    images, _ = one[0].collate(one[0].__getitems__([0, 1]))
    assert images.dtype == torch.uint8


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_shares_out_of_range(share):
    with pytest.raises(ValueError, match=r"share must lie in \[0, 1\]"):
        Spoiled(noise(), share)


def test_boxes_and_masks_are_not_spoiled():
    recipe = load_recipe("emoji_scenes/detection", data={"spoiled": 0.5})
    with pytest.raises(ValueError, match=r"data\.spoiled is 0\.5, but means nothing"):
        Detection(recipe, ("a", "b"))
