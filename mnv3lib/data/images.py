"""Image files to RGB pixels: one place that decides what every odd image becomes.

Grey, palette and CMYK images are converted to RGB; transparency is composited on white; of 16 bits
a channel the upper eight are kept. A rotation that the camera wrote into the EXIF data is *not*
applied: the published ImageNet pipelines ignore it, so a network's published accuracy includes the
images that lie on their side. Whatever cannot be decoded is a ``ValueError`` that names the file.

Used from chapter 7 (training) on.
"""

import io
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

__all__ = ["PathList", "decode_rgb", "image_tensor", "read_rgb"]

# What Pillow's decoders raise on damaged files (UnidentifiedImageError is an OSError).
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)
_WITH_ALPHA = {"RGBA", "LA", "PA", "RGBa", "La"}


class PathList(Sequence[Path]):
    """Paths as one array of bytes.

    A list of a million strings is copied into each loader process as soon as it is read there,
    because reading a Python object writes its reference count; an array stays shared.
    """

    def __init__(self, paths: Sequence[str | os.PathLike[str]]) -> None:
        self._bytes = np.array([os.fsencode(path) for path in paths], dtype=np.bytes_)

    def __len__(self) -> int:
        return len(self._bytes)

    def __getitem__(self, index: int) -> Path:
        return Path(os.fsdecode(self._bytes[index]))


def decode_rgb(content: bytes, where: str) -> Image.Image:
    """Decodes an image into an RGB one.

    Args:
        content: The file's bytes: JPEG, PNG or whatever else Pillow knows.
        where: Name of the image for the error message.

    Returns:
        The whole image, of mode RGB.

    Raises:
        ValueError: The bytes are no image, cut short, or of a pixel format that is no picture.
    """
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
        return _as_rgb(image)
    except (*_DAMAGED, Image.DecompressionBombError) as error:
        raise ValueError(
            f"cannot decode the image {where} ({error}): it is corrupt or cut short; fetch it "
            "again, or run `mnv3 data check` to find all such images of a data set"
        ) from error


def read_rgb(path: Path) -> Image.Image:
    """Reads an image file into an RGB image.

    Raises:
        FileNotFoundError: The file is not there.
        ValueError: As in :func:`decode_rgb`.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"the image {path} is not there (any more); fetch the data set again"
        ) from error
    return decode_rgb(content, str(path))


def image_tensor(image: Image.Image) -> Tensor:
    """Pixels of an RGB image as uint8 (3, H, W)."""
    pixels = torch.from_numpy(np.array(image))  # (H, W, 3)
    return pixels.permute(2, 0, 1).contiguous()


def _as_rgb(image: Image.Image) -> Image.Image:
    """The same picture with mode RGB, as the module's docstring says."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    if image.mode.startswith("I;16"):
        grey = np.asarray(image) >> 8
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError(f"pixel format {image.mode!r} has no fixed range")
    return image.convert("RGB")
