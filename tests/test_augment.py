"""Augmentation: what happens to the pixels of small batches, and where randomness comes from."""

import random

import numpy as np
import pytest
import torch
from torch import Tensor

from mnv3lib.train.augment import Augment, mixed_targets
from mnv3lib.train.policies import PerImage, make_policy
from mnv3lib.train.recipe import Augmentation

POLICIES = ("auto_augment", "rand_augment", "trivial_augment")
EVERYTHING = {"flip": 0.5, "pad_crop": 2, "jitter": 0.4, "erase": 0.5, "mixup": 0.2, "cutmix": 1.0}
KINDS = [
    *({key: value} for key, value in EVERYTHING.items()),
    *({"policy": policy} for policy in POLICIES),
    {**EVERYTHING, "policy": "rand_augment"},
]


def augment(classes: int = 4, mean: float = 0.0, std: float = 1 / 255, **config: object) -> Augment:
    """By default nothing is normalised: pixels come out in [0, 255]."""
    return Augment(Augmentation(**config), mean=(mean,) * 3, std=(std,) * 3, num_classes=classes)


def batch(number: int = 6, side: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (number, 3, side, side), generator=generator, dtype=torch.uint8)
    return images, torch.arange(number) % 4


def trained(augmenter: Augment, images: Tensor, labels: Tensor, seed: int = 0) -> tuple:
    torch.manual_seed(seed)
    return augmenter.train(images, labels)


# --- nothing, flips and crops ------------------------------------------------------------------


def test_normalised_by_hand() -> None:
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    augmenter = Augment(Augmentation(), mean=(0.5, 0.1, 0.2), std=(0.5, 0.1, 0.4), num_classes=2)
    expected = pytest.approx([-1.0, 1.0, 2.0])
    assert augmenter.evaluate(images).flatten().tolist() == expected
    assert augmenter.train(images, torch.tensor([1]))[0].flatten().tolist() == expected


def test_without_augmentation_training_is_evaluation() -> None:
    images, labels = batch()
    augmenter = augment(mean=0.4, std=0.2)
    floats, targets = augmenter.train(images, labels)
    assert floats.dtype == torch.float32
    assert torch.equal(floats, augmenter.evaluate(images))
    assert targets is labels


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_flips_by_probability(probability: float) -> None:
    images, labels = batch(200, 2)
    pixels = trained(augment(flip=probability), images, labels)[0].round()
    kept = (pixels == images).all(dim=3).all(dim=2).all(dim=1)
    flipped = (pixels == images.flip(-1)).all(dim=3).all(dim=2).all(dim=1)
    assert (flipped ^ kept).all()
    assert flipped.float().mean() == pytest.approx(probability, abs=0.1)


def test_crops_show_the_very_pixels_at_every_place() -> None:
    images, labels = batch(100, 4)
    pixels = trained(augment(pad_crop=1), images, labels)[0].round()
    padded = torch.nn.functional.pad(images, (1,) * 4).float()
    places = {(top, left): 0 for top in range(3) for left in range(3)}
    for image, wide in zip(pixels, padded, strict=True):
        ((top, left),) = [
            (top, left)
            for top, left in places
            if torch.equal(image, wide[:, top : top + 4, left : left + 4])
        ]
        places[top, left] += 1
    assert min(places.values()) >= 3  # 11 expected


def test_border_is_black_before_normalising() -> None:
    images = torch.full((20, 3, 4, 4), 255, dtype=torch.uint8)
    floats, _ = trained(augment(pad_crop=4, mean=0.5, std=0.5), images, torch.zeros(20).long())
    assert floats.unique().tolist() == [-1.0, 1.0]


def test_erased_are_zeros_after_normalising() -> None:
    images = torch.full((400, 3, 32, 32), 255, dtype=torch.uint8)
    labels = torch.zeros(400).long()
    floats, _ = trained(augment(erase=0.25, mean=0.5, std=0.5), images, labels)
    assert floats.unique().tolist() == [0.0, 1.0]
    area = (floats == 0).float().mean((1, 2, 3))
    assert (area > 0).float().mean() == pytest.approx(0.25, abs=0.07)
    assert area[area > 0].min() > 0.01
    assert area.max() < 0.36


