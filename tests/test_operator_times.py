"""Profiles by operator: every convolution is found, and the shares add up."""

import pytest
from torch import nn

from mnv3lib.measure.latency import image
from mnv3lib.measure.onnx_profile import (
    LayerTime,
    NodeTime,
    layer_names,
    layer_times,
    node_times,
)
from mnv3lib.measure.operator_times import by_kind, operator_times
from mnv3lib.measure.runtime_onnxruntime import export_onnx


def three_layers() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.Conv2d(8, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


@pytest.mark.parametrize(
    ("runtime", "convolution"), [("eager", "aten::mkldnn_convolution"), ("onnxruntime", "Conv")]
)
def test_convolutions_are_counted_and_shares_add_up(runtime, convolution):
    pytest.importorskip({"eager": "torch"}.get(runtime, runtime))
    times = operator_times(three_layers(), 32, runtime, runs=3)
    calls = {time.operator: time.calls for time in times}
    if runtime == "onnxruntime" or convolution in calls:  # its name depends on PyTorch's build
        assert calls[convolution] == 2
    assert sum(time.share for time in times) == pytest.approx(1.0)
    assert [time.ms for time in times] == sorted((time.ms for time in times), reverse=True)


def test_nodes_belong_to_the_layer_before_them():
    nodes = [
        NodeTime("in", "QuantizeLinear", 9.0),
        NodeTime("a", "QLinearConv", 1.0),
        NodeTime("b", "DequantizeLinear", 0.25),
        NodeTime("c", "HardSigmoid", 0.5),
        NodeTime("d", "QGemm", 2.0),
    ]
    assert layer_times(nodes, ["conv", "linear"]) == [
        LayerTime("conv", 1.0, 0.75),
        LayerTime("linear", 2.0, 0),
    ]
    with pytest.raises(ValueError, match="2 nodes that multiply matrices, the network 1 layers"):
        layer_times(nodes, ["conv"])


def test_programs_are_profiled_side_by_side():
    pytest.importorskip("onnxruntime")
    network = three_layers().eval()
    layers = layer_names(network, image(32))
    assert layers == ["0", "1"]
    program = export_onnx(network, image(32))
    found = node_times({"one": program, "other": program}, image(32), runs=2)
    for nodes in found.values():
        assert [time.layer for time in layer_times(nodes, layers)] == layers
        assert len({node.name for node in nodes}) == len(nodes)
        times = by_kind(nodes)
        assert {time.operator: time.calls for time in times}["Conv"] == 2
        assert sum(time.share for time in times) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="runs must be an integer of at least 1, got 0"):
        node_times({"one": program}, image(32), runs=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"runtime": "executorch"}, "cannot tell the time of an operator: choose one of eager"),
        ({"runtime": "tflite"}, "unknown runtime"),
        ({"runs": 0}, "runs must be an integer of at least 1, got 0"),
        ({"threads": 0}, "threads must be"),
        ({"resolution": 8}, "at least 32"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        operator_times(three_layers(), **{"resolution": 32, **arguments})
