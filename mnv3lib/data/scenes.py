"""Scenes of emoji with exact boxes and masks, for detection and segmentation without a download.

A scene is a drawn background with a few emoji pasted on it, each scaled, perhaps mirrored, perhaps
cut by the border or covered by another. Since every emoji brings its alpha, what is visible of it
is known to the pixel. Scenes are decided from the front to the back: an emoji of which less than a
quarter would be visible is not drawn at all, so whatever can be seen has a box and a mask.

Training scenes hold training emoji only, test scenes test emoji only. Used from the chapters on
detection and segmentation on; shown on the book's data card.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Generator, Tensor

from mnv3lib.data.base import ImageDataset, generator_for
from mnv3lib.data.compositing import backgrounds, premultiply, resize_premultiplied
from mnv3lib.data.emoji import SPLITS, Classes, Split, SplitRule, read_tiles
from mnv3lib.data.emoji_sheets import TILE_PX

__all__ = ["EmojiScenes", "Scene", "load", "visible_boxes"]

_SCALE = (0.4, 1.5)  # of a tile's 64 pixels
_OVERHANG = 0.25  # of a tile's side that may lie outside of the image
_VISIBLE = 0.25
_OPAQUE = 0.5

SceneTask = Literal["detection", "segmentation"]


@dataclass(frozen=True)
class Scene:
    """One image and what is on it.

    Attributes:
        image: uint8 RGB, (3, H, W).
        owners: Which object each pixel shows, int64 (H, W); -1 is background. An object owns the
            pixels that it covers by more than half.
        labels: Class of each object, int64 (N,), from the front to the back.
        boxes: Tight box of each object's pixels, float32 (N, 4): x0, y0, x1, y1, edges of pixels.
    """

    image: Tensor
    owners: Tensor
    labels: Tensor
    boxes: Tensor


@dataclass(frozen=True)
class _Object:
    """A tile, resized and cut to the image: top left corner, premultiplied colour, alpha."""

    label: int
    top: int
    left: int
    colour: Tensor  # (3, h, w)
    alpha: Tensor  # (1, h, w)
    pixels: int  # that it would own if it lay in full view

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns of the image that it lies on."""
        height, width = self.alpha.shape[-2:]
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def load(
    split: Split = "train",
    *,
    root: str | Path | None = None,
    seed: int = 0,
    task: SceneTask = "detection",
    size: Sequence[int] = (128, 128),
    count: int = 500,
    objects: Sequence[int] = (1, 6),
    classes: Classes = "default",
) -> "EmojiScenes":
    """Draws one split, for :func:`mnv3lib.data.load_dataset`; see :class:`EmojiScenes`."""
    options = {"task": task, "count": count, "classes": classes, "root": root}
    return EmojiScenes(split, size=tuple(size), objects=tuple(objects), seed=seed, **options)


def visible_boxes(owners: Tensor, count: int) -> Tensor:
    """Tight boxes of the pixels that each object owns.

    Args:
        owners: int64 (H, W), -1 for background.
        count: Objects; each must own a pixel.

    Returns:
        Corners x0, y0, x1, y1, where x1 and y1 are the far edges of the last pixel; float32
        (count, 4).

    Example:
        >>> visible_boxes(torch.tensor([[-1, 0, 0], [-1, -1, -1]]), 1).tolist()
        [[1.0, 0.0, 3.0, 1.0]]
    """
    boxes = torch.zeros(count, 4)
    for number in range(count):
        rows, columns = torch.nonzero(owners == number, as_tuple=True)
        corners = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        boxes[number] = torch.stack(corners).float()
    return boxes


