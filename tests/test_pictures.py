"""Pictures: boxes and tints where they belong, in the colours of their classes."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from pycocotools.mask import decode

from mnv3lib.heads.detections import Detections
from mnv3lib.pictures import class_colour, draw_boxes, draw_image, draw_label_map
from mnv3lib.plot_style import PALETTE
from mnv3lib.plotting import twin
from mnv3lib.report_prediction import (
    picture_format,
    prediction_data,
    prediction_picture,
    prediction_text,
)
from mnv3lib.train.predictions import BoxPrediction, ClassPrediction, MaskPrediction

NAMES = ("background", "cup", "car")
BLACK = torch.zeros(3, 40, 60, dtype=torch.uint8)
BOXES = torch.tensor([[5.0, 10, 25, 30], [40.0, 1, 60, 20]])


def axes():
    return Figure().subplots()


def test_colours_are_the_palette_then_lighter_then_darker():
    palette = [to_rgb(colour) for colour in PALETTE["light"]]
    assert [class_colour(label) for label in range(6)] == palette
    assert class_colour(6) == pytest.approx([(1 + part) / 2 for part in palette[0]])
    assert class_colour(13) == pytest.approx([0.55 * part for part in palette[1]])
    assert class_colour(18) == palette[0]
    assert len({class_colour(label) for label in range(18)}) == 18


# --- boxes ---------------------------------------------------------------------------------------


def test_boxes_lie_on_pixels_with_their_names_the_best_on_top():
    ax = axes()
    scores = torch.tensor([0.875, 0.5])
    draw_boxes(ax, BLACK, BOXES, torch.tensor([1, 2]), NAMES, scores=scores)
    frames = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    assert [frame.get_bbox().extents.tolist() for frame in frames] == BOXES.flip(0).tolist()
    assert [to_rgb(f.get_edgecolor()) for f in frames] == [class_colour(2), class_colour(1)]
    assert [text.get_text() for text in ax.texts] == ["car 0.50", "cup 0.88"]
    # At the top right of the image the name lies inside of the box, and ends at its right edge.
    assert [(t.get_ha(), t.get_va()) for t in ax.texts] == [("right", "top"), ("left", "bottom")]
    (image,) = ax.images
    assert image.get_extent() == [0, 60, 40, 0]


def test_annotations_have_no_scores_and_may_be_none_at_all():
    ax = axes()
    draw_boxes(ax, BLACK, BOXES, torch.tensor([0, 1]), NAMES)
    assert [text.get_text() for text in ax.texts] == ["cup", "background"]
    ax = axes()
    draw_boxes(ax, BLACK, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), NAMES)
    assert not ax.patches


def test_wrong_boxes_are_refused():
    labels = torch.tensor([0, 1])
    with pytest.raises(ValueError, match="1 boxes for 2 labels"):
        draw_boxes(axes(), BLACK, BOXES[:1], labels, NAMES)
    with pytest.raises(ValueError, match="3 scores for 2 labels"):
        draw_boxes(axes(), BLACK, BOXES, labels, NAMES, scores=torch.ones(3))
    with pytest.raises(ValueError, match="label 3 is of no class; classes are 0 to 2"):
        draw_boxes(axes(), BLACK, BOXES, labels + 2, NAMES)
    for wrong in (BLACK.float(), BLACK[:1], BLACK[0]):
        with pytest.raises(ValueError, match=r"expected an RGB image, uint8 \(3, H, W\)"):
            draw_image(axes(), wrong)


# --- label maps ----------------------------------------------------------------------------------


def test_classes_are_tinted_but_background_and_void_are_not():
    image = torch.full((3, 1, 4), 100, dtype=torch.uint8)
    ax = axes()
    draw_label_map(ax, image, torch.tensor([[0, 1, 2, 255]]), NAMES, opacity=0.5)
    tints = [[round(50 + 127.5 * part) for part in class_colour(label)] for label in (1, 2)]
    (drawn,) = ax.images
    assert np.asarray(drawn.get_array())[0].tolist() == [[100] * 3, *tints, [100] * 3]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["cup", "car"]


def test_names_stand_where_their_class_has_room():
    labels = torch.zeros(40, 60, dtype=torch.uint8)
    labels[5:26, 20:41] = 1
    labels[38, :] = 2  # too thin for a name
    ax = axes()
    draw_label_map(ax, BLACK, labels, NAMES)
    (name,) = ax.texts
    assert name.get_text() == "cup"
    assert name.get_position() == (30.5, 15.5)


def test_nothing_but_background_has_no_legend():
    ax = axes()
    draw_label_map(ax, BLACK, torch.zeros(40, 60, dtype=torch.int64), NAMES)
    assert ax.get_legend() is None
    assert not ax.texts


def test_wrong_label_maps_are_refused():
    with pytest.raises(ValueError, match=r"shape \(60, 40\), its image \(40, 60\)"):
        draw_label_map(axes(), BLACK, torch.zeros(60, 40), NAMES)
    with pytest.raises(ValueError, match="label 7 is of no class"):
        draw_label_map(axes(), BLACK, torch.full((40, 60), 7), NAMES)


def test_pages_show_both():
    def draw(both):
        draw_boxes(both[0], BLACK, BOXES, torch.tensor([1, 2]), NAMES)
        draw_label_map(both[1], BLACK, torch.ones(40, 60, dtype=torch.uint8), NAMES)

    figure = twin(draw, alt="Two boxes, and a map that is all cup.", nrows=2)
    assert figure.light != figure.dark  # the legend has the page's ink


# --- what the command makes of a prediction ------------------------------------------------------

LABELS = torch.zeros(40, 60, dtype=torch.uint8)
LABELS[:10] = 2
PREDICTIONS = {
    "classification": ClassPrediction((60, 40), ("cup", "car"), torch.tensor([0.75, 0.25])),
    "detection": BoxPrediction(
        (60, 40), NAMES, Detections(BOXES, torch.tensor([0.875, 0.5]), torch.tensor([1, 2]))
    ),
    "segmentation": MaskPrediction((60, 40), NAMES, LABELS),
}
BEGINNINGS = {".png": b"\x89PNG", ".jpg": b"\xff\xd8", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.mark.parametrize("task", PREDICTIONS)
def test_a_picture_is_a_function_of_the_prediction(task):
    content = prediction_picture(BLACK, PREDICTIONS[task])
    assert content.startswith(BEGINNINGS[".png"])
    assert prediction_picture(BLACK, PREDICTIONS[task]) == content
    assert plt.get_fignums() == []


@pytest.mark.parametrize("suffix", BEGINNINGS)
def test_every_format_is_written(suffix):
    content = prediction_picture(BLACK, PREDICTIONS["segmentation"], suffix)
    assert content.startswith(BEGINNINGS[suffix])


def test_formats_are_known_by_their_suffix(tmp_path):
    assert picture_format(tmp_path / "a.PNG") == ".png"
    for name in ("a.bmp", "a", ".png"):
        with pytest.raises(ValueError, match=r"use \.png, \.jpg, \.jpeg, \.svg, \.pdf"):
            picture_format(tmp_path / name)


def test_long_and_thin_images_have_pictures():
    for shape in ((3, 1, 500), (3, 500, 1)):
        image = torch.zeros(shape, dtype=torch.uint8)
        size = (shape[2], shape[1])
        found = MaskPrediction(size, NAMES, torch.ones(shape[1:], dtype=torch.uint8))
        assert prediction_picture(image, found).startswith(BEGINNINGS[".png"])


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
def test_data_holds_what_the_picture_shows():
    size = {"width": 60, "height": 40}
    assert prediction_data(PREDICTIONS["classification"]) == {
        "task": "classification",
        **size,
        "classes": [{"name": "cup", "probability": 0.75}, {"name": "car", "probability": 0.25}],
    }
    assert prediction_data(PREDICTIONS["detection"]) == {
        "task": "detection",
        **size,
        "boxes": [
            {"name": "cup", "score": 0.875, "box": [5, 10, 25, 30]},
            {"name": "car", "score": 0.5, "box": [40, 1, 60, 20]},
        ],
    }
    data = json.loads(json.dumps(prediction_data(PREDICTIONS["segmentation"])))
    rows = [(row["name"], row["pixels"], row["share"]) for row in data["classes"]]
    assert rows == [("background", 1800, 0.75), ("car", 600, 0.25)]
    assert np.array_equal(decode(data["classes"][1]["segmentation"]), LABELS == 2)


def test_text_is_a_table():
    text = {task: prediction_text(found) for task, found in PREDICTIONS.items()}
    assert text["classification"].splitlines()[0] == "classification, 60 x 40 pixels"
    assert text["classification"].split()[-4:] == ["cup", "75.0%", "car", "25.0%"]
    assert text["detection"].split()[-6:] == ["car", "0.50", "40.0", "1.0", "60.0", "20.0"]
    assert text["segmentation"].split()[-3:] == ["car", "600", "25.0%"]
    none = PREDICTIONS["detection"].above(1)
    assert prediction_text(none).splitlines()[-1] == "no boxes: a lower --score shows more"
