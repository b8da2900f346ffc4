"""What every data set of the book offers, and the two ways to hold one: in memory or as files.

A data set is a map-style ``torch.utils.data.Dataset`` of pairs (image, target) that also knows its
classes, how to make a batch, and which epoch it is in. All its random choices are a function of
(seed, epoch, index): neither the order of visits nor the number of loader processes matters, and a
run that was killed continues with the same pixels. Taught in chapter 7 (training).
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from PIL import Image
from torch import Generator, Tensor
from torch.utils.data import Dataset

from mnv3lib.data.images import PathList, image_tensor, read_rgb

__all__ = [
    "ClassificationSet",
    "DataNotFoundError",
    "ImageArray",
    "ImageDataset",
    "ImageFiles",
    "Task",
    "View",
    "generator_for",
]

Task = Literal["classification", "detection", "segmentation"]
View = Callable[[Image.Image, Generator], Tensor]


class DataNotFoundError(FileNotFoundError):
    """A data set is not where it was looked for; the message says where to get it."""


def generator_for(seed: int, *numbers: int) -> Generator:
    """A random generator that is a function of some integers, the same on every machine.

    Args:
        seed: Seed of the run.
        *numbers: What else decides, for example the epoch and the image's index.

    Example:
        >>> torch.randint(1000, (3,), generator=generator_for(0, 2, 7)).tolist()
        [304, 300, 107]
    """
    text = ",".join(str(int(number)) for number in (seed, *numbers))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


class ImageDataset(Dataset):
    """Base of all data sets: names, the epoch, and how samples become a batch.

    Attributes:
        name: Name in the catalogue.
        title: Name to print beside a figure; differs where the data do, as in
            "CIFAR-10 (JPEG)".
        task: What the targets are for.
        classes: Names of the classes; the label is the position.
        seed: Seed of all random choices.
    """

    task: Task

    def __init__(
        self, *, name: str, classes: Sequence[str], title: str | None = None, seed: int = 0
    ) -> None:
        self.name = name
        self.title = title or name
        self.classes = tuple(classes)
        self.seed = seed
        # In shared memory, so that loader processes that outlive an epoch see the next one.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    @property
    def epoch(self) -> int:
        """The epoch that random choices belong to."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Says which epoch the next visits belong to; call it before each."""
        self._epoch.fill_(epoch)

    def generator(self, index: int) -> Generator:
        """The source of the random choices for one image in the present epoch."""
        return generator_for(self.seed, self.epoch, index)

    def __len__(self) -> int:
        raise NotImplementedError

    def collate(self, samples: Any) -> tuple[Any, Any]:
        """Makes a batch of samples; images and targets of several sizes stay lists.

        Args:
            samples: Pairs (image, target).

        Returns:
            The list of images, each uint8 (3, H, W), and the list of targets.
        """
        images, targets = zip(*samples, strict=True)
        return list(images), list(targets)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.title}, {len(self)} images)"


class ClassificationSet(ImageDataset):
    """Base of the sets with one label an image.

    Attributes:
        labels: int64 (N,), checked once.
    """

    task = "classification"

    def _set_labels(self, labels: Tensor | Sequence[int], images: int) -> None:
        self.labels = torch.as_tensor(labels, dtype=torch.int64)
        if self.labels.shape != (images,):
            raise ValueError(
                f"{self.name}: {images} images need as many labels, got a tensor of shape "
                f"{tuple(self.labels.shape)}"
            )
        wrong = torch.nonzero((self.labels < 0) | (self.labels >= len(self.classes)))
        if len(wrong):
            index = int(wrong[0])
            raise ValueError(
                f"{self.name}: label {int(self.labels[index])} of image {index} is outside of "
                f"0 to {len(self.classes) - 1} ({len(wrong)} such labels)"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def collate(self, samples: Any) -> tuple[Tensor, Tensor]:
        """Makes a batch; what ``__getitems__`` returned is one already.

        Returns:
            Images, uint8 (B, 3, H, W), and labels, int64 (B,).

        Raises:
            ValueError: The images are of several sizes.
        """
        if isinstance(samples, tuple):
            return samples
        images, labels = zip(*samples, strict=True)
        sizes = {tuple(image.shape[1:]) for image in images}
        if len(sizes) > 1:
            raise ValueError(
                f"{self.name}: images of sizes {sorted(sizes)} make no batch; load the data set "
                "with a view, for example view=CenterView(224)"
            )
        return torch.stack(images), torch.tensor(labels)


class ImageArray(ClassificationSet):
    """A classification set in memory; a batch is one ``index_select``.

    Args:
        images: uint8 (N, 3, H, W).
        labels: int64 (N,).
        classes: Names of the classes.
        name: Name in the catalogue.
        title: Name to print, if it differs.

    Raises:
        ValueError: Images of another type or shape, or labels that do not fit them.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor | Sequence[int],
        classes: Sequence[str],
        name: str,
        *,
        title: str | None = None,
    ) -> None:
        super().__init__(name=name, classes=classes, title=title)
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(
                f"{name}: images must be uint8 (N, 3, H, W), got {images.dtype} "
                f"{tuple(images.shape)}"
            )
        self.images = images
        self._set_labels(labels, len(images))

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], int(self.labels[index])

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """A whole batch at once; PyTorch's ``DataLoader`` asks for it by this name."""
        chosen = torch.as_tensor(indices)
        return self.images.index_select(0, chosen), self.labels.index_select(0, chosen)


class ImageFiles(ClassificationSet):
    """A classification set of image files, decoded when asked for.

    Args:
        paths: One file an image.
        labels: int64 (N,).
        classes: Names of the classes.
        name: Name in the catalogue.
        view: What makes a square image of each, see :mod:`mnv3lib.data.views`; native sizes
            without.
        seed: Seed of the view's random choices.
        title: Name to print, if it differs.
    """

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        labels: Tensor | Sequence[int],
        classes: Sequence[str],
        name: str,
        view: View | None = None,
        seed: int = 0,
        *,
        title: str | None = None,
    ) -> None:
        super().__init__(name=name, classes=classes, title=title, seed=seed)
        self.paths = PathList(paths)
        self.view = view
        self._set_labels(labels, len(self.paths))

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = read_rgb(self.paths[index])
        pixels = self.view(image, self.generator(index)) if self.view else image_tensor(image)
        return pixels, int(self.labels[index])
