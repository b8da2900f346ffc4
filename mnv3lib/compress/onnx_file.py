"""A network as an ONNX file: float as it is, int8 as QDQ (chapter 12).

In an int8 file a pair of operators, QuantizeLinear and DequantizeLinear, stands around each
operator that has to compute with integers ("QDQ"), and the runtime fuses each group into one int8
kernel. Two things decide whether it can, both measured with ONNX Runtime 1.31 on x86 with VNNI,
MobileNetV3-Small at 224 pixels:

* *Unsigned activations.* XNNPACK's are int8, from -128 to 127. VNNI multiplies unsigned by signed
  bytes, and ONNX Runtime has kernels for these only: of 52 convolutions 41 are fused with signed
  activations and all 52 with unsigned ones. Nothing converts them by itself. Adding 128 to the
  integers and to their zero point changes no value.
* *Average pooling under its own name.* PyTorch writes it as a mean over two axes, for which there
  is no int8 kernel.

There is no int8 kernel for hard swish: it stays an island in float32 between two QDQ pairs.
"""

import io
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from mnv3lib.data.needs import needs_extra
from mnv3lib.measure.runtime_onnxruntime import export_onnx
from mnv3lib.measure.silence import hushed

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

__all__ = ["average_pools", "onnx_bytes", "unsigned_activations"]

_OPSET = 20
_SIGNED_TO_UNSIGNED = 128


def onnx_bytes(network: nn.Module, example: Tensor) -> bytes:
    """A network in evaluation mode as the bytes of an ONNX file.

    Args:
        network: From one tensor to one tensor; a recorded graph of
            :func:`mnv3lib.compress.post_training.quantise_network` becomes QDQ.
        example: An input; its shape is fixed in the file.

    Raises:
        ImportError: The package onnx or onnxscript is not installed.
        Exception: Whatever the exporter raises for an operator that ONNX does not have.
    """
    with needs_extra("deploy"):
        import onnx
        import onnxscript  # noqa: F401 - the exporter needs it
    if not isinstance(network, GraphModule):
        return export_onnx(network, example)
    file = io.BytesIO()
    names = {"input_names": ["input"], "output_names": ["output"]}
    with hushed():
        program = torch.onnx.export(
            network, (example.contiguous(),), dynamo=True, opset_version=_OPSET, **names
        )
        program.save(file)
    model = onnx.load_from_string(file.getvalue())
    unsigned_activations(model.graph)
    average_pools(model.graph)
    onnx.checker.check_model(model)
    return _without_traces(model).SerializeToString()


def unsigned_activations(graph: "GraphProto") -> None:
    """Makes all int8 activations of a QDQ graph uint8, in place; weights stay int8.

    An activation is what a QuantizeLinear returns. Its integers and its zero point grow by 128, so
    that what DequantizeLinear makes of them is what it was.
    """
    from onnx import numpy_helper

    zero_points = {constant.name: constant for constant in graph.initializer}
    activations = {node.output[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    made = set()
    for node in graph.node:
        dequantises = node.op_type == "DequantizeLinear" and node.input[0] in activations
        if node.op_type != "QuantizeLinear" and not dequantises:
            continue
        old = numpy_helper.to_array(zero_points[node.input[2]])
        if old.dtype != np.int8:
            continue
        new = (old.astype(np.int16) + _SIGNED_TO_UNSIGNED).astype(np.uint8)
        name = f"zero_point_{int(new)}"
        if name not in made:
            graph.initializer.append(numpy_helper.from_array(new, name))
            made.add(name)
        node.input[2] = name
    del graph.value_info[:]  # types of the values between operators, which have changed


def average_pools(graph: "GraphProto") -> None:
    """Gives a mean over height and width of maps its name, GlobalAveragePool, in place."""
    from onnx import helper, numpy_helper

    constants = {constant.name: constant for constant in graph.initializer}
    for node in graph.node:
        if node.op_type != "ReduceMean" or len(node.input) != 2 or node.input[1] not in constants:
            continue
        axes = sorted(numpy_helper.to_array(constants[node.input[1]]).ravel().tolist())
        options = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        if axes in ([-2, -1], [2, 3]) and options.get("keepdims", 1):
            node.op_type = "GlobalAveragePool"
            del node.attribute[:]
            del node.input[1:]


def _without_traces(model: "ModelProto") -> "ModelProto":
    """Drops notes of the exporter about where in which source file each operator stood."""
    del model.metadata_props[:]
    for part in (model.graph, *model.graph.node, *model.graph.initializer, *model.graph.value_info):
        part.doc_string = ""
        del part.metadata_props[:]
    return model
