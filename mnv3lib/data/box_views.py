"""Views of images with boxes: squares for a detector, the boxes moved along (chapter 10).

The image is stretched to a square, as SSD does: nothing is cut off and no border is added, at the
price of the aspect ratio. Training looks at a random part first. Both are joint views for
:class:`mnv3lib.data.viewed.Viewed`; flips and colours come later, on whole batches.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Generator, Tensor

from mnv3lib.data.images import image_tensor
from mnv3lib.heads.boxes import box_iou

__all__ = ["BoxView", "RandomBoxView"]

_KEEP = 0.15  # how often the whole image is looked at
_OVERLAPS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)


@dataclass(frozen=True)
class BoxView:
    """The whole image, stretched to a square.

    Boxes are scaled and otherwise left as they were annotated, also where they reach over the
    border: COCO's evaluation does not cut them either.

    Attributes:
        resolution: Side of the square, pixels.
        random: False: every visit to an image sees the same.

    Raises:
        ValueError: A resolution below 1.

    Example:
        >>> image = torch.zeros(3, 480, 640, dtype=torch.uint8)
        >>> target = {"boxes": torch.tensor([[64.0, 48.0, 128.0, 96.0]]), "image_id": 1}
        >>> square, moved = BoxView(320)(image, target)
        >>> square.shape, moved["boxes"].tolist(), moved["size"]
        (torch.Size([3, 320, 320]), [[32.0, 32.0, 64.0, 64.0]], (640, 480))
    """

    resolution: int
    random: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_resolution(self.resolution)

    def __call__(
        self, image: Tensor, target: Mapping[str, Any], generator: Generator | None = None
    ) -> tuple[Tensor, dict[str, Any]]:
        """The view of an image.

        Args:
            image: uint8 (3, H, W).
            target: ``boxes`` (N, 4) in pixels of the image, and what else is known about it.
            generator: Not used: nothing is random.

        Returns:
            The image, uint8 (3, resolution, resolution), and its target with the boxes in pixels
            of the square and ``size``, the width and height before.

        Raises:
            ValueError: An image of another type or shape, or a box that lies outside of it.
        """
        width, height = _size(image, target)
        return _stretch(image, dict(target), (0, 0, width, height), self.resolution)


@dataclass(frozen=True)
class RandomBoxView:
    """A random part of the image that shows enough of an object, stretched to a square.

    The crop of SSD (Liu et al., "SSD: single shot multibox detector", section 2.2). With
    probability 0.15 the whole image is taken. Otherwise one of six smallest overlaps is drawn: 0,
    0.1, 0.3, 0.5, 0.7 or 0.9. A part qualifies if its IoU with an object whose centre it shows is
    at least that much. The first part that qualifies is taken, and the whole image if none does.
    Objects whose centre is outside of the part are dropped, the others cut at its border. Any part
    qualifies in an image without objects.

    The TensorFlow recipe asks instead that the part covers such a share of the object, and
    torchvision draws the two sides, not area and ratio.

    Attributes:
        resolution: Side of the square, pixels.
        area: Smallest and largest share of the image's area.
        ratio: Smallest and largest width over height of the part, in pixels.
        tries: Parts that are drawn.
        random: True: every visit to an image in another epoch sees another part.

    Raises:
        ValueError: A value out of range.
    """

    resolution: int
    area: tuple[float, float] = (0.1, 1.0)
    ratio: tuple[float, float] = (0.5, 2.0)
    tries: int = 50
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_resolution(self.resolution)
        if not 0 < self.area[0] <= self.area[1] <= 1:
            raise ValueError(f"area must be two rising shares in (0, 1], got {self.area}")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"ratio must be two rising numbers above 0, got {self.ratio}")
        if self.tries < 1:
            raise ValueError(f"tries must be at least 1, got {self.tries}")

    def __call__(
        self, image: Tensor, target: Mapping[str, Any], generator: Generator
    ) -> tuple[Tensor, dict[str, Any]]:
        """A view of an image: arguments, results and errors of :class:`BoxView`.

        All that the target holds once for each box (``boxes``, ``labels``, ``crowd``) loses the
        rows of dropped objects.
        """
        size = _size(image, target)
        part = self.part(size, target["boxes"], generator)
        kept = _shows_centre(torch.tensor([part]), target["boxes"])[0]
        target = {**target, **{key: target[key][kept] for key in _rows(target)}}
        corners = target["boxes"].reshape(-1, 2, 2)
        low, high = torch.tensor(part, dtype=torch.float32).reshape(2, 2)
        target["boxes"] = corners.clamp(low, high).reshape(-1, 4)
        return _stretch(image, target, part, self.resolution)

    def part(
        self, size: tuple[int, int], boxes: Tensor, generator: Generator
    ) -> tuple[int, int, int, int]:
        """The part to look at: left, top, right, bottom, in pixels.

        Args:
            size: Width and height of the image.
            boxes: Objects, (N, 4).
            generator: Source of all that is random.
        """
        whole = (0, 0, *size)
        keep, which = torch.rand(2, generator=generator).tolist()
        if keep < _KEEP:
            return whole
        overlap = _OVERLAPS[int(which * len(_OVERLAPS))]
        parts = self._draw(size, generator)
        if len(boxes):
            shown = _shows_centre(parts, boxes) & (box_iou(parts.float(), boxes) >= overlap)
            parts = parts[shown.any(1)]
        return tuple(parts[0].tolist()) if len(parts) else whole

    def _draw(self, size: tuple[int, int], generator: Generator) -> Tensor:
        """Parts that fit into the image, int64 (up to `tries`, 4)."""
        room = torch.tensor(size)
        share, shape, *places = torch.rand(4, self.tries, generator=generator)
        pixels = torch.lerp(*_pair(self.area), share) * room.prod()
        ratio = torch.lerp(*_pair(map(math.log, self.ratio)), shape).exp()
        sides = torch.stack([pixels * ratio, pixels / ratio], dim=1).sqrt().round().long()
        corners = (torch.stack(places, dim=1) * (room - sides + 1)).long()
        fits = ((sides > 0) & (sides <= room)).all(1)
        return torch.cat([corners, corners + sides], dim=1)[fits]


def _check_resolution(resolution: int) -> None:
    if resolution < 1:
        raise ValueError(f"resolution must be at least 1, got {resolution}")


def _pair(values: Any) -> Tensor:
    return torch.tensor(tuple(values))


def _size(image: Tensor, target: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height of an image, after a look at image and boxes."""
    if image.dtype != torch.uint8 or image.ndim != 3 or len(image) != 3:
        raise ValueError(
            f"an image must be uint8 (3, H, W), got {image.dtype} {tuple(image.shape)}; "
            "mnv3lib.data.images.read_rgb makes RGB of grey images and of those with alpha"
        )
    height, width = image.shape[-2:]
    x0, y0, x1, y1 = target["boxes"].unbind(1)
    outside = (x0 >= width) | (y0 >= height) | (x1 <= 0) | (y1 <= 0)
    if outside.any():
        raise ValueError(
            f"image {target['image_id']}: the box {target['boxes'][outside][0].tolist()} (x0, y0, "
            f"x1, y1) lies outside of the image of {width} x {height} pixels; correct the "
            "annotation, `mnv3 data check` lists all such boxes of a data set"
        )
    return width, height


