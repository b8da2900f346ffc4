"""Points of a figure that tell what they are when the pointer is near, or the keyboard's focus.

A drawing function names points by :func:`hover_texts`; nothing is drawn by that. When the picture
is finished, :func:`hover_points` says where in it each point has come to lie, and the built book
(:mod:`mnv3lib.bookrender`, ``book/_static/hover.js``) shows the texts there. Where no script runs,
in print, on paper, the picture is what it was.

Explained on the book's style page.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure

__all__ = ["HoverPoint", "hover_points", "hover_texts"]

_DECIMALS = 2  # of a per cent: a tenth of a pixel on a wide page


class HoverPoint(NamedTuple):
    """A point of a finished picture.

    Attributes:
        left: Distance from the left edge, in per cent of the picture's width.
        top: Distance from the upper edge, in per cent of the picture's height.
        text: What the point says.
    """

    left: float
    top: float
    text: str


class _HoverTexts(Artist):
    """Keeps points and texts of one axes until their places are known; draws nothing."""

    def __init__(self, x: Sequence[float], y: Sequence[float], texts: Sequence[str]) -> None:
        super().__init__()
        self.set_in_layout(False)
        self.places = np.column_stack([np.asarray(x, float), np.asarray(y, float)])
        self.texts = tuple(texts)

    def draw(self, renderer: RendererBase) -> None:
        pass


def hover_texts(ax: Axes, x: Sequence[float], y: Sequence[float], texts: Sequence[str]) -> None:
    """Gives each point (x, y) a text, to be shown when the pointer is near; line breaks count.

    Args:
        ax: Axes in whose scale the points are.
        x: Horizontal places.
        y: Vertical places.
        texts: What the points say: a name, and the numbers that the picture shows of it.

    Raises:
        ValueError: The lengths differ.
    """
    if not len(x) == len(y) == len(texts):
        raise ValueError(f"lengths differ: {len(x)} x, {len(y)} y, {len(texts)} texts")
    ax.add_artist(_HoverTexts(x, y, texts))


def hover_points(figure: Figure) -> tuple[HoverPoint, ...]:
    """Where the named points of a figure are, once it has been drawn.

    Args:
        figure: A figure behind its last draw or save: limits and layout are settled by that.

    Returns:
        The points that lie inside of their axes; each call of :func:`hover_texts` from left to
        right.
    """
    points: list[HoverPoint] = []
    for named in figure.findobj(_HoverTexts):
        pixels = named.axes.transData.transform(named.places)
        fractions = figure.transFigure.inverted().transform(pixels).tolist()
        inside = [named.axes.bbox.padded(1).contains(*pixel) for pixel in pixels]
        found = [
            HoverPoint(round(100 * x, _DECIMALS), round(100 * (1 - y), _DECIMALS), text)
            for (x, y), text, shown in zip(fractions, named.texts, inside, strict=True)
            if shown
        ]
        points += sorted(found)
    return tuple(points)
