"""Points that tell what they are: where they lie in the picture, and how they reach the page."""

import json
import re
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from mnv3lib.bookrender import BookRenderer
from mnv3lib.hover import HoverPoint, hover_texts
from mnv3lib.plotting import twin

ALT = "Three points lie on a line that rises."
INK = "#123456"  # a colour of no theme, by which the points are found in the SVG
X, Y, TEXTS = (1.0, 4.0, 2.0), (10.0, 40.0, 25.0), ("first", "last", "middle")
ORDER = ("first", "middle", "last")


def drawn_places(svg):
    """Where the SVG has its markers of the colour INK, in per cent from the upper left."""
    width, height = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups())
    markers = re.findall(rf'<use [^>]*x="([\d.]+)" y="([\d.]+)" style="fill: {INK}', svg)
    return sorted((100 * float(x) / width, 100 * float(y) / height) for x, y in markers)


def points(ax):
    ax.plot(X, Y, "o", color=INK)
    hover_texts(ax, X, Y, TEXTS)


def on_log_axes(ax):
    points(ax)
    ax.set(xscale="log", yscale="log")


def from_right_to_left(ax):
    points(ax)
    ax.invert_xaxis()


def in_equal_units(ax):
    points(ax)
    ax.set_aspect("equal")


def below_other_axes(axes):
    axes[0].plot([0, 1], [0, 1])
    points(axes[1])
    axes[1].set(xlabel="a label that takes room", title="and a title")


@pytest.mark.parametrize(
    ("draw", "options"),
    [
        (points, {}),
        (on_log_axes, {}),
        (from_right_to_left, {}),
        (in_equal_units, {"size": (3, 6)}),
        (below_other_axes, {"nrows": 2, "size": (5, 5)}),
    ],
)
def test_a_text_is_where_its_point_is_drawn(draw, options):
    figure = twin(draw, alt=ALT, **options)
    told = [(point.left, point.top) for point in figure.points]
    assert len(told) == 3
    # Both are rounded: the SVG to a millionth of a point, the place to a hundredth of a per cent.
    np.testing.assert_allclose(told, drawn_places(figure.light), atol=0.006)


def test_texts_come_from_left_to_right():
    assert tuple(point.text for point in twin(points, alt=ALT).points) == ORDER
    assert tuple(p.text for p in twin(from_right_to_left, alt=ALT).points) == ORDER[::-1]


def test_curves_come_one_after_the_other():
    def two(ax):
        hover_texts(ax, [1, 2], [0, 1], ["a1", "a2"])
        hover_texts(ax, [0, 3], [0, 1], ["b1", "b2"])
        ax.set(xlim=(-1, 4), ylim=(-1, 2))

    assert [point.text for point in twin(two, alt=ALT).points] == ["a1", "a2", "b1", "b2"]


def test_a_point_outside_of_its_axes_says_nothing():
    def cut(ax):
        points(ax)
        ax.set(xlim=(0, 3))

    assert [point.text for point in twin(cut, alt=ALT).points] == ["first", "middle"]


def test_the_picture_stays_what_it_was():
    figure = twin(points, alt=ALT)
    plain = twin(lambda ax: ax.plot(X, Y, "o", color=INK), alt=ALT)
    assert (figure.light, figure.dark, figure.png) == (plain.light, plain.dark, plain.png)
    assert repr(figure) == repr(plain)
    assert plain.points == ()


def test_every_point_needs_a_text():
    _, ax = plt.subplots()
    try:
        with pytest.raises(ValueError, match="2 x, 2 y, 1 texts"):
            hover_texts(ax, [1, 2], [3, 4], ["a"])
    finally:
        plt.close("all")


# The renderer of the build


def rendered(figure):
    """The nodes that a figure becomes in the book."""
    data, metadata = figure._repr_mimebundle_()
    metadata = json.loads(json.dumps(metadata))  # as a kernel sends it
    part = SimpleNamespace(
        mime_type="image/png", content=data["image/png"], output_metadata=metadata
    )
    renderer = SimpleNamespace(write_file=lambda path, content, **_: path[0])
    (pair,) = BookRenderer.handle_mime(renderer, part, False)
    return pair.children


def test_the_page_gets_texts_beside_the_pictures():
    def careless(ax):
        hover_texts(ax, [0.5], [0.5], ["</script>\n1 µs"])

    figure = twin(careless, alt=ALT)
    *_, raw = rendered(figure)
    assert raw["format"] == "html"
    assert raw["classes"] == ["twin-points"]
    found = re.fullmatch(
        r'<script type="application/json" class="twin-points">(.*)</script>', raw.astext()
    )
    assert "<" not in found[1]
    assert [HoverPoint(*point) for point in json.loads(found[1])] == list(figure.points)


def test_a_figure_without_texts_asks_for_no_script():
    assert len(rendered(twin(lambda ax: ax.plot(X, Y), alt=ALT))) == 2
