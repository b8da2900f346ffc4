"""Images with what is on them: boxes with their names, and a class for every pixel.

The functions fill axes, in a figure of :func:`mnv3lib.plotting.show` as anywhere else, and take
annotations as well as predictions. Classes have the book's colours. Since six colours do not last
for nineteen classes, names are written on what they name.

Used in chapters 10 and 11.
"""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from mnv3lib.plot_style import PALETTE

__all__ = ["LEGEND_COLUMNS", "class_colour", "draw_boxes", "draw_image", "draw_label_map"]

_SHADES = (("white", 0.0), ("white", 0.5), ("black", 0.45))  # what is mixed in, and how much of it
_INK, _PAPER = "#1F2328", "#FFFFFF"
_VOID = 255
_NOT_TINTED = "background"
_NAMED_FROM = 0.04  # half the width of a region, as a share of the image's longer side
_NAME_HEIGHT = 0.05  # of a box's name, roughly, as a share of the image's height
_LOOKED_AT_PX = 400  # the label map is thinned out to that when names are placed
LEGEND_COLUMNS = 4


def class_colour(label: int) -> tuple[float, float, float]:
    """The colour of a class: six of the book's palette, then the same lighter, then darker.

    Args:
        label: Class, from 0; from 18 on colours repeat.

    Returns:
        Red, green and blue, from 0 to 1.
    """
    colours = PALETTE["light"]  # pictures look the same on light and on dark pages
    mixed_in, share = _SHADES[label // len(colours) % len(_SHADES)]
    own, other = np.array(to_rgb(colours[label % len(colours)])), np.array(to_rgb(mixed_in))
    return tuple(((1 - share) * own + share * other).tolist())


def draw_image(ax: Axes, image: Tensor) -> None:
    """Draws an image without axes; its edges lie at 0 and at its width and height, as boxes' do.

    Args:
        ax: Axes to draw in.
        image: uint8 RGB, (3, H, W).

    Raises:
        ValueError: No RGB image.
    """
    _show(ax, _pixels(image))


def draw_boxes(
    ax: Axes,
    image: Tensor,
    boxes: Tensor,
    labels: Tensor,
    classes: Sequence[str],
    *,
    scores: Tensor | None = None,
) -> None:
    """Draws an image with boxes, each with its class and its score.

    Args:
        ax: Axes to draw in.
        image: uint8 RGB, (3, H, W).
        boxes: Corners in pixels of the image, (N, 4).
        labels: Classes from 0, (N,).
        classes: Names of the classes.
        scores: (N,), the best first, which is drawn on top; annotations have none.

    Raises:
        ValueError: No RGB image, not as many boxes as labels and scores, or a label of no class.
    """
    draw_image(ax, image)
    names = [_name(label, classes) for label in labels.tolist()]
    if scores is not None:
        _check_count("scores", scores, len(names))
        names = [f"{name} {score:.2f}" for name, score in zip(names, scores.tolist(), strict=True)]
    _check_count("boxes", boxes, len(names))
    rows = list(zip(boxes.tolist(), labels.tolist(), names, strict=True))
    for box, label, name in reversed(rows):
        _draw_box(ax, box, class_colour(label), name, size=image.shape[-2:])


def draw_label_map(
    ax: Axes, image: Tensor, labels: Tensor, classes: Sequence[str], *, opacity: float = 0.6
) -> None:
    """Draws an image with the class of each pixel as a tint, names and a legend below.

    A class named "background" is not tinted, nor are pixels without a class.

    Args:
        ax: Axes to draw in.
        image: uint8 RGB, (3, H, W).
        labels: Classes from 0, and 255 for none, (H, W).
        classes: Names of the classes.
        opacity: Of the tint, from 0 to 1.

    Raises:
        ValueError: No RGB image, a label map of another size, or a label of no class.
    """
    pixels, marks = _pixels(image), labels.cpu().numpy()
    if marks.shape != pixels.shape[:2]:
        raise ValueError(
            f"the label map has the shape {marks.shape}, its image {pixels.shape[:2]}; "
            "every pixel needs a label"
        )
    present = [int(label) for label in np.unique(marks) if label != _VOID]
    tinted = [label for label in present if _name(label, classes) != _NOT_TINTED]
    _show(ax, _blended(pixels, marks, tinted, opacity))
    _write_names(ax, marks, tinted, classes)
    _add_legend(ax, tinted, classes)


def _pixels(image: Tensor) -> np.ndarray:
    """(H, W, 3)."""
    if image.dtype != torch.uint8 or image.ndim != 3 or len(image) != 3:
        raise ValueError(
            f"expected an RGB image, uint8 (3, H, W), got {image.dtype} {tuple(image.shape)}"
        )
    return image.permute(1, 2, 0).cpu().numpy()


def _name(label: int, classes: Sequence[str]) -> str:
    if not 0 <= label < len(classes):
        raise ValueError(f"label {label} is of no class; classes are 0 to {len(classes) - 1}")
    return classes[label]


def _check_count(what: str, values: Tensor, count: int) -> None:
    if len(values) != count:
        raise ValueError(f"{len(values)} {what} for {count} labels: expected one each")


def _show(ax: Axes, pixels: np.ndarray) -> None:
    height, width = pixels.shape[:2]
    ax.imshow(pixels, extent=(0, width, height, 0))
    ax.set_axis_off()


def _blended(
    pixels: np.ndarray, marks: np.ndarray, tinted: Sequence[int], opacity: float
) -> np.ndarray:
    """The image with the pixels of some classes mixed with the colours of these."""
    colours, share = np.zeros((_VOID + 1, 3)), np.zeros((_VOID + 1, 1))
    for label in tinted:
        colours[label], share[label] = 255 * np.array(class_colour(label)), opacity
    blend = np.empty_like(pixels)
    for row, line in enumerate(marks):  # row by row: photographs are large
        mixed = (1 - share[line]) * pixels[row] + share[line] * colours[line]
        blend[row] = mixed.round()
    return blend


def _draw_box(
    ax: Axes, box: Sequence[float], colour: tuple[float, ...], name: str, *, size: Sequence[int]
) -> None:
    """Draws a box and its name, at the corner where the image, height and width, has room."""
    left, top, right, bottom = box
    height, width = size
    frame = Rectangle((left, top), right - left, bottom - top, fill=False, ec=colour, lw=2.0)
    frame.set_path_effects([withStroke(linewidth=3.5, foreground=_PAPER)])
    ax.add_patch(frame)
    rightwards, above = left + right < width, top > _NAME_HEIGHT * height
    text = ax.annotate(
        name,
        (left if rightwards else right, top),
        xytext=(0, 2 if above else -2),
        textcoords="offset points",
        ha="left" if rightwards else "right",
        va="bottom" if above else "top",
        fontsize=9,
        color=_INK,
        bbox={"facecolor": _PAPER, "edgecolor": colour, "alpha": 0.85, "pad": 1.5},
    )
    text.set_in_layout(False)


def _write_names(
    ax: Axes, marks: np.ndarray, tinted: Sequence[int], classes: Sequence[str]
) -> None:
    """Writes the name of each class where it has most room, if that is enough."""
    step = -(-max(marks.shape) // _LOOKED_AT_PX)
    thin = np.pad(marks[::step, ::step], 1, constant_values=_VOID)
    for label in tinted:
        room = distance_transform_edt(thin == label)
        row, column = np.unravel_index(room.argmax(), room.shape)
        if room[row, column] < _NAMED_FROM * max(thin.shape):
            continue
        at = ((column - 0.5) * step, (row - 0.5) * step)
        text = ax.text(*at, classes[label], ha="center", va="center", fontsize=9, color=_INK)
        text.set_path_effects([withStroke(linewidth=3.0, foreground=_PAPER)])
        text.set_in_layout(False)


def _add_legend(ax: Axes, tinted: Sequence[int], classes: Sequence[str]) -> None:
    if not tinted:
        return
    patches = [Patch(color=class_colour(label), label=classes[label]) for label in tinted]
    columns = min(LEGEND_COLUMNS, len(tinted))
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0)}
    ax.legend(handles=patches, ncols=columns, fontsize=9, **place)
