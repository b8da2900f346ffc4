"""The two anchor layouts, against numbers of the codes that they come from."""

import pytest
import torch

from mnv3lib.heads.anchors import AnchorLayout

SIZES = [20, 10, 5, 3, 2, 1]


def first_of_map(anchors, per_map, index):
    """Width and height of the anchors of the first cell of a map, (shapes, 2)."""
    start = sum(size * size * n for size, n in zip(SIZES[:index], per_map[:index], strict=True))
    boxes = anchors[start : start + per_map[index]]
    return boxes[:, 2:] - boxes[:, :2]


@pytest.mark.parametrize(
    ("kind", "number", "per_map"),
    [("tf", 2034, (3, 6, 6, 6, 6, 6)), ("torchvision", 3234, (6,) * 6)],
)
def test_numbers_of_anchors(kind, number, per_map):
    layout = AnchorLayout(kind)
    assert layout.per_map == per_map
    assert layout.anchors(SIZES, 320).shape == (number, 4)


def test_shapes_of_tensorflow_in_pixels():
    layout = AnchorLayout("tf")
    anchors = layout.anchors(SIZES, 320)
    expected = {
        0: [(32, 32), (90.51, 45.25), (45.25, 90.51)],
        1: [
            (112, 112),
            (158.39, 79.20),
            (79.20, 158.39),
            (193.99, 64.66),
            (64.66, 194.00),
            (133.87, 133.87),
        ],
    }
    for index, shapes in expected.items():
        found = first_of_map(anchors, layout.per_map, index)
        torch.testing.assert_close(found, torch.tensor(shapes), atol=0.01, rtol=0)
    last = first_of_map(anchors, layout.per_map, 5)[[0, 1, 5]]
    widths = torch.tensor([(304, 304), (429.92, 214.96), (311.90, 311.90)])
    torch.testing.assert_close(last, widths, atol=0.01, rtol=0)


def test_first_anchors_of_torchvision():
    expected = [
        (-24, -24, 40, 40),
        (-34.33, -34.33, 50.33, 50.33),
        (-37.25, -14.63, 53.25, 30.63),
        (-14.63, -37.25, 30.63, 53.25),
        (-47.43, -10.48, 63.43, 26.48),
        (-10.48, -47.43, 26.48, 63.43),
    ]
    first = AnchorLayout("torchvision").anchors(SIZES, 320)[:6]
    torch.testing.assert_close(first, torch.tensor(expected), atol=0.01, rtol=0)


def test_torchvision_cuts_sides_to_the_image_and_tensorflow_does_not():
    widest = {
        kind: (boxes[:, 2] - boxes[:, 0]).max().item()
        for kind in ("tf", "torchvision")
        if len(boxes := AnchorLayout(kind).anchors(SIZES, 320))
    }
    assert widest["torchvision"] == pytest.approx(320)
    assert widest["tf"] == pytest.approx(320 * 0.95 * 3**0.5)


def test_order_is_shape_then_x_then_y_then_map():
    layout = AnchorLayout("tf", num_maps=2)
    boxes = layout.anchors([2, 1], 8)
    centres = ((boxes[:, :2] + boxes[:, 2:]) / 2).tolist()
    assert [[round(x, 4) for x in centre] for centre in centres] == (
        [[2, 2]] * 3 + [[6, 2]] * 3 + [[2, 6]] * 3 + [[6, 6]] * 3 + [[4, 4]] * 6
    )


def test_smaller_scales_and_one_map():
    sides = [
        [round(w, 3) for w, h in shapes] for shapes in AnchorLayout("tf", (0.1, 0.1), 1).shapes
    ]
    assert sides == [[0.05, 0.141, 0.071]]


def test_bad_layouts_are_named():
    with pytest.raises(ValueError, match="unknown anchor layout 'caffe'"):
        AnchorLayout("caffe")
    with pytest.raises(ValueError, match="must rise from above 0 to at most 1"):
        AnchorLayout(scales=(0.9, 0.2))
    with pytest.raises(ValueError, match=r"for 6 maps, got sizes \[4, 2\]"):
        AnchorLayout().anchors([4, 2], 64)
