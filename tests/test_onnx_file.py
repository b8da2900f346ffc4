"""ONNX files: what happens to a QDQ graph, and that both kinds of file compute what they should."""

import numpy as np
import pytest
import torch

pytest.importorskip("onnxruntime", reason="needs the extra 'deploy'")
pytest.importorskip("torchao", reason="needs the extra 'deploy'")
onnx = pytest.importorskip("onnx", reason="needs the extra 'deploy'")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from torch import nn  # noqa: E402

from all_networks import EVERY, built  # noqa: E402
from mnv3lib.compress.onnx_file import (  # noqa: E402
    average_pools,
    onnx_bytes,
    unsigned_activations,
)
from mnv3lib.compress.post_training import quantise_network  # noqa: E402
from mnv3lib.measure.runtime_onnxruntime import load_program, open_session  # noqa: E402
from mnv3lib.models import deploy  # noqa: E402
from tiny_programs import Tiny, tiny_images  # noqa: E402


def qdq_graph():
    """y = dequantise(quantise(x)) + dequantise(weight), scale 0.5, zero points 3 and 0."""
    constants = {"scale": np.float32(0.5), "three": np.int8(3), "none": np.int8(0)}
    constants["weight"] = np.array([-128, 127], np.int8)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "three"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "three"], ["a"]),
        helper.make_node("DequantizeLinear", ["weight", "scale", "none"], ["w"]),
        helper.make_node("Add", ["a", "w"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"]
    given = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    graph = helper.make_graph(nodes, "qdq", ends[:1], ends[1:], given)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model, x):
    return open_session(model.SerializeToString(), 1).run(None, {"x": x})[0]


def test_activations_become_unsigned_and_values_stay():
    x = np.array([-100.0, 1.2], np.float32)  # -200 + 3 is cut to -128, 2.4 + 3 rounds to 5
    signed, unsigned = qdq_graph(), qdq_graph()
    unsigned_activations(unsigned.graph)
    onnx.checker.check_model(unsigned)
    assert run(signed, x) == pytest.approx([(-128 - 3) / 2 - 64, (5 - 3) / 2 + 63.5])
    assert run(unsigned, x) == pytest.approx(run(signed, x))
    constants = {each.name: numpy_helper.to_array(each) for each in unsigned.graph.initializer}
    quantise, dequantise, weight, _ = unsigned.graph.node
    for node in (quantise, dequantise):
        assert constants[node.input[2]] == 131
        assert constants[node.input[2]].dtype == np.uint8
    assert constants[weight.input[2]].dtype == np.int8


def test_unsigned_activations_are_left_alone():
    model = qdq_graph()
    unsigned_activations(model.graph)
    before = model.SerializeToString()
    unsigned_activations(model.graph)
    assert model.SerializeToString() == before


@pytest.mark.parametrize(
    ("axes", "keepdims", "name"),
    [
        ([2, 3], 1, "GlobalAveragePool"),
        ([-1, -2], 1, "GlobalAveragePool"),
        ([2, 3], 0, "ReduceMean"),
        ([1, 2], 1, "ReduceMean"),
    ],
)
def test_a_mean_over_maps_is_a_pool(axes, keepdims, name):
    node = helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=keepdims)
    given = [numpy_helper.from_array(np.array(axes), "axes")]
    graph = helper.make_graph([node], "mean", [], [], given)
    average_pools(graph)
    assert graph.node[0].op_type == name
    assert len(graph.node[0].input) == (1 if name == "GlobalAveragePool" else 2)


def test_a_float_network_computes_the_same():
    network, x = Tiny().eval(), tiny_images(1)
    program = load_program(onnx_bytes(network, x), 1)
    assert (program.input_shape, program.output_shape) == ((1, 3, 32, 32), (1, 4))
    with torch.no_grad():
        torch.testing.assert_close(program.bind(x)(), network(x))


@pytest.mark.parametrize("name", EVERY)
def test_every_network_computes_the_same_from_its_file(name):
    network = built(name, generator=torch.Generator().manual_seed(0)).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)  # none silent, as after training
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = network(x)
    found = load_program(onnx_bytes(deploy(network), x), 1).bind(x)()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * expected.abs().max().item())


def pairs_of_products_overflow() -> bool:
    """Whether ONNX Runtime saturates unsigned times signed products, as without VNNI it does."""
    product = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, [1, 1])],
        [numpy_helper.from_array(np.full((4, 1), 127, np.int8), "w")],
    )
    model = helper.make_model(product, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    session = open_session(model.SerializeToString(), 1)
    (found,) = session.run(None, {"x": np.full((1, 4), 255, np.uint8)})
    return found.item() != 4 * 255 * 127


def test_an_int8_network_is_unsigned_by_signed_and_computes_the_same():
    int8 = quantise_network(Tiny().eval(), [tiny_images()])
    x = tiny_images(1)
    content = onnx_bytes(int8, x)
    model = onnx.load_from_string(content)
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    quantised = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert len(quantised) >= 4
    assert {constants[node.input[2]].dtype.name for node in quantised} == {"uint8"}
    weights = [value for value in constants.values() if value.dtype == np.int8 and value.ndim > 1]
    assert sorted(weight.shape for weight in weights) == [(4, 8), (8, 3, 3, 3)]
    assert "GlobalAveragePool" in [node.op_type for node in model.graph.node]
    assert b".py" not in content  # no trace of where the exporter's operators stood
    with torch.no_grad():
        expected = int8(x)
    if pairs_of_products_overflow():
        pytest.skip("this processor adds pairs of 8-bit products in 16 bits, which overflow")
    step = float(constants[quantised[-1].input[1]])  # of the logits; one may round the other way
    torch.testing.assert_close(
        load_program(content, 1).bind(x)(), expected, rtol=0, atol=1.1 * step
    )


def test_files_with_open_shapes_or_other_types_are_refused():
    for kind, shape, reason in (
        (TensorProto.FLOAT, ["N", 2], "fixed shape"),
        (TensorProto.DOUBLE, [1, 2], "of type tensor"),
    ):
        ends = [helper.make_tensor_value_info(name, kind, shape) for name in "xy"]
        graph = helper.make_graph(
            [helper.make_node("Abs", ["x"], ["y"])], "abs", *map(list, zip(ends))
        )
        opsets = [helper.make_opsetid("", 20)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        with pytest.raises(ValueError, match=reason):
            load_program(model.SerializeToString(), 1)
