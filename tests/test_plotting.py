"""Figure twins: what they emit, and that colours can be told apart on both pages."""

import base64
import itertools
import re
import xml.etree.ElementTree as ET

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from mnv3lib.plot_style import PALETTE, set_style, style
from mnv3lib.plotting import bars, label_points, show, twin

ALT = "The line rises from zero to one."
PAGES = {"light": "#FFFFFF", "dark": "#121212"}

# Severe protanopia, deuteranopia and tritanopia: Machado, Oliveira and Fernandes, 2009, table 1;
# each applies to linear RGB.
VISION = {
    "full": np.eye(3),
    "protan": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deutan": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritan": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(color):
    channels = np.array(to_rgb(color))
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """CIE L*a*b* of linear RGB, whose Euclidean distance is what an eye tells apart."""
    x, y, z = np.cbrt(XYZ @ np.clip(rgb, 0, 1) / XYZ.sum(axis=1))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one, other):
    lights = sorted((XYZ[1] @ linear(one), XYZ[1] @ linear(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def draw(ax):
    ax.plot([0, 1], [0, 1], label="line")
    ax.legend()


def test_contrast_formula_on_black_and_white():
    assert contrast("black", "white") == pytest.approx(21)


@pytest.mark.parametrize("theme", PALETTE)
def test_every_colour_stands_out_from_its_page(theme):
    for color in PALETTE[theme]:
        assert contrast(color, PAGES[theme]) >= 3.0
    assert contrast(style(theme)["text.color"], PAGES[theme]) >= 7.0


@pytest.mark.parametrize("theme", PALETTE)
@pytest.mark.parametrize("vision", VISION)
def test_neighbouring_colours_differ_for_every_eye(theme, vision):
    seen = [lab(VISION[vision] @ linear(color)) for color in PALETTE[theme]]
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(one - other) >= 13
    for one, other in itertools.pairwise(seen[:4]):
        assert np.linalg.norm(one - other) >= 20


def test_series_differ_in_marker_and_line_too():
    cycle = list(style()["axes.prop_cycle"])
    assert len({step["marker"] for step in cycle}) == len(cycle)
    assert len({str(step["linestyle"]) for step in cycle}) == len(cycle)


def test_the_output_is_text_and_picture_with_twins_as_metadata():
    data, metadata = twin(draw, alt=ALT)._repr_mimebundle_()
    assert data["text/plain"] == f"Figure: {ALT}"
    assert sorted(data) == ["image/png", "text/plain"]
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert metadata["twin_figure"]["alt"] == ALT
    assert metadata["image/png"]["width"] == metadata["twin_figure"]["width"] == 538


def test_twins_are_drawn_in_their_own_colours_and_see_through():
    figure = twin(draw, alt=ALT)
    for svg, theme in ((figure.light, "light"), (figure.dark, "dark")):
        ET.fromstring(svg)
        assert PALETTE[theme][0].lower() in svg
        assert "fill: #ffffff" not in svg


def test_the_same_drawing_gives_the_same_bytes():
    assert twin(draw, alt=ALT) == twin(draw, alt=ALT)
    assert not re.search(r"<dc:date>|\d{4}-\d\d-\d\d", twin(draw, alt=ALT).light)


def test_several_axes_come_as_an_array():
    shapes = []
    twin(lambda axes: shapes.append(axes.shape), alt=ALT, nrows=2, sharex=True)
    assert shapes == [(2,)] * 3


def test_figures_are_closed_also_when_drawing_fails():
    def broken(ax):
        raise RuntimeError("no data")

    twin(draw, alt=ALT)
    with pytest.raises(RuntimeError, match="no data"):
        twin(broken, alt=ALT)
    assert plt.get_fignums() == []


def test_dense_curves_keep_a_handful_of_markers():
    kept = []

    def curves(ax):
        dense = ax.plot(np.arange(400.0), np.arange(400.0))[0]
        sparse = ax.plot([0, 1, 2], [0, 1, 2])[0]
        kept.append((dense, sparse))

    twin(curves, alt=ALT)
    dense, sparse = kept[0]
    assert dense.get_markevery() == (0, 50)
    assert sparse.get_markevery() is None


def test_settings_of_the_process_stay_untouched():
    before = plt.rcParams.copy()
    twin(draw, alt=ALT)
    assert plt.rcParams == before


@pytest.mark.parametrize("alt", ["", "  ", "figure", "Plot of the hard swish function", "x y z"])
def test_alt_text_must_say_something(alt):
    with pytest.raises(ValueError, match="says too little"):
        twin(draw, alt=alt)


def test_alt_text_may_span_lines():
    assert twin(draw, alt="The line rises\n  from zero to one.").alt == ALT


def test_unknown_theme():
    with pytest.raises(ValueError, match="unknown theme 'sepia': expected one of light, dark"):
        set_style("sepia")


def test_set_style_applies_to_later_figures():
    with plt.rc_context():
        set_style("dark")
        assert plt.rcParams["text.color"] == style("dark")["text.color"]


def test_show_displays_one_output(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    show(draw, alt=ALT, size=(4, 3))
    assert [repr(figure) for figure in shown] == [f"Figure: {ALT}"]
    assert shown[0].width_px == 384


def test_bars_write_their_values():
    texts = []

    def two_bars(ax):
        bars(ax, ["stem", "head"], [1234.4, 2.0])
        texts.append([text.get_text() for text in ax.texts])
        assert ax.yaxis_inverted()

    twin(two_bars, alt=ALT)
    assert texts[0] == ["1,234", "2"]


def test_points_are_named():
    texts = []

    def points(ax):
        ax.plot([1, 2], [3, 4])
        label_points(ax, [1, 2], [3, 4], ["small", "large"])
        texts.append([text.get_text() for text in ax.texts])

    twin(points, alt=ALT)
    assert texts[0] == ["small", "large"]


def test_lengths_must_agree():
    _, ax = plt.subplots()
    try:
        with pytest.raises(ValueError, match="2 labels for 1 values"):
            bars(ax, ["a", "b"], [1])
        with pytest.raises(ValueError, match="1 x, 2 y, 1 labels"):
            label_points(ax, [1], [1, 2], ["a"])
    finally:
        plt.close("all")
