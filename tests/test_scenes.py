"""Scenes of emoji: boxes and masks are those of the pixels, and nothing but the seed decides."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mnv3lib.data import load_dataset
from mnv3lib.data.inspect import check_dataset
from mnv3lib.data.scenes import EmojiScenes, _keep_visible, _Object, visible_boxes

FEW = ("drink", "food-fruit", "transport-air")
SCENES = {
    task: EmojiScenes("train", size=(96, 120), count=60, seed=3, task=task, classes=FEW)
    for task in ("detection", "segmentation")
}


def block(top: int, left: int, height: int, width: int, alpha: float = 1.0, **changes) -> _Object:
    """An object that is a rectangle."""
    colour, cover = torch.zeros(3, height, width), torch.full((1, height, width), alpha)
    pixels = height * width if alpha > 0.5 else 0
    fields = {"label": 0, "top": top, "left": left, "colour": colour, "alpha": cover}
    return _Object(**{**fields, "pixels": pixels, **changes})


def test_boxes_by_hand():
    owners = torch.full((4, 6), -1)
    owners[1:3, 2:5] = 0
    owners[2, 4] = 1
    assert visible_boxes(owners, 2).tolist() == [[2, 1, 5, 3], [4, 2, 5, 3]]
    assert visible_boxes(owners, 0).shape == (0, 4)


def test_what_is_in_front_covers():
    kept, owners = _keep_visible([block(0, 0, 2, 2), block(0, 0, 2, 4)], (3, 4))
    assert len(kept) == 2
    assert owners.tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [-1, -1, -1, -1]]
    assert visible_boxes(owners, 2).tolist() == [[0, 0, 2, 2], [2, 0, 4, 2]]


def test_less_than_a_quarter_visible_is_left_out():
    """Of eight pixels behind, seven and then six are covered; the last one is in full view."""
    seven = block(0, 0, 1, 7)
    assert len(_keep_visible([seven, block(0, 0, 1, 8)], (1, 8))[0]) == 1
    six = block(0, 0, 1, 6)
    assert len(_keep_visible([six, block(0, 0, 1, 8)], (1, 8))[0]) == 2


def test_what_is_left_out_covers_nothing():
    """The second is hidden by the first, so the third is judged as if the second were not there."""
    front, hidden = block(0, 0, 1, 4), block(0, 0, 1, 5)
    kept, owners = _keep_visible([front, hidden, block(0, 4, 1, 1)], (1, 5))
    assert [thing.place[1].start for thing in kept] == [0, 4]
    assert owners.tolist() == [[0, 0, 0, 0, 1]]


def test_cut_by_the_border_counts_as_hidden():
    assert _keep_visible([block(0, 0, 1, 1, pixels=5)], (2, 2))[0] == []


def test_half_covered_pixels_are_background():
    kept, owners = _keep_visible([block(0, 0, 2, 2, alpha=0.5)], (2, 2))
    assert kept == []
    assert (owners == -1).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), height=st.integers(64, 150), width=st.integers(64, 150))
def test_boxes_and_masks_agree(seed, height, width):
    """Held against numpy's own tight box of each object's pixels."""
    size = (height, width)
    data = EmojiScenes("test", size=size, count=2, seed=seed, objects=(0, 8), classes=FEW)
    masks = EmojiScenes(
        "test", size=size, count=2, seed=seed, objects=(0, 8), classes=FEW, task="segmentation"
    )
    for index in range(2):
        scene, (image, target) = data.scene(index), data[index]
        owners = scene.owners.numpy()
        assert set(np.unique(owners)) - {-1} == set(range(len(scene.labels)))
        for number, box in enumerate(target["boxes"].tolist()):
            columns = np.flatnonzero((owners == number).any(axis=0))
            rows = np.flatnonzero((owners == number).any(axis=1))
            assert box == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        other, mask = masks[index]
        assert torch.equal(image, other)
        expected = np.zeros(size, np.uint8)
        for number, label in enumerate(target["labels"].tolist()):
            expected[owners == number] = label + 1
        assert np.array_equal(mask.numpy(), expected)


def test_detection_target():
    data = SCENES["detection"]
    assert data.classes == FEW
    sizes = []
    for index in range(20):
        image, target = data[index]
        count = len(target["boxes"])
        sizes.append(count)
        assert (image.dtype, image.shape) == (torch.uint8, (3, 96, 120))
        assert (target["boxes"].dtype, target["boxes"].shape) == (torch.float32, (count, 4))
        assert (target["labels"].dtype, target["labels"].shape) == (torch.int64, (count,))
        assert (target["crowd"].dtype, target["crowd"].shape) == (torch.bool, (count,))
        assert target["image_id"] == index
        x0, y0, x1, y1 = target["boxes"].unbind(1)
        assert bool(((x0 >= 0) & (y0 >= 0) & (x1 <= 120) & (y1 <= 96)).all())
        assert bool(((x1 > x0) & (y1 > y0)).all())
    assert max(sizes) <= 6
    assert len(set(sizes)) > 3


def test_segmentation_target():
    data = SCENES["segmentation"]
    assert data.classes == ("background", *FEW)
    masks = torch.stack([data[index][1] for index in range(20)])
    assert masks.dtype == torch.uint8
    assert set(masks.unique().tolist()) == {0, 1, 2, 3}
    share = (masks > 0).float().mean()
    assert 0.1 < share < 0.9


def test_an_opaque_pixel_shows_its_owner():
    """One emoji on a background: where it is opaque its own colours are seen, elsewhere not."""
    data = EmojiScenes("train", size=(128, 128), count=5, objects=(1, 1), classes=FEW)
    for index in range(5):
        scene = data.scene(index)
        inside = scene.image[:, scene.owners == 0].float()
        outside = scene.image[:, scene.owners == -1].float()
        assert inside.std() > 0
        assert (inside.mean(dim=1) - outside.mean(dim=1)).abs().max() > 1


def test_same_seed_same_scenes():
    again = EmojiScenes("train", size=(96, 120), count=60, seed=3, classes=FEW)
    again.set_epoch(7)  # a scene does not change with the epoch
    for index in (59, 0, 17):  # nor with the order of visits
        image, target = again[index]
        expected, wanted = SCENES["detection"][index]
        assert torch.equal(image, expected)
        assert torch.equal(target["boxes"], wanted["boxes"])
    other = EmojiScenes("train", size=(96, 120), count=60, seed=4, classes=FEW)
    assert not torch.equal(other[0][0], again[0][0])
    assert not torch.equal(again[1][0], again[0][0])


def test_the_global_generator_is_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    _ = SCENES["detection"][1]
    assert torch.equal(torch.rand(1), expected)


def test_parts_share_no_emoji():
    train, test = (EmojiScenes(split, classes=FEW, count=1) for split in ("train", "test"))
    seen, unseen = ({row.codepoint for _, row in part.rows} for part in (train, test))
    assert seen.isdisjoint(unseen)
    designer = EmojiScenes("test", classes=FEW, count=1, by="style")
    assert {style for style, _ in designer.rows} == {"openmoji"}


def test_batches():
    data = SCENES["detection"]
    images, targets = data.collate([data[0], data[1]])
    assert [tuple(image.shape) for image in images] == [(3, 96, 120)] * 2
    assert [target["image_id"] for target in targets] == [0, 1]


def test_scenes_by_name():
    data = load_dataset("emoji-scenes", "test", task="segmentation", count=3, size=[64, 80], seed=2)
    same = EmojiScenes("test", task="segmentation", count=3, size=(64, 80), seed=2)
    assert (len(data), data.classes) == (3, same.classes)
    assert torch.equal(data[1][0], same[1][0])
    assert torch.equal(data[1][1], same[1][1])
    assert load_dataset("emoji-scenes").task == "detection"
    with pytest.raises(ValueError, match="has no option colour; it takes task, size, count"):
        load_dataset("emoji-scenes", colour="red")


def test_scenes_are_checked_like_files(monkeypatch):
    monkeypatch.setattr(EmojiScenes, "__len__", lambda self: 2)
    report = check_dataset("emoji-scenes", progress=False)
    assert report.ok
    assert report.images == {"train": 2, "test": 2}


def test_index_out_of_range():
    assert SCENES["detection"][-1][1]["image_id"] == 59
    with pytest.raises(IndexError):
        SCENES["detection"][60]
    assert len(list(SCENES["detection"])) == 60  # a plain loop ends


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (128, 40)}, r"64 or more pixels, got \(128, 40\)"),
        ({"count": 0}, "count must be at least 1, got 0"),
        ({"objects": (4, 2)}, r"two rising numbers from 0 on, got \(4, 2\)"),
        ({"task": "pose"}, "'detection' or 'segmentation', got 'pose'"),
        ({"classes": ["dragon", "drink"]}, "no class dragon"),
        ({"split": "val"}, "splits train, test, not 'val'"),
    ],
)
def test_bad_requests(options, message):
    with pytest.raises(ValueError, match=message):
        EmojiScenes(**{"split": "train", **options})