def _rows(target: Mapping[str, Any]) -> list[str]:
    """Names of what a target holds once for each box."""
    return [key for key in ("boxes", "labels", "crowd") if key in target]


def _shows_centre(parts: Tensor, boxes: Tensor) -> Tensor:
    """Whether the centre of each of N boxes lies in each of P parts, (P, N)."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2  # (N, 2)
    inside = (parts[:, None, :2] <= centres) & (centres < parts[:, None, 2:])
    return inside.all(-1)


def _stretch(
    image: Tensor, target: dict[str, Any], part: tuple[int, int, int, int], resolution: int
) -> tuple[Tensor, dict[str, Any]]:
    """Resizes a part of the image to a square and moves the boxes along."""
    left, top, right, bottom = part
    height, width = image.shape[-2:]
    pixels = image[:, top:bottom, left:right].permute(1, 2, 0).contiguous()  # (h, w, 3)
    square = Image.fromarray(pixels.numpy()).resize((resolution,) * 2, Image.Resampling.BILINEAR)
    corner = torch.tensor([left, top] * 2)
    scale = resolution / torch.tensor([right - left, bottom - top] * 2, dtype=torch.float32)
    moved = {"boxes": (target["boxes"] - corner) * scale, "size": (width, height)}
    return image_tensor(square), {**target, **moved}
