"""The embedded data set: emoji drawn by several designers, composited on drawn backgrounds.

Two questions can be asked of the same pictures. Split *by concept*, the test holds emoji that
training never saw, in all styles; split *by style*, it holds all emoji as one designer drew them
whose hand training never saw. Described, with its limits, on the book's data card.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mnv3lib.data.base import ClassificationSet, View
from mnv3lib.data.compositing import composite, premultiply, resize_premultiplied
from mnv3lib.data.emoji_sheets import (
    STYLES,
    TEST_STYLE,
    Emoji,
    held_out_codepoints,
    read_index,
    read_sheet,
)
from mnv3lib.data.views import CenterView

__all__ = ["DEFAULT_CLASSES", "EmojiImages", "choose_classes", "load", "read_tiles"]

# Well populated and told apart by more than one colour or outline; why these: the data card.
DEFAULT_CLASSES = (
    "animal-bird",
    "animal-mammal",
    "clothing",
    "drink",
    "face-concerned",
    "food-fruit",
    "food-prepared",
    "place-building",
    "sky & weather",
    "sport",
    "tool",
    "transport-ground",
)
SPLITS = ("train", "test")
DEFAULT_RESOLUTION = 32

Split = Literal["train", "test"]
SplitRule = Literal["concept", "style"]
Classes = Literal["default", "all"] | Sequence[str]


def choose_classes(emoji: Sequence[Emoji], classes: Classes = "default") -> tuple[str, ...]:
    """Names of the classes that are asked for, sorted.

    Args:
        emoji: The index.
        classes: ``"default"``, ``"all"``, or names of subgroups.

    Raises:
        ValueError: A name that the index does not have, or fewer than two classes.
    """
    known = sorted({row.subgroup for row in emoji})
    named = {"default": DEFAULT_CLASSES, "all": known}
    if isinstance(classes, str) and classes not in named:
        raise ValueError(f"classes must be 'default', 'all' or a list of names, got {classes!r}")
    chosen = named[classes] if isinstance(classes, str) else classes
    if unknown := sorted(set(chosen) - set(known)):
        raise ValueError(f"no class {', '.join(unknown)}; the classes are {', '.join(known)}")
    if len(set(chosen)) < 2:
        raise ValueError(f"a classification needs at least two classes, got {list(chosen)}")
    return tuple(sorted(set(chosen)))


def _members(
    emoji: Sequence[Emoji], split: str, by: str
) -> dict[str, tuple[tuple[str, ...], frozenset[str]]]:
    """For the split: styles to read, and code points to leave out."""
    held = held_out_codepoints(emoji)
    others = tuple(style for style in STYLES if style != TEST_STYLE)
    everything = frozenset(row.codepoint for row in emoji)
    rules = {
        "concept": {"train": (STYLES, held), "test": (STYLES, everything - held)},
        "style": {"train": (others, frozenset()), "test": ((TEST_STYLE,), frozenset())},
    }
    if by not in rules:
        raise ValueError(f"by must be 'concept' or 'style', got {by!r}")
    if split not in SPLITS:
        raise ValueError(f"the emoji have the splits {', '.join(SPLITS)}, not {split!r}")
    return rules[by][split]


def read_tiles(
    split: Split = "train",
    *,
    classes: Classes = "default",
    by: SplitRule = "concept",
    root: str | Path | None = None,
) -> tuple[Tensor, list[tuple[str, Emoji]], tuple[str, ...]]:
    """Reads the tiles of one split, style by style and class by class; only files it needs.

    Args:
        split: ``"train"`` or ``"test"``.
        classes: As in :func:`choose_classes`.
        by: What the test keeps to itself: emoji (``"concept"``) or a designer (``"style"``).
        root: Folder of the data set; the embedded one when not given.

    Returns:
        Tiles, uint8 RGBA (N, 64, 64, 4); style and index row of each; the names of the classes.

    Raises:
        FileNotFoundError: A file of the data set is missing.
        ValueError: Unknown split, rule or class, or a damaged file.
    """
    emoji = read_index(root)
    names = choose_classes(emoji, classes)
    styles, left_out = _members(emoji, split, by)
    tiles: list[np.ndarray] = []
    rows: list[tuple[str, Emoji]] = []
    for style in styles:
        for name in names:
            members = [row for row in emoji if row.subgroup == name]
            sheet = read_sheet(style, name, len(members), root)
            kept = [row for row in members if row.codepoint not in left_out]
            tiles.append(sheet[[row.position for row in kept]])
            rows += [(style, row) for row in kept]
    return torch.from_numpy(np.concatenate(tiles)), rows, names


class EmojiImages(ClassificationSet):
    """Emoji on backgrounds, composited when asked for.

    The backgrounds of training change with the epoch; those of the test are always the ones of
    seed 0 and epoch 0, so that an accuracy depends on the network alone.

    Args:
        tiles: uint8 RGBA (N, 64, 64, 4).
        rows: Style and index row of each tile.
        classes: Names of the classes.
        view: What makes a square of each image, see :mod:`mnv3lib.data.views`; 32 pixels when
            not given. A plain :class:`mnv3lib.data.CenterView` resizes tiles once, before they
            are composited, and whole batches are drawn at once; another view sees each
            composited image at 64 pixels.
        seed: Seed of the backgrounds and of the view's random choices.
        fixed: Whether backgrounds are those of the test.

    Raises:
        ValueError: A resolution below 1.
    """

    def __init__(
        self,
        tiles: Tensor,
        rows: Sequence[tuple[str, Emoji]],
        classes: Sequence[str],
        *,
        view: View | None = None,
        seed: int = 0,
        fixed: bool = False,
    ) -> None:
        super().__init__(name="emoji", classes=classes, seed=seed)
        self._set_labels([self.classes.index(row.subgroup) for _, row in rows], len(tiles))
        self.rows = tuple(rows)
        self.fixed = fixed
        colour, alpha = premultiply(tiles)
        plain = isinstance(view, CenterView) and view.resize in (None, view.resolution)
        if view is None or plain:
            side = view.resolution if plain else DEFAULT_RESOLUTION
            colour, alpha = resize_premultiplied(colour, alpha, side)
        self.view = None if plain else view
        self._colour, self._alpha = colour, alpha

    def images(self, indices: Sequence[int] | None = None) -> Tensor:
        """Composited images of the present epoch, uint8 (N, 3, H, W), before any view."""
        chosen = torch.arange(len(self)) if indices is None else torch.as_tensor(indices)
        seed, epoch = (0, 0) if self.fixed else (self.seed, self.epoch)
        return composite(self._colour, self._alpha, chosen, seed=seed, epoch=epoch)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        images, labels = self.__getitems__([range(len(self))[index]])
        return images[0], int(labels[0])

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """A whole batch at once; PyTorch's ``DataLoader`` asks for it by this name."""
        images = self.images(indices)
        if self.view is not None:
            pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]
            pairs = zip(pictures, indices, strict=True)
            images = torch.stack([self.view(p, self.generator(int(i))) for p, i in pairs])
        return images, self.labels[torch.as_tensor(indices)]


def load(
    split: Split = "train",
    *,
    view: View | None = None,
    seed: int = 0,
    root: str | Path | None = None,
    classes: Classes = "default",
    by: SplitRule = "concept",
) -> EmojiImages:
    """Loads one split of the emoji; :func:`mnv3lib.data.load_dataset` calls it.

    Args:
        split: ``"train"`` or ``"test"``.
        view: As in :class:`EmojiImages`.
        seed: Seed of all random choices of the training set; the test has none of its own.
        root: Folder of the data set; the embedded one when not given.
        classes: ``"default"``, ``"all"``, or names of subgroups.
        by: What the test keeps to itself: emoji (``"concept"``) or a designer (``"style"``).

    Raises:
        FileNotFoundError: A file of the data set is missing.
        ValueError: Unknown split, rule or class, or a damaged file.

    Example:
        >>> load("test")
        EmojiImages(emoji, 400 images)
    """
    tiles, rows, names = read_tiles(split, classes=classes, by=by, root=root)
    return EmojiImages(tiles, rows, names, view=view, seed=seed, fixed=split == "test")