def test_jitter_has_its_strength() -> None:
    images = torch.full((100, 3, 2, 2), 100, dtype=torch.uint8)
    floats, _ = trained(augment(jitter=0.1), images, torch.zeros(100).long())
    assert floats.min() >= 100 * 0.9 - 0.1  # grey: contrast and saturation change nothing
    assert floats.max() <= 100 * 1.1 + 0.1
    assert floats.max() - floats.min() > 10


# --- mixing ------------------------------------------------------------------------------------


def black_and_white(side: int = 8) -> tuple[Tensor, Tensor]:
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, side, side)
    return images.contiguous(), torch.tensor([2, 0])


def test_mixed_targets_by_hand() -> None:
    mixed = torch.tensor([[0.0, 2.0, 0.25], [1.0, 1.0, 0.5]])
    assert mixed_targets(mixed, 3).tolist() == [[0.75, 0.0, 0.25], [0.0, 1.0, 0.0]]


@pytest.mark.parametrize("seed", range(8))
def test_mixup_of_two_images(seed: int) -> None:
    """The share of white in a pixel is the probability of white's class."""
    images, labels = black_and_white()
    floats, targets = trained(augment(classes=3, mixup=1.0, std=1.0), images, labels, seed)
    assert targets.shape == (2, 3)
    for image, target in zip(floats, targets, strict=True):
        assert image.unique().numel() == 1
        assert image[0, 0, 0].item() == pytest.approx(target[0].item(), abs=1e-6)
    assert targets.sum(1).tolist() == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("seed", range(8))
def test_cutmix_of_two_images(seed: int) -> None:
    """The share of white pixels is the probability of white's class."""
    images, labels = black_and_white()
    floats, targets = trained(augment(classes=3, cutmix=1.0, std=1.0), images, labels, seed)
    for image, target in zip(floats, targets, strict=True):
        assert set(image.unique().tolist()) <= {0.0, 1.0}
        assert image.mean().item() == pytest.approx(target[0].item(), abs=1e-6)
    assert targets.sum(1).tolist() == pytest.approx([1.0, 1.0])


def test_mixup_draws_from_its_beta_distribution() -> None:
    """Mean one half; variance 1 / (4 (2 alpha + 1))."""
    images = torch.zeros(2000, 3, 1, 1, dtype=torch.uint8)
    labels = torch.arange(2000)
    for alpha in (0.2, 1.0, 4.0):
        _, targets = trained(augment(classes=2000, mixup=alpha), images, labels)
        own = targets.diagonal()
        assert own.mean().item() == pytest.approx(0.5, abs=0.04)
        assert own.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.12)


def test_with_both_each_batch_draws_one() -> None:
    images, labels = black_and_white()
    augmenter = augment(classes=3, mixup=5.0, cutmix=5.0, std=1.0)
    cut = 0
    for seed in range(40):
        floats, _ = trained(augmenter, images, labels, seed)
        cut += any(image.unique().numel() == 2 for image in floats)
    assert 8 <= cut <= 32


# --- policies ----------------------------------------------------------------------------------


def test_each_image_gets_the_change_that_it_drew() -> None:
    def add(amount: float):
        def change(images: Tensor) -> Tensor:
            return images + amount

        return change

    images = torch.zeros(300, 3, 1, 1)
    torch.manual_seed(0)
    changed = PerImage([add(1), add(10)], draws=2)(images)
    values, counts = changed[:, 0, 0, 0].unique(return_counts=True)
    assert values.tolist() == [2.0, 11.0, 20.0]
    assert counts.tolist() == pytest.approx([75, 150, 75], abs=30)
    assert images.abs().max() == 0


def drawn(policy: str, name: str, **options: int) -> Tensor:
    """What a change of a policy draws for 400 images of 64 pixels."""
    for change in make_policy(policy, **options).changes:
        torch.manual_seed(0)
        (item,) = change.forward_parameters(torch.Size((400, 3, 64, 64)))
        if name in item.data[0].data:
            return item.data[0].data[name]
    raise AssertionError(f"{policy} has no {name}")


