"""Views of images with boxes: what the boxes contain stays what they contain."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnv3lib.data.base import generator_for
from mnv3lib.data.box_batch import collate_boxes
from mnv3lib.data.box_views import BoxView, RandomBoxView
from mnv3lib.data.scenes import EmojiScenes
from mnv3lib.data.viewed import Viewed


def image(width: int = 40, height: int = 20) -> torch.Tensor:
    return torch.zeros(3, height, width, dtype=torch.uint8)


def target(*boxes: tuple, **more: object) -> dict:
    count = len(boxes)
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.arange(count),
        "crowd": torch.zeros(count, dtype=torch.bool),
        "image_id": 7,
        **more,
    }


# --- the whole image ---------------------------------------------------------------------------


def test_boxes_stretch_with_the_image():
    picture = image()
    picture[:, 5:10, 10:30] = 255
    square, moved = BoxView(80)(picture, target((10, 5, 30, 10)))
    assert moved["boxes"].tolist() == [[20, 20, 60, 40]]
    assert moved["size"] == (40, 20)
    assert moved["image_id"] == 7
    assert (square[:, 22:38, 22:58] > 200).all()  # away from the edges, which are smoothed
    assert square[:, :16].amax() == square[:, 44:].amax() == 0


def test_boxes_over_the_border_stay_as_annotated():
    _, moved = BoxView(80)(image(), target((-4, 5, 44, 10)))
    assert moved["boxes"].tolist() == [[-8, 20, 88, 40]]


def test_images_without_boxes():
    for view in (BoxView(32), RandomBoxView(32)):
        square, moved = view(image(), target(), generator_for(0))
        assert square.shape == (3, 32, 32)
        assert moved["boxes"].shape == (0, 4)


@pytest.mark.parametrize("view", [BoxView(32), RandomBoxView(32)])
@pytest.mark.parametrize("box", [(40, 0, 50, 10), (0, 20, 5, 25), (-9, 0, 0, 5), (50, 50, 60, 60)])
def test_boxes_outside_of_the_image_are_named(view, box):
    with pytest.raises(ValueError, match=r"image 7: the box .* outside of the image of 40 x 20"):
        view(image(), target(box), generator_for(0))


@pytest.mark.parametrize("channels", [1, 4])
def test_images_that_are_not_rgb_are_named(channels):
    with pytest.raises(ValueError, match=r"uint8 \(3, H, W\).*read_rgb"):
        BoxView(32)(torch.zeros(channels, 9, 9, dtype=torch.uint8), target())


# --- a random part -----------------------------------------------------------------------------


@given(
    size=st.tuples(st.integers(4, 90), st.integers(4, 90)),
    seed=st.integers(0, 10**6),
    count=st.integers(0, 4),
)
def test_random_parts_follow_the_rules(size, seed, count):
    generator = generator_for(seed)
    corners = torch.rand(count, 2, 2, generator=generator).sort(1).values
    corners[:, 1] += 0.01
    boxes = (corners * torch.tensor(size)).reshape(-1, 4)
    view = RandomBoxView(48, area=(0.2, 0.9))
    left, top, right, bottom = view.part(size, boxes, generator)
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    whole = (left, top, right, bottom) == (0, 0, *size)
    assert whole or count == 0 or _shown(boxes, (left, top, right, bottom)).any()


def _shown(boxes: torch.Tensor, part: tuple[int, ...]) -> torch.Tensor:
    x, y = ((boxes[:, :2] + boxes[:, 2:]) / 2).unbind(1)
    return (part[0] <= x) & (x < part[2]) & (part[1] <= y) & (y < part[3])


def test_parts_have_the_asked_area_and_ratio():
    view, sizes = RandomBoxView(32, area=(0.25, 0.5), ratio=(0.8, 1.25)), []
    for seed in range(200):
        left, top, right, bottom = view.part((200, 200), torch.zeros(0, 4), generator_for(seed))
        sizes.append((right - left, bottom - top))
    parts = [size for size in sizes if size != (200, 200)]
    assert 10 < len(sizes) - len(parts) < 60  # 15 % of 200 are 30
    assert all(0.24 < w * h / 200**2 < 0.51 and 0.78 < w / h < 1.28 for w, h in parts)
    assert min(w * h for w, h in parts) < 0.3 * 200**2
    assert max(w * h for w, h in parts) > 0.45 * 200**2


def test_a_large_overlap_is_kept_where_it_is_asked_for(monkeypatch):
    monkeypatch.setattr("mnv3lib.data.box_views._OVERLAPS", (0.7,))
    box = torch.tensor([[50.0, 50.0, 150.0, 150.0]])
    parts = [RandomBoxView(32).part((200, 200), box, generator_for(seed)) for seed in range(60)]
    parts = [part for part in parts if part != (0, 0, 200, 200)]
    assert parts
    for left, top, right, bottom in parts:
        both = (min(right, 150) - max(left, 50)) * (min(bottom, 150) - max(top, 50))
        assert both / ((right - left) * (bottom - top) + 100**2 - both) >= 0.7


def test_boxes_are_cut_and_dropped_by_their_centres(monkeypatch):
    monkeypatch.setattr(RandomBoxView, "part", lambda *_: (10, 0, 30, 20))
    given = target((0, 0, 24, 10), (0, 0, 18, 10), (20, 10, 40, 20), (12, 2, 14, 4))
    square, moved = RandomBoxView(40)(image(), given, generator_for(0))
    assert square.shape == (3, 40, 40)
    assert moved["labels"].tolist() == [0, 3]  # centres at 12, 9, 30 and 13; the part ends at 30
    assert moved["boxes"].tolist() == [[0, 0, 28, 20], [4, 4, 8, 8]]
    assert moved["crowd"].shape == (2,)
    assert moved["size"] == (40, 20)
    assert given["labels"].tolist() == [0, 1, 2, 3]  # the data set's own stays whole


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"area": (0.0, 1.0)}, "area"),
        ({"area": (0.5, 0.4)}, "area"),
        ({"ratio": (2.0, 1.0)}, "ratio"),
        ({"tries": 0}, "tries"),
        ({"resolution": 0}, "resolution"),
    ],
)
def test_values_out_of_range_are_named(changes, words):
    with pytest.raises(ValueError, match=words):
        RandomBoxView(**{"resolution": 32, **changes})
    with pytest.raises(ValueError, match="resolution"):
        BoxView(0)


# --- as a data set -----------------------------------------------------------------------------


def test_scenes_through_a_random_view_are_a_function_of_seed_and_epoch():
    scenes = EmojiScenes("train", size=(96, 96), count=6, objects=(1, 3))
    sets = [
        Viewed(scenes, RandomBoxView(64), seed=seed, collate_targets=collate_boxes)
        for seed in (0, 0, 1)
    ]
    images, boxes = zip(*(_batch(viewed) for viewed in sets), strict=True)
    assert torch.equal(images[0], images[1])
    assert torch.equal(boxes[0].boxes, boxes[1].boxes)
    assert not torch.equal(images[0], images[2])
    sets[0].set_epoch(1)
    assert not torch.equal(images[0], _batch(sets[0])[0])
    assert images[0].shape == (6, 3, 64, 64)
    assert boxes[0].sizes.tolist() == [[96, 96]] * 6
    assert boxes[0].boxes.amin() >= 0
    assert boxes[0].boxes.amax() <= 64


def _batch(viewed: Viewed) -> tuple:
    return viewed.collate([viewed[index] for index in range(len(viewed))])
