"""Views: sizes and positions by hand, ranges of the random one; what decoding makes of images."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mnv3lib.data import CenterView, RandomView, generator_for
from mnv3lib.data.images import decode_rgb, image_tensor


def ramp(width: int, height: int) -> Image.Image:
    """An image whose red is the column and whose green is the row of each pixel."""
    rows, columns = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([columns, rows, rows * 0], axis=2).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


# --- the centre --------------------------------------------------------------------------------


def test_centre_without_resize_is_a_crop_by_hand():
    pixels = CenterView(4)(ramp(10, 4))
    assert pixels.shape == (3, 4, 4)
    assert pixels.dtype == torch.uint8
    assert pixels[0, 0].tolist() == [
        3,
        4,
        5,
        6,
    ]  # (10 - 4) / 2 = 3 columns are left out on the left
    assert pixels[1, :, 0].tolist() == [0, 1, 2, 3]


def test_centre_of_a_tall_image():
    assert CenterView(4)(ramp(4, 8))[1, :, 0].tolist() == [2, 3, 4, 5]


def test_shorter_side_is_resized_and_the_longer_rounded_down():
    image = ramp(5, 3)  # 3 -> 4, 5 -> floor(6.67) = 6
    expected = image_tensor(image.resize((6, 4), Image.Resampling.BILINEAR))[:, :, 1:5]
    assert torch.equal(CenterView(4)(image), expected)


def test_resize_then_crop():
    image = ramp(100, 50)
    resized = image_tensor(image.resize((32, 16), Image.Resampling.BICUBIC))
    view = CenterView(8, resize=16, interpolation="bicubic")
    assert torch.equal(view(image), resized[:, 4:12, 12:20])


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 40), st.integers(0, 20))
def test_centre_has_its_size_whatever_the_image(width, height, resolution, more):
    view = CenterView(resolution, resize=resolution + more)
    assert view(ramp(width, height)).shape == (3, resolution, resolution)


# --- a random part -----------------------------------------------------------------------------


@given(
    st.integers(16, 400),
    st.integers(16, 400),
    st.integers(0, 10_000),
    st.sampled_from([(0.08, 1.0), (0.35, 1.0), (0.9, 0.9)]),
)
def test_part_lies_inside_with_allowed_area_and_ratio(width, height, seed, area):
    view = RandomView(8, area=area)
    left, top, right, bottom = view.box((width, height), generator_for(seed))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    w, h = right - left, bottom - top
    # Sides are rounded to whole pixels, so the bounds hold for some real sides within half a pixel.
    assert (w - 0.5) / (h + 0.5) <= 4 / 3 + 1e-9
    assert (w + 0.5) / (h - 0.5) >= 3 / 4 - 1e-9
    if w < width and h < height:  # else it may be the largest part, when no draw has fitted
        assert (w - 0.5) * (h - 0.5) <= area[1] * width * height + 1e-9
    if 3 / 4 <= width / height <= 4 / 3 and area[0] < 0.5:  # then a draw always fits soon
        assert (w + 0.5) * (h + 0.5) >= area[0] * width * height - 1e-9


def test_areas_are_uniform_and_ratios_symmetric_about_one():
    view = RandomView(8, area=(0.1, 0.5))
    boxes = [view.box((400, 400), generator_for(0, index)) for index in range(2000)]
    sides = torch.tensor([[r - x, b - y] for x, y, r, b in boxes], dtype=torch.float64)
    area = sides.prod(1) / 400**2
    # mean of uniform (0.1, 0.5) is 0.3, its spread 0.4 / sqrt(12) = 0.115: error of 2,000 is 0.0026
    assert area.mean().item() == pytest.approx(0.3, abs=0.011)
    logs = (sides[:, 0] / sides[:, 1]).log()
    assert logs.mean().item() == pytest.approx(0, abs=0.015)


def test_image_that_no_draw_fits_gives_the_largest_centred_part():
    view = RandomView(4, area=(1.0, 1.0))
    assert view.box((300, 100), generator_for(0)) == (83, 0, 216, 100)  # 100 * 4/3 = 133 wide
    assert view.box((100, 300), generator_for(0)) == (0, 83, 100, 216)  # 100 / (3/4) = 133 high


def test_part_is_cropped_first_and_resized_then():
    view = RandomView(6)
    image = ramp(40, 30)
    part = image.crop(view.box(image.size, generator_for(3)))
    expected = image_tensor(part.resize((6, 6), Image.Resampling.BILINEAR))
    assert torch.equal(view(image, generator_for(3)), expected)


def test_random_filter_is_one_of_the_two():
    image = Image.effect_noise((40, 30), 90).convert("RGB")
    seen = set()
    for index in range(12):
        views = [RandomView(9, interpolation=name) for name in ("bilinear", "bicubic", "random")]
        one, two, mixed = (view(image, generator_for(index)) for view in views)
        assert not torch.equal(one, two)
        assert torch.equal(mixed, one) or torch.equal(mixed, two)
        seen.add(torch.equal(mixed, one))
    assert seen == {True, False}


def test_same_generator_same_view():
    image = ramp(60, 50)
    view = RandomView(16, interpolation="random")
    assert torch.equal(view(image, generator_for(1, 2)), view(image, generator_for(1, 2)))
    assert not torch.equal(view(image, generator_for(1, 2)), view(image, generator_for(1, 3)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: CenterView(0), "resolution must be at least 1, got 0"),
        (lambda: CenterView(224, resize=200), "resize \\(200\\) must be at least"),
        (lambda: CenterView(8, interpolation="nearest"), "got 'nearest'"),
        (lambda: CenterView(8, interpolation="random"), "bilinear or bicubic, got 'random'"),
        (lambda: RandomView(8, area=(0.0, 1.0)), "area"),
        (lambda: RandomView(8, area=(0.5, 0.2)), "area"),
        (lambda: RandomView(8, ratio=(2.0, 1.0)), "ratio"),
    ],
)
def test_views_out_of_range(make, words):
    with pytest.raises(ValueError, match=words):
        make()


# --- decoding ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (1, 1), 90), [90, 90, 90]),
        (Image.new("1", (1, 1), 1), [255, 255, 255]),
        (Image.new("RGBA", (1, 1), (200, 100, 0, 0)), [255, 255, 255]),
        (Image.new("RGBA", (1, 1), (200, 100, 0, 51)), [244, 224, 204]),  # a fifth over white
        (Image.new("LA", (1, 1), (0, 0)), [255, 255, 255]),
        (Image.new("I;16", (1, 1), 90 * 256 + 255), [90, 90, 90]),
    ],
)
def test_odd_pixel_formats_become_rgb(image, expected):
    decoded = decode_rgb(encoded(image), "x")
    assert decoded.mode == "RGB"
    assert image_tensor(decoded).flatten().tolist() == expected


def test_palettes_become_rgb_and_their_transparency_white():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    assert image_tensor(decode_rgb(encoded(image), "x"))[:, 0].T.tolist() == [
        [10, 20, 30],
        [40, 50, 60],
    ]
    clear = decode_rgb(encoded(image, transparency=0), "x")
    assert image_tensor(clear)[:, 0].T.tolist() == [[255, 255, 255], [40, 50, 60]]


def test_cmyk_jpegs_become_rgb():
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # no cyan, all else: red
    red, green, blue = image_tensor(decode_rgb(encoded(image, "JPEG"), "x"))[:, 0, 0].tolist()
    assert red > 250
    assert max(green, blue) < 5


def test_rotation_in_the_exif_data_is_not_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90 degrees"
    content = encoded(Image.new("RGB", (8, 4)), "JPEG", exif=exif)
    assert decode_rgb(content, "x").size == (8, 4)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_damaged_images_are_named(kind):
    noise = Image.effect_noise((64, 64), 90).convert("RGB")
    content = encoded(noise, kind)
    for broken in (content[: len(content) // 2], content[:10], b"", b"no image at all"):
        with pytest.raises(ValueError, match=r"photo 7 .*corrupt or cut short.*mnv3 data check"):
            decode_rgb(broken, "photo 7")


def test_pixels_without_a_range_are_refused():
    with pytest.raises(ValueError, match="'F' has no fixed range"):
        decode_rgb(encoded(Image.new("F", (2, 2)), "TIFF"), "x")