def test_strength_of_rand_augment() -> None:
    """Magnitude 9 of 30: shears of 0.09, as published, and rotations of 9 degrees."""
    assert drawn("rand_augment", "degrees", magnitude=9).abs().unique().tolist() == [9.0]
    degrees = drawn("rand_augment", "shear_x", magnitude=9)
    assert degrees.deg2rad().tan().abs().max().item() == pytest.approx(0.09, abs=0.003)
    assert {True, False} == set((degrees > 0).tolist())
    pixels = drawn("rand_augment", "translate_x", magnitude=15)
    assert pixels.abs().max().item() == pytest.approx(64 * 75 / 331)


def test_strength_of_trivial_augment() -> None:
    tangents = drawn("trivial_augment", "shear_x").deg2rad().tan()
    assert 0.27 < tangents.abs().max() <= 0.3001
    assert tangents.abs().min() < 0.02


@pytest.mark.parametrize("policy", POLICIES)
def test_policies_change_images_and_stay_in_range(policy: str) -> None:
    images, labels = batch(60, 16)
    floats, _ = trained(augment(policy=policy, std=1.0), images, labels)
    assert floats.isfinite().all()
    assert floats.min() >= -1e-5
    assert floats.max() <= 1 + 1e-5
    changed = (floats * 255 - images).abs().amax((1, 2, 3)) > 1
    assert changed.float().mean() > 0.5


@pytest.mark.parametrize("magnitude", [0, 30])
def test_every_strength_of_a_recipe_works(magnitude: int) -> None:
    images, labels = batch()
    floats, _ = trained(augment(policy="rand_augment", policy_magnitude=magnitude), images, labels)
    assert floats.isfinite().all()


def test_unknown_policy() -> None:
    with pytest.raises(ValueError, match="unknown policy 'fast'; there are auto_augment"):
        make_policy("fast")


# --- randomness, layout, bad input -------------------------------------------------------------


@pytest.mark.parametrize("config", KINDS, ids=lambda config: "+".join(map(str, config)))
def test_the_seed_of_torch_decides_and_nothing_else(config: dict) -> None:
    images, labels = batch()
    before = images.clone()
    augmenter = augment(**config)
    states = random.getstate(), np.random.get_state()[1].tolist()
    first = trained(augmenter, images, labels, seed=1)
    trained(augmenter, images, labels, seed=2)  # leaves nothing behind
    again = trained(augmenter, images, labels, seed=1)
    fresh = trained(augment(**config), images, labels, seed=1)
    for other in (again, fresh):
        assert torch.equal(first[0], other[0])
        assert torch.equal(first[1], other[1])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states
    assert torch.equal(images, before)
    differ = [trained(augmenter, images, labels, seed)[0] for seed in range(6)]
    assert any(not torch.equal(differ[0], other) for other in differ)


@pytest.mark.parametrize("config", [{}, *KINDS], ids=lambda config: "+".join(map(str, config)))
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_memory_layout_survives(config: dict, layout: torch.memory_format) -> None:
    images, labels = batch()
    images = images.contiguous(memory_format=layout)
    floats, targets = trained(augment(**config), images, labels)
    assert floats.stride() == images.stride()
    assert floats.dtype == torch.float32
    assert not floats.requires_grad
    assert targets.shape in {(6,), (6, 4)}


@pytest.mark.parametrize("config", KINDS, ids=lambda config: "+".join(map(str, config)))
def test_a_batch_of_one(config: dict) -> None:
    images, labels = batch(1)
    floats, targets = trained(augment(**config), images, labels)
    assert floats.shape == images.shape
    assert len(targets) == 1


@pytest.mark.parametrize("images", [torch.zeros(2, 3, 4, 4), torch.zeros(3, 4, 4).byte()])
def test_images_of_another_kind(images: Tensor) -> None:
    with pytest.raises(ValueError, match=r"must be uint8 \(B, 3, H, W\)"):
        augment().evaluate(images)
    with pytest.raises(ValueError, match=r"got (float32 \(2,|uint8 \(3,)"):
        augment().train(images, torch.zeros(2).long())
