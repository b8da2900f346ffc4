"""Joint views: image and target move together, and only seed, epoch and index decide how."""

import pytest
import torch

from mnv3lib.data.base import ImageDataset
from mnv3lib.data.part import Part
from mnv3lib.data.viewed import Viewed


class Numbered(ImageDataset):
    """Images of 2x3 pixels whose values, and those of the masks, are their number."""

    task = "segmentation"

    def __init__(self, count: int) -> None:
        super().__init__(name="numbered", classes=["one"])
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index):
        return torch.full((3, 2, 3), index, dtype=torch.uint8), torch.full((2, 3), index)


def shifted(image, mask, generator):
    """Adds the same random number to both."""
    number = torch.randint(100, (), generator=generator)
    return image + number.to(torch.uint8), mask + number


def test_image_and_target_go_through_the_view_together():
    data = Viewed(Numbered(4), shifted, seed=1)
    images, masks = data.collate([data[0], data[3]])
    assert images.shape == (2, 3, 2, 3)
    assert torch.equal(images[:, 0].long(), masks)
    assert (data.name, data.classes, data.task, len(data)) == (
        "numbered",
        ("one",),
        "segmentation",
        4,
    )


def test_seed_epoch_and_index_decide():
    def draws(seed, epoch):
        data = Viewed(Numbered(4), shifted, seed=seed)
        data.set_epoch(epoch)
        return [int(data[i][1][0, 0]) - i for i in (3, 0, 3, 1)]

    first = draws(0, 0)
    assert first == draws(0, 0)
    assert first[0] == first[2]  # a second visit sees the same
    assert first != draws(0, 1)
    assert first != draws(1, 0)
    assert len(set(first)) > 1


def test_the_data_set_inside_follows_the_epoch():
    inner = Numbered(2)
    Part(Viewed(inner, shifted), torch.tensor([1])).set_epoch(5)
    assert inner.epoch == 5


def test_targets_of_another_kind_bring_their_own_collate():
    data = Viewed(Numbered(3), shifted, collate_targets=len)
    assert data.collate([data[0], data[1]])[1] == 2


def test_a_batch_needs_one_size():
    data = Viewed(Numbered(2), lambda image, mask, generator: (image, mask))
    image, mask = data[0]
    with pytest.raises(ValueError, match=r"images of a batch have the shapes \(3, 2, 2\), \(3, 2,"):
        data.collate([(image, mask), (image[:, :, :2], mask)])
    with pytest.raises(ValueError, match=r"masks of a batch have the shapes \(1, 3\), \(2, 3\)"):
        data.collate([(image, mask), (image, mask[:1])])
    with pytest.raises(ValueError, match="images of a batch are missing"):
        data.collate([])
