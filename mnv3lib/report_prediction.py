"""What ``mnv3 predict`` shows of a prediction: a table, JSON for programs, or a picture.

Label maps are in the JSON as COCO writes masks, run lengths that ``pycocotools.mask.decode`` reads.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import Tensor

from mnv3lib.book import Table, table
from mnv3lib.pictures import LEGEND_COLUMNS, draw_boxes, draw_image, draw_label_map
from mnv3lib.plot_style import style
from mnv3lib.plotting import bars
from mnv3lib.train.predictions import (
    BoxPrediction,
    ClassPrediction,
    MaskPrediction,
    Prediction,
)

__all__ = ["picture_format", "prediction_data", "prediction_picture", "prediction_text"]

_SIDE, _NARROWEST, _LOWEST = 8.0, 4.0, 1.0  # of the image in inches: longer side, limits
_DPI = 144
_BAR, _AXIS, _LEGEND_ROW = 0.36, 0.8, 0.3  # inches
# Formats by suffix, with the metadata to leave out so that one picture is one file.
_FORMATS: dict[str, tuple[str, dict[str, None] | None]] = {
    ".png": ("png", {"Software": None}),
    ".jpg": ("jpg", None),
    ".jpeg": ("jpg", None),
    ".svg": ("svg", {"Date": None}),
    ".pdf": ("pdf", {"CreationDate": None}),
}


def prediction_data(prediction: Prediction) -> dict[str, Any]:
    """A prediction with task and size of the image, ready for JSON."""
    width, height = prediction.size
    about = {"task": prediction.task, "width": width, "height": height}
    return {**about, **_DATA[prediction.task](prediction)}


def prediction_text(prediction: Prediction) -> str:
    """A prediction as a table, under a line with task and size of the image."""
    width, height = prediction.size
    return f"{prediction.task}, {width} x {height} pixels\n\n{_TABLES[prediction.task](prediction)}"


def picture_format(path: Path) -> str:
    """The suffix of a picture's file, in small letters.

    Raises:
        ValueError: No picture can be written with this one.
    """
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise ValueError(f"unknown picture format {suffix!r} of {path}: use {', '.join(_FORMATS)}")
    return suffix


def prediction_picture(image: Tensor, prediction: Prediction, suffix: str = ".png") -> bytes:
    """The picture of a prediction: the image with boxes or tints, or above bars of its classes.

    Args:
        image: uint8 RGB, (3, H, W).
        prediction: What :class:`mnv3lib.train.predict.Predictor` said about it. All that it holds
            is shown, so take the best of it before, such as ``prediction.top(5)``.
        suffix: Of the file, see :func:`picture_format`.

    Returns:
        The file's content.
    """
    name, metadata = _FORMATS[suffix]
    height, width = image.shape[-2:]
    scale = _SIDE / max(height, width)
    size = (max(_NARROWEST, scale * width), max(_LOWEST, scale * height))
    content = io.BytesIO()
    with rc_context(style("light")):
        figure = Figure(size, layout="constrained", dpi=_DPI)
        _PANELS[prediction.task](figure, image, prediction)
        shape = {"bbox_inches": "tight", "pad_inches": 0.05}
        figure.savefig(content, format=name, facecolor="white", metadata=metadata, **shape)
    return content.getvalue()


def _class_data(prediction: ClassPrediction) -> dict[str, Any]:
    rows = zip(prediction.classes, prediction.probabilities.tolist(), strict=True)
    return {"classes": [{"name": name, "probability": share} for name, share in rows]}


def _box_data(prediction: BoxPrediction) -> dict[str, Any]:
    found, names = prediction.found, prediction.classes
    rows = zip(found.labels.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True)
    return {"boxes": [{"name": names[k], "score": score, "box": box} for k, score, box in rows]}


def _mask_data(prediction: MaskPrediction) -> dict[str, Any]:
    from pycocotools.mask import encode

    labels, rows = prediction.labels.numpy(), []
    for label, pixels in prediction.pixels().items():
        runs = encode(np.asfortranarray(labels == label, dtype=np.uint8))
        mask = {"size": list(labels.shape), "counts": runs["counts"].decode("ascii")}
        share = {"pixels": pixels, "share": pixels / labels.size}
        rows.append({"name": prediction.classes[label], **share, "segmentation": mask})
    return {"classes": rows}


def _class_table(prediction: ClassPrediction) -> Table:
    rows = [[*row.values()] for row in _class_data(prediction)["classes"]]
    return table(rows, ["class", "probability"], formats=["", "{:.1%}"])


def _box_table(prediction: BoxPrediction) -> Table | str:
    rows = [[row["name"], row["score"], *row["box"]] for row in _box_data(prediction)["boxes"]]
    if not rows:
        return "no boxes: a lower --score shows more"
    headers = ["class", "score", "left", "top", "right", "bottom"]
    return table(rows, headers, formats=["", "{:.2f}", *["{:.1f}"] * 4])


def _mask_table(prediction: MaskPrediction) -> Table:
    counts = prediction.pixels().items()
    rows = [[prediction.classes[k], n, n / prediction.labels.numel()] for k, n in counts]
    return table(rows, ["class", "pixels", "share"], formats=["", "{:,}", "{:.1%}"])


def _grow(figure: Figure, inches: float) -> float:
    """Makes a figure higher, and returns its old height."""
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + inches)
    return height


def _class_panels(figure: Figure, image: Tensor, prediction: ClassPrediction) -> None:
    room = _BAR * len(prediction.classes) + _AXIS
    above, below = figure.subplots(2, height_ratios=(_grow(figure, room), room))
    draw_image(above, image)
    bars(below, prediction.classes, prediction.probabilities.tolist(), text="{:.1%}")
    below.set(xlabel="probability")


def _box_panel(figure: Figure, image: Tensor, prediction: BoxPrediction) -> None:
    found = prediction.found
    options = {"classes": prediction.classes, "scores": found.scores}
    draw_boxes(figure.subplots(), image, found.boxes, found.labels, **options)


def _mask_panel(figure: Figure, image: Tensor, prediction: MaskPrediction) -> None:
    rows = -(-len(prediction.pixels()) // LEGEND_COLUMNS)
    _grow(figure, _LEGEND_ROW * rows)
    draw_label_map(figure.subplots(), image, prediction.labels, prediction.classes)


_DATA: dict[str, Callable[[Any], dict[str, Any]]] = {
    "classification": _class_data,
    "detection": _box_data,
    "segmentation": _mask_data,
}
_TABLES: dict[str, Callable[[Any], Table | str]] = {
    "classification": _class_table,
    "detection": _box_table,
    "segmentation": _mask_table,
}
_PANELS: dict[str, Callable[[Figure, Tensor, Any], None]] = {
    "classification": _class_panels,
    "detection": _box_panel,
    "segmentation": _mask_panel,
}
