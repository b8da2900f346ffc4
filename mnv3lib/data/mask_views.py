"""Joint views of an image and its mask, for segmentation.

Training looks at a random part at a random scale; evaluation at the whole image, shrunk to what the
network takes, with the mask left as it is, since that is what a network is asked for. Images are
resized with an anti-aliased filter, masks by the nearest pixel: labels have no mean. Taught in
chapter 11 (segmentation).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Generator, Tensor

from mnv3lib.data.images import image_tensor
from mnv3lib.data.mask_folder import VOID

__all__ = ["MaskView", "RandomMaskView", "resize_pair"]

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class MaskView:
    """The whole image at a size, with the mask at its own: the view of evaluation.

    Attributes:
        size: Height and width of the image, pixels; or the length of its shorter side, which keeps
            its shape.

    Raises:
        ValueError: A size below 1.
    """

    size: tuple[int, int] | int

    def __post_init__(self) -> None:
        _check_size((self.size, self.size) if isinstance(self.size, int) else self.size)

    def __call__(
        self, image: Tensor, mask: Tensor, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Resizes the image.

        Args:
            image: uint8 (3, H, W).
            mask: uint8 (H, W).
            generator: Not used: nothing is random.

        Returns:
            The image, uint8 (3, *size), and the mask as it was.

        Raises:
            ValueError: Image and mask do not fit each other.
        """
        _check_pair(image, mask)
        height, width = image.shape[1:]
        size = self.size
        if isinstance(size, int):
            size = tuple(max(1, side * size // min(height, width)) for side in (height, width))
        return _resize_image(_picture(image), size, (0, 0, width, height)), mask


@dataclass(frozen=True)
class RandomMaskView:
    """A random part of image and mask at a random scale: the view of training.

    The image is resized by a factor that is uniform in ``scale``, keeping its shape, and a part of
    ``size`` is cut out at a random place. An image that is lower or narrower than that is put at a
    random place of it; the rest is filled with one colour and belongs to no class.

    Attributes:
        size: Height and width of the part, pixels.
        scale: Smallest and largest factor, of the image's own size; DeepLab takes 0.5 to 2. None
            resizes the whole image to ``size`` instead, so that nothing is random.
        fill: Colour of what lies outside of the image, RGB; best the colour that becomes 0 when the
            network's input is normalised.

    Raises:
        ValueError: A size below 1, or factors that do not rise from above 0.
    """

    size: tuple[int, int]
    scale: tuple[float, float] | None = (0.5, 2.0)
    fill: tuple[int, int, int] = (124, 116, 104)

    def __post_init__(self) -> None:
        _check_size(self.size)
        if self.scale is not None and not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale must be two rising factors above 0, got {self.scale}")

    def __call__(self, image: Tensor, mask: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Cuts a part out of both.

        Args:
            image: uint8 (3, H, W).
            mask: uint8 (H, W).
            generator: Source of scale and place.

        Returns:
            The image, uint8 (3, *size), and the mask, uint8 (*size).

        Raises:
            ValueError: Image and mask do not fit each other.
        """
        _check_pair(image, mask)
        if self.scale is None:
            return resize_pair(image, mask, self.size)
        share, y, x = torch.rand(3, generator=generator).tolist()
        factor = self.scale[0] + share * (self.scale[1] - self.scale[0])
        rows, box_y = _window(image.shape[1], factor, self.size[0], y)
        columns, box_x = _window(image.shape[2], factor, self.size[1], x)
        box = (box_x[0], box_y[0], box_x[1], box_y[1])
        seen = (rows.stop - rows.start, columns.stop - columns.start)
        part, labels = resize_pair(image, mask, seen, box)
        if seen == self.size:
            return part, labels
        canvas = torch.tensor(self.fill, dtype=torch.uint8)[:, None, None].repeat(1, *self.size)
        canvas[:, rows, columns] = part
        marks = torch.full(self.size, VOID, dtype=torch.uint8)
        marks[rows, columns] = labels
        return canvas, marks


def resize_pair(
    image: Tensor, mask: Tensor, size: tuple[int, int], box: Box | None = None
) -> tuple[Tensor, Tensor]:
    """Resizes a part of an image with a filter and the same part of its mask by nearest pixel.

    Args:
        image: uint8 (3, H, W).
        mask: uint8 (H, W).
        size: Height and width to resize to.
        box: The part: left, top, right, bottom in pixels, which may be fractions; all of it if
            None.

    Returns:
        The image, uint8 (3, H', W'), and the mask, uint8 (H', W'), of that size.
    """
    height, width = image.shape[1:]
    box = box or (0, 0, width, height)
    labels = Image.fromarray(mask.numpy()).resize(size[::-1], Image.Resampling.NEAREST, box=box)
    return _resize_image(_picture(image), size, box), _labels(labels)


def _window(side: int, factor: float, wanted: int, place: float) -> tuple[slice, tuple]:
    """What is seen along one axis.

    Args:
        side: Pixels of the image.
        factor: Factor that it is resized by.
        wanted: Pixels of the part.
        place: Where the part lies, in [0, 1).

    Returns:
        The pixels of the part that the image covers, and the first and last position in the image,
        in its own pixels, that they show.
    """
    resized = max(1, round(side * factor))
    offset = int(place * (abs(resized - wanted) + 1))
    if resized <= wanted:
        return slice(offset, offset + resized), (0.0, float(side))
    pixel = side / resized
    return slice(0, wanted), (offset * pixel, min(float(side), (offset + wanted) * pixel))


def _picture(image: Tensor) -> Image.Image:
    return Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())


def _resize_image(picture: Image.Image, size: tuple[int, int], box: Box) -> Tensor:
    return image_tensor(picture.resize(size[::-1], Image.Resampling.BILINEAR, box=box))


def _labels(picture: Image.Image) -> Tensor:
    return torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(
        picture.height, picture.width
    )


def _check_size(size: Sequence[int]) -> None:
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"size must be height and width of at least 1 pixel, got {size}")


def _check_pair(image: Tensor, mask: Tensor) -> None:
    """Raises a ValueError unless the two are an RGB image and its mask."""
    if image.ndim != 3 or image.shape[0] != 3 or image.dtype != torch.uint8:
        kind = f"{str(image.dtype).removeprefix('torch.')} {tuple(image.shape)}"
        raise ValueError(f"expected an RGB image, uint8 (3, H, W), got {kind}")
    if mask.shape != image.shape[1:]:
        raise ValueError(
            f"the mask has the shape {tuple(mask.shape)}, its image {tuple(image.shape[1:])}; "
            "every pixel needs a label"
        )
    if mask.dtype != torch.uint8:
        raise ValueError(f"the mask must be uint8, got {str(mask.dtype).removeprefix('torch.')}")