class EmojiScenes(ImageDataset):
    """A fixed number of scenes, each drawn when it is asked for.

    A scene is a function of (seed, split, index); the epoch changes nothing, so that a training
    set is as finite as a real one.

    For detection the target is a dict of ``boxes``, ``labels``, ``image_id`` and ``crowd`` (never
    set), and ``classes`` names the labels. For segmentation it is a uint8 (H, W) mask of class
    numbers in which 0 is background, so ``classes`` starts with ``"background"``; no pixel is void.

    Args:
        split: ``"train"`` or ``"test"``: which emoji occur.
        size: Height and width of a scene, pixels, at least 64 each.
        count: Number of scenes.
        objects: Fewest and most emoji that are put into a scene; covered ones are left out again.
        seed: Seed of all random choices.
        task: ``"detection"`` or ``"segmentation"``.
        classes: ``"default"``, ``"all"``, or names of subgroups.
        by: What the test keeps to itself: emoji (``"concept"``) or a designer (``"style"``).
        root: Folder of the emoji; the embedded one when not given.

    Raises:
        FileNotFoundError: A file of the emoji is missing.
        ValueError: A value out of range, an unknown split, task or class, or a damaged file.
    """

    def __init__(
        self,
        split: Split = "train",
        *,
        size: tuple[int, int] = (128, 128),
        count: int = 500,
        objects: tuple[int, int] = (1, 6),
        seed: int = 0,
        task: SceneTask = "detection",
        classes: Classes = "default",
        by: SplitRule = "concept",
        root: str | Path | None = None,
    ) -> None:
        _check(size, count, objects, task)
        tiles, rows, names = read_tiles(split, classes=classes, by=by, root=root)
        shown = names if task == "detection" else ("background", *names)
        super().__init__(name="emoji-scenes", classes=shown, seed=seed)
        self.task = task
        self.size, self.count, self.objects = tuple(size), count, tuple(objects)
        self.rows = tuple(rows)
        self._part = SPLITS.index(split)
        self._colour, self._alpha = premultiply(tiles)
        self._labels = [names.index(row.subgroup) for _, row in rows]

    def __len__(self) -> int:
        return self.count

    def scene(self, index: int) -> Scene:
        """The whole of what is known about a scene.

        Raises:
            IndexError: There is no such scene.
        """
        generator = generator_for(self.seed, self._part, range(self.count)[index])
        behind = backgrounds(torch.rand(1, 24, generator=generator), self.size)[0]
        fewest, most = self.objects
        number = int(torch.randint(fewest, most + 1, (), generator=generator))
        thrown = [self._throw(generator) for _ in range(number)]  # front to back
        kept, owners = _keep_visible(thrown, self.size)
        labels = torch.tensor([thing.label for thing in kept], dtype=torch.int64)
        return Scene(_paint(behind, kept), owners, labels, visible_boxes(owners, len(kept)))

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        scene = self.scene(index)
        if self.task == "segmentation":
            numbers = torch.cat([torch.zeros(1, dtype=torch.int64), scene.labels + 1])
            return scene.image, numbers[scene.owners + 1].to(torch.uint8)
        crowd = torch.zeros(len(scene.labels), dtype=torch.bool)
        image_id = range(self.count)[index]
        target = {"boxes": scene.boxes, "labels": scene.labels, "image_id": image_id}
        return scene.image, {**target, "crowd": crowd}

    def _throw(self, generator: Generator) -> _Object:
        """Draws an emoji, its scale, direction and place, and cuts it to the image."""
        which = int(torch.randint(len(self._labels), (), generator=generator))
        scale, flip, y, x = torch.rand(4, generator=generator).tolist()
        side = round(TILE_PX * (_SCALE[0] + scale * (_SCALE[1] - _SCALE[0])))
        tile = slice(which, which + 1)
        colour, alpha = resize_premultiplied(self._colour[tile], self._alpha[tile], side)
        if flip < 0.5:
            colour, alpha = colour.flip(-1), alpha.flip(-1)
        height, width = self.size
        room = 1 - 2 * _OVERHANG
        top = round(y * (height - room * side) - _OVERHANG * side)
        left = round(x * (width - room * side) - _OVERHANG * side)
        rows = slice(max(0, -top), min(side, height - top))
        columns = slice(max(0, -left), min(side, width - left))
        return _Object(
            label=self._labels[which],
            top=max(0, top),
            left=max(0, left),
            colour=colour[0, :, rows, columns],
            alpha=alpha[0, :, rows, columns],
            pixels=int((alpha > _OPAQUE).sum()),
        )


def _check(size: Sequence[int], count: int, objects: Sequence[int], task: str) -> None:
    if len(size) != 2 or min(size) < TILE_PX:
        raise ValueError(f"size must be height and width of {TILE_PX} or more pixels, got {size}")
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    if len(objects) != 2 or not 0 <= objects[0] <= objects[1]:
        raise ValueError(f"objects must be two rising numbers from 0 on, got {objects}")
    if task not in ("detection", "segmentation"):
        raise ValueError(f"task must be 'detection' or 'segmentation', got {task!r}")


def _keep_visible(thrown: Sequence[_Object], size: tuple[int, int]) -> tuple[list[_Object], Tensor]:
    """Leaves out what is less than a quarter visible behind what is kept in front of it.

    Returns:
        The rest, front to back, and which of them each pixel shows, (H, W).
    """
    owners = torch.full(size, -1)
    kept: list[_Object] = []
    for thing in thrown:
        seen = (thing.alpha[0] > _OPAQUE) & (owners[thing.place] < 0)
        if int(seen.sum()) >= max(1, _VISIBLE * thing.pixels):
            owners[thing.place][seen] = len(kept)
            kept.append(thing)
    return kept, owners


def _paint(behind: Tensor, kept: Sequence[_Object]) -> Tensor:
    """Composites the objects on the background, the hindmost first; uint8 (3, H, W)."""
    for thing in reversed(kept):
        part = behind[(slice(None), *thing.place)]
        part.mul_(1 - thing.alpha).add_(thing.colour)
    return behind.round().clamp(0, 255).to(torch.uint8)
