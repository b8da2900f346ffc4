"""Views: what makes an image of any size a square one, while it is still a Pillow image.

Training looks at a random part of an image, testing at its centre. Both resize with an
anti-aliased filter, as Pillow does and torchvision's tensors by default do. Flips, colours, erasing
and mixing come later, on whole batches, in :mod:`mnv3lib.train`. Taught in chapter 7 (training).
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from PIL import Image
from torch import Generator, Tensor

from mnv3lib.data.images import image_tensor

__all__ = ["CenterView", "Interpolation", "RandomView"]

Interpolation = Literal["bilinear", "bicubic", "random"]

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_TRIES = 10


def _check(resolution: int, interpolation: str, allowed: tuple[str, ...]) -> None:
    if resolution < 1:
        raise ValueError(f"resolution must be at least 1, got {resolution}")
    if interpolation not in allowed:
        raise ValueError(f"interpolation must be {' or '.join(allowed)}, got {interpolation!r}")


@dataclass(frozen=True)
class CenterView:
    """Shorter side to a length, then the centre square: how ImageNet accuracy is measured.

    Attributes:
        resolution: Side of the square, pixels.
        resize: Length of the shorter side before the crop, at least ``resolution`` (the default);
            256 for 224 is common.
        interpolation: Filter of the resize.

        random: False: every visit to an image sees the same.

    Raises:
        ValueError: A value out of range.

    Example:
        >>> CenterView(224, resize=256)(Image.new("RGB", (500, 375))).shape
        torch.Size([3, 224, 224])
    """

    resolution: int
    resize: int | None = None
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    random: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check(self.resolution, self.interpolation, tuple(_FILTERS))
        if self.resize is not None and self.resize < self.resolution:
            raise ValueError(
                f"resize ({self.resize}) must be at least resolution ({self.resolution}): a crop "
                "cannot be larger than the image"
            )

    def __call__(self, image: Image.Image, generator: Generator | None = None) -> Tensor:
        """The view of an RGB image, uint8 (3, resolution, resolution); nothing is random."""
        shorter = self.resize or self.resolution
        width, height = (max(1, side * shorter // min(image.size)) for side in image.size)
        if (width, height) != image.size:
            image = image.resize((width, height), _FILTERS[self.interpolation])
        left = round((width - self.resolution) / 2)
        top = round((height - self.resolution) / 2)
        return image_tensor(image.crop((left, top, left + self.resolution, top + self.resolution)))


@dataclass(frozen=True)
class RandomView:
    """A random part of the image, resized to a square: Inception's training crop.

    The part's share of the area is uniform in ``area`` and its width over its height log-uniform
    in ``ratio`` (Szegedy et al., "Going deeper with convolutions", section 6). A draw that does
    not fit into the image is repeated, up to ten times; then the largest centred part with an
    allowed ratio is taken, as torchvision does.

    Attributes:
        resolution: Side of the square, pixels.
        area: Smallest and largest share of the image's area.
        ratio: Smallest and largest width over height.
        interpolation: Filter of the resize; ``"random"`` draws one of the two for each image.
        random: True: every visit to an image in another epoch sees another part.

    Raises:
        ValueError: A value out of range.
    """

    resolution: int
    area: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: Interpolation = "bilinear"
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check(self.resolution, self.interpolation, (*_FILTERS, "random"))
        if not 0 < self.area[0] <= self.area[1] <= 1:
            raise ValueError(f"area must be two rising shares in (0, 1], got {self.area}")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"ratio must be two rising numbers above 0, got {self.ratio}")

    def __call__(self, image: Image.Image, generator: Generator) -> Tensor:
        """A view of an RGB image, uint8 (3, resolution, resolution)."""
        part = image.crop(self.box(image.size, generator))
        name = self.interpolation
        if name == "random":
            names = list(_FILTERS)
            name = names[int(torch.randint(len(names), (), generator=generator))]
        side = (self.resolution, self.resolution)
        return image_tensor(part.resize(side, _FILTERS[name]))

    def box(self, size: tuple[int, int], generator: Generator) -> tuple[int, int, int, int]:
        """The part to look at: left, top, right, bottom, in pixels of an image of this size."""
        width, height = size
        low, high = (math.log(bound) for bound in self.ratio)
        for share, shape, x, y in torch.rand(_TRIES, 4, generator=generator).tolist():
            pixels = (self.area[0] + share * (self.area[1] - self.area[0])) * width * height
            ratio = math.exp(low + shape * (high - low))
            w, h = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
            if 0 < w <= width and 0 < h <= height:
                left, top = int(x * (width - w + 1)), int(y * (height - h + 1))
                return left, top, left + w, top + h
        return self._centred(width, height)

    def _centred(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The largest centred part whose ratio is allowed."""
        ratio = min(max(width / height, self.ratio[0]), self.ratio[1])
        w = max(1, min(width, round(height * ratio)))
        h = max(1, min(height, round(width / ratio)))
        left, top = (width - w) // 2, (height - h) // 2
        return left, top, left + w, top + h
