"""Figures of the book: one drawing function, drawn twice, for light and for dark pages.

A drawing function fills axes and knows nothing of themes. :func:`show` runs it under both
styles and emits one output that carries

* two SVG pictures, which the built book shows by theme (see :mod:`mnv3lib.bookrender`),
* one PNG for JupyterLab, VS Code and Colab,
* the text ``Figure: <alt text>``, the only part that is stored and compared.

The styles are those of :mod:`mnv3lib.plot_style`; points that tell what they are, when the pointer
is near, are those of :mod:`mnv3lib.hover`.

Explained on the book's style page.
"""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mnv3lib.hover import HoverPoint, hover_points
from mnv3lib.plot_style import PALETTE, style

__all__ = ["TwinFigure", "bars", "label_points", "show", "twin"]

_PX_PER_INCH = 96  # one CSS inch; the width a picture takes on a wide page
_PNG_DPI = 144
_MARKS_PER_CURVE = 8
_MIN_ALT_WORDS = 5

Drawing = Callable[[Any], object]


@dataclass(frozen=True)
class TwinFigure:
    """A figure drawn for both themes, with the sentence that stands in for it.

    Attributes:
        alt: What a reader should see in the picture.
        light: SVG text for light pages.
        dark: SVG text for dark pages.
        png: Picture for viewers outside of the book, on an opaque background.
        width_px: Width on a wide page, in CSS pixels.
        points: What the points say that :func:`mnv3lib.hover.hover_texts` has named.
    """

    alt: str
    light: str
    dark: str
    png: bytes
    width_px: int
    points: tuple[HoverPoint, ...] = ()

    def __repr__(self) -> str:
        return f"Figure: {self.alt}"

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        data = {"text/plain": repr(self), "image/png": base64.b64encode(self.png).decode()}
        twins = {"alt": self.alt, "light": self.light, "dark": self.dark, "width": self.width_px}
        twins["points"] = self.points
        return data, {"twin_figure": twins, "image/png": {"width": self.width_px}}


def twin(
    draw: Drawing,
    *,
    alt: str,
    size: tuple[float, float] = (5.6, 3.5),
    nrows: int = 1,
    ncols: int = 1,
    sharex: bool = False,
    sharey: bool = False,
) -> TwinFigure:
    """Draw a figure for both themes and return it.

    Args:
        draw: Fills the axes: gets one ``Axes``, or the array of them when there are several.
            It runs three times, so it must not change what it draws.
        alt: What the reader should see, as a sentence ("MACs fall 8-fold while ...").
        size: Width and height in inches; at the default width, text stays legible on a phone.
        nrows: Rows of axes.
        ncols: Columns of axes; prefer rows, which a phone shows in full width.
        sharex: Whether all axes share one x scale.
        sharey: Whether all axes share one y scale.

    Returns:
        The figure; as the last expression of a cell it shows itself.

    Raises:
        ValueError: The alt text is empty or says nothing.
    """
    alt = _checked_alt(alt)
    grid = {"nrows": nrows, "ncols": ncols, "sharex": sharex, "sharey": sharey}
    width_px = round(size[0] * _PX_PER_INCH)
    (light, points), (dark, _) = (_render(draw, theme, size, grid, "svg") for theme in PALETTE)
    png, _ = _render(draw, "light", size, grid, "png", facecolor="white", dpi=_PNG_DPI)
    return TwinFigure(alt, light.decode(), dark.decode(), png, width_px, points)


def show(draw: Drawing, *, alt: str, **options: Any) -> None:
    """Draw a figure as :func:`twin` does and display it as one output of the cell."""
    figure = twin(draw, alt=alt, **options)
    try:
        from IPython.display import display
    except ImportError:  # a plain script: say in words what the picture shows
        print(figure)
        return
    display(figure)


def bars(
    ax: Axes, labels: Sequence[str], values: Sequence[float], *, text: str = "{:,.0f}"
) -> None:
    """Draw horizontal bars, first label on top, each with its value written at its end.

    Args:
        ax: Axes to draw in.
        labels: Names, one a bar.
        values: Lengths, one a bar.
        text: Format of the written value.

    Raises:
        ValueError: There are not as many labels as values.
    """
    if len(labels) != len(values):
        raise ValueError(f"{len(labels)} labels for {len(values)} values: expected one each")
    places = np.arange(len(values))
    drawn = ax.barh(places, values, color="C0", height=0.7)
    ax.bar_label(drawn, labels=[text.format(value) for value in values], padding=4, fontsize=11)
    ax.set_yticks(places, labels)
    ax.invert_yaxis()
    ax.margins(x=0.18)  # room for the written values
    ax.grid(visible=False, axis="y")


def label_points(ax: Axes, x: Sequence[float], y: Sequence[float], labels: Sequence[str]) -> None:
    """Write a name to the upper right of each point (x, y); ValueError if lengths differ."""
    if not len(x) == len(y) == len(labels):
        raise ValueError(f"lengths differ: {len(x)} x, {len(y)} y, {len(labels)} labels")
    for at_x, at_y, label in zip(x, y, labels, strict=True):
        ax.annotate(label, (at_x, at_y), xytext=(6, 5), textcoords="offset points", fontsize=11)


def _checked_alt(alt: str) -> str:
    text = " ".join(alt.split())
    if len(text.split()) < _MIN_ALT_WORDS or text.lower().startswith(("plot of", "figure of")):
        raise ValueError(
            f"alt text {alt!r} says too little: expected a sentence of {_MIN_ALT_WORDS} words or "
            "more that tells what the reader should see, such as 'MACs fall 8-fold while ...'"
        )
    return text


def _render(
    draw: Drawing,
    theme: str,
    size: tuple[float, float],
    grid: dict[str, Any],
    kind: str,
    **save: Any,
) -> tuple[bytes, tuple[HoverPoint, ...]]:
    """The picture, and what its points say where; places are known once it is drawn."""
    with plt.rc_context(style(theme)):
        figure, axes = plt.subplots(figsize=size, layout="constrained", **grid)
        try:
            draw(axes)
            _thin_markers(figure)
            buffer = io.BytesIO()
            stamp = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
            figure.savefig(buffer, format=kind, metadata=stamp, **save)
            points = hover_points(figure)
        finally:
            plt.close(figure)
    return buffer.getvalue(), points


def _thin_markers(figure: Figure) -> None:
    """Leave a handful of markers on dense curves, shifted so that they do not coincide."""
    for ax in figure.axes:
        for index, line in enumerate(ax.get_lines()):
            points = len(line.get_xdata())
            if points > 4 * _MARKS_PER_CURVE and line.get_markevery() is None:
                step = points // _MARKS_PER_CURVE
                line.set_markevery((index * step // 3 % step, step))
