"""Segmentation sets of image files and mask files, and CamVid's layout of them.

A mask is an image of the same size whose pixel values are class numbers; a table of 256 entries
turns the file's numbers into labels, with 255 for what belongs to no class. Images come at native
size, since a mask must be cut together with its image.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mnv3lib.data.base import ImageDataset
from mnv3lib.data.images import PathList, image_tensor, read_rgb

__all__ = ["VOID", "MaskFiles", "load"]

VOID = 255
_WRONG = -1


class MaskFiles(ImageDataset):
    """Images with one label a pixel.

    Args:
        images: Image files.
        masks: One mask file for each image.
        classes: Names of the classes.
        numbers: Label (or ``VOID``) for each pixel value that masks may hold.
        name: Name in the catalogue.
        title: Name to print.
    """

    task = "segmentation"

    def __init__(
        self,
        images: Sequence[Path],
        masks: Sequence[Path],
        classes: Sequence[str],
        numbers: Mapping[int, int],
        *,
        name: str,
        title: str,
    ) -> None:
        super().__init__(name=name, classes=classes, title=title)
        self.paths, self.masks = PathList(images), PathList(masks)
        self._table = np.full(256, _WRONG, dtype=np.int16)
        for value, label in numbers.items():
            self._table[value] = label

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """The image, uint8 (3, H, W), and its labels, uint8 (H, W)."""
        image = read_rgb(self.paths[index])
        mask = _read_mask(self.masks[index])
        if mask.shape != image.size[::-1]:
            raise ValueError(
                f"the mask {self.masks[index]} is {mask.shape[1]}x{mask.shape[0]} pixels, its "
                f"image {self.paths[index]} {image.size[0]}x{image.size[1]}; fetch both again"
            )
        labels = self._table[mask]
        if (labels == _WRONG).any():
            values = sorted(set(mask[labels == _WRONG].tolist()))
            raise ValueError(
                f"the mask {self.masks[index]} holds the value {values[0]}, which is no class of "
                f"{self.name}; expected {sorted(np.flatnonzero(self._table != _WRONG).tolist())}"
            )
        return image_tensor(image), torch.from_numpy(labels.astype(np.uint8))


def load(
    split: str,
    *,
    root: Path,
    name: str,
    title: str,
    classes: Sequence[str],
    void: int,
) -> MaskFiles:
    """Loads ``<split>/images/*.jpg`` with ``<split>/labels/*.png``, paired by name.

    Args:
        split: Name of the split's folder.
        root: Folder of the data set.
        name: Name in the catalogue.
        title: Name to print.
        classes: Names of the classes; a mask's pixel value is the position.
        void: Pixel value of what belongs to no class.

    Raises:
        FileNotFoundError: No images of this split, or an image without a mask.
    """
    images = sorted((root / split / "images").glob("*.jpg"))
    if not images:
        raise FileNotFoundError(f"no {split}/images/*.jpg in {root}")
    masks = [root / split / "labels" / f"{image.stem}.png" for image in images]
    for mask in masks:
        if not mask.is_file():
            raise FileNotFoundError(f"no {mask}, the mask of an image")
    numbers = {**{label: label for label in range(len(classes))}, void: VOID}
    return MaskFiles(images, masks, classes, numbers, name=name, title=title)


def _read_mask(path: Path) -> np.ndarray:
    """The pixel values of a mask file, uint8 (H, W); a palette is not looked through."""
    try:
        with Image.open(path) as image:
            image.load()
            mode, values = image.mode, np.asarray(image)
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(
            f"cannot decode the mask {path} ({error}): it is corrupt or cut short; fetch it "
            "again, or run `mnv3 data check` to find all such files of a data set"
        ) from error
    if mode not in ("L", "P"):
        raise ValueError(
            f"the mask {path} has pixels of format {mode!r}; expected one number of 8 bits a "
            "pixel (a coloured picture of the mask is another file)"
        )
    return values
