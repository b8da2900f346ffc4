"""Views of image and mask: both show the same part, and what lies outside belongs to no class."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mnv3lib.data.base import generator_for
from mnv3lib.data.mask_folder import VOID, MaskFiles
from mnv3lib.data.mask_views import MaskView, RandomMaskView, _window, resize_pair
from mnv3lib.data.viewed import Viewed


def halves(height: int = 20, width: int = 30) -> tuple[torch.Tensor, torch.Tensor]:
    """The left half is black and of class 0, the right half white and of class 1."""
    mask = torch.zeros(height, width, dtype=torch.uint8)
    mask[:, width // 2 :] = 1
    return (mask * 255).expand(3, -1, -1).contiguous(), mask


def test_evaluation_leaves_the_mask_alone():
    image, mask = halves()
    small, same = MaskView((10, 12))(image, mask)
    assert small.shape == (3, 10, 12)
    assert same is mask
    assert MaskView(10)(image, mask)[0].shape == (3, 10, 15)
    assert torch.equal(MaskView((20, 30))(image, mask)[0], image)


def test_resizing_is_anti_aliased_and_labels_are_not_mixed():
    """Of columns 0, 1, 0, 1, ... half as many are grey; their labels are still 0 or 1."""
    mask = torch.arange(8, dtype=torch.uint8).remainder(2).expand(4, -1).contiguous()
    image, labels = resize_pair((mask * 255).expand(3, -1, -1).contiguous(), mask, (2, 4))
    assert image[0, 0, 1:3].tolist() == pytest.approx([127, 127], abs=16)
    assert set(labels.unique().tolist()) <= {0, 1}


@pytest.mark.parametrize(
    ("arguments", "rows", "part"),
    [
        ((10, 1.0, 10, 0.5), (0, 10), (0.0, 10.0)),
        ((10, 2.0, 5, 0.0), (0, 5), (0.0, 2.5)),  # the first quarter at twice the size
        ((10, 2.0, 5, 0.999), (0, 5), (7.5, 10.0)),
        ((10, 0.5, 8, 0.0), (0, 5), (0.0, 10.0)),  # smaller than the part: at its start
        ((10, 0.5, 8, 0.999), (3, 8), (0.0, 10.0)),
        ((10, 0.01, 8, 0.0), (0, 1), (0.0, 10.0)),  # a pixel is left of everything
    ],
)
def test_windows_by_hand(arguments, rows, part):
    seen, found = _window(*arguments)
    assert (seen.start, seen.stop) == rows
    assert found == pytest.approx(part)


@given(
    seed=st.integers(0, 10**6),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    low=st.floats(0.1, 3),
    ratio=st.floats(1, 4),
)
def test_image_and_mask_stay_together(seed, size, low, ratio):
    """Away from the border between the halves, the colour of a pixel tells its label."""
    view = RandomMaskView(size, (low, low * ratio), fill=(9, 9, 9))
    image, mask = view(*halves(), generator_for(seed))
    assert (image.shape, mask.shape) == ((3, *size), size)
    assert (image.dtype, mask.dtype) == (torch.uint8, torch.uint8)
    assert set(mask.unique().tolist()) <= {0, 1, VOID}
    assert bool((image[:, mask == VOID] == 9).all())
    inside = mask != VOID
    assert bool(inside.any())
    clear = inside & ((image[0] == 0) | (image[0] == 255))
    assert torch.equal(image[0][clear] // 255, mask[clear])


def test_factor_of_one_and_the_images_own_size_change_nothing():
    image, mask = halves()
    found = RandomMaskView((20, 30), (1.0, 1.0))(image, mask, generator_for(0))
    assert torch.equal(found[0], image)
    assert torch.equal(found[1], mask)


def test_without_scale_the_whole_image_is_resized():
    image, mask = RandomMaskView((10, 16), None)(*halves(), generator_for(0))
    assert (image.shape, mask.shape) == ((3, 10, 16), (10, 16))
    assert mask[0].tolist() == [0] * 8 + [1] * 8


def test_scales_and_places_differ():
    view = RandomMaskView((10, 10), (0.6, 2.0))
    shares = [view(*halves(), generator_for(n))[1].float().mean().item() for n in range(20)]
    assert len({round(share, 3) for share in shares}) > 5


def write(tmp_path, image: Image.Image, mask: np.ndarray) -> MaskFiles:
    """A data set of one image that is void or one of two classes."""
    image.save(tmp_path / "image.png")
    Image.fromarray(mask.astype(np.uint8)).save(tmp_path / "mask.png")
    files = ([tmp_path / "image.png"], [tmp_path / "mask.png"])
    return MaskFiles(*files, ["a", "b"], {0: 0, 1: 1, 2: VOID}, name="one", title="One")


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (10, 20, 30, 0), [255, 255, 255]),  # transparent: white shows
        ("RGBA", (10, 20, 30, 255), [10, 20, 30]),
        ("L", 40, [40, 40, 40]),
        ("LA", (40, 255), [40, 40, 40]),
    ],
)
def test_images_with_alpha_or_one_channel_become_rgb(tmp_path, mode, colour, expected):
    data = write(tmp_path, Image.new(mode, (4, 3), colour), np.array([[0, 1, 2, 2]] * 3))
    image, mask = Viewed(data, MaskView((6, 8)))[0]
    assert image[:, 2, 2].tolist() == expected
    assert mask[0].tolist() == [0, 1, VOID, VOID]


def test_masks_of_another_size(tmp_path):
    data = write(tmp_path, Image.new("RGB", (4, 3)), np.zeros((3, 5)))
    with pytest.raises(ValueError, match=r"mask\.png is 5x3 pixels, its image .* 4x3"):
        Viewed(data, MaskView((6, 8)))[0]


def test_labels_that_are_no_class(tmp_path):
    data = write(tmp_path, Image.new("RGB", (4, 3)), np.full((3, 4), 7))
    with pytest.raises(ValueError, match=r"mask\.png holds the value 7, .* expected \[0, 1, 2\]"):
        Viewed(data, MaskView((6, 8)))[0]


@pytest.mark.parametrize("view", [MaskView((4, 4)), RandomMaskView((4, 4))])
def test_pairs_that_do_not_fit(view):
    image, mask = halves()
    generator = generator_for(0)
    with pytest.raises(ValueError, match=r"mask has the shape \(19, 30\), its image \(20, 30\)"):
        view(image, mask[1:], generator)
    with pytest.raises(ValueError, match=r"expected an RGB image, .* got uint8 \(4, 20, 30\)"):
        view(torch.cat([image, image[:1]]), mask, generator)
    with pytest.raises(ValueError, match=r"expected an RGB image, .* got uint8 \(1, 20, 30\)"):
        view(image[:1], mask, generator)
    with pytest.raises(ValueError, match=r"expected an RGB image, .* got float32"):
        view(image.float(), mask, generator)
    with pytest.raises(ValueError, match="the mask must be uint8, got int64"):
        view(image, mask.long(), generator)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaskView(0), r"at least 1 pixel, got \(0, 0\)"),
        (lambda: RandomMaskView((4, 0)), r"at least 1 pixel, got \(4, 0\)"),
        (lambda: RandomMaskView((4, 4), (2.0, 1.0)), r"rising factors above 0, got \(2.0, 1.0\)"),
        (lambda: RandomMaskView((4, 4), (0.0, 1.0)), r"rising factors above 0, got \(0.0, 1.0\)"),
    ],
)
def test_bad_requests(make, message):
    with pytest.raises(ValueError, match=message):
        make()
