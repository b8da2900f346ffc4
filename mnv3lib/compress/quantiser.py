"""Which tensors of a network become int8: the rules of XNNPACK, the kernels that phones run.

A quantiser marks tensors in a recorded graph, each with the observer or the fake quantisation that
is to sit there: weights in int8, symmetric, one scale an output channel; activations in int8,
affine, one scale and zero point a tensor; biases stay in float32. Taught in chapter 12
(quantisation).

Importing this module takes seconds (torchao, ExecuTorch), so it is imported where it is used.

Source: ExecuTorch 1.4, ``backends/xnnpack/quantizer``.
"""

from dataclasses import replace
from typing import Any

import torch
from torch.fx import GraphModule, Node

from mnv3lib.data.needs import needs_extra
from mnv3lib.measure.silence import hushed

with needs_extra("deploy"), hushed():
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, QuantizationConfig
    from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

__all__ = ["SMALLEST_SCALE", "Quantiser", "with_activations"]

SMALLEST_SCALE = 2**-12
"""Smallest step of a quantised tensor in XNNPACK's rules."""

_RELU6 = (torch.ops.aten.hardtanh.default, torch.ops.aten.hardtanh_.default)


class Quantiser(XNNPACKQuantizer):
    """XNNPACK's quantiser, which also takes ReLU6 into the layer before it.

    ExecuTorch's own does so for ReLU only: before ReLU6 it quantises what the convolution returns,
    negative numbers included, and spends on them levels that ReLU6 then throws away. XNNPACK
    computes a convolution and its ReLU6 as one operator, which never sees those numbers.

    Args:
        config: How the tensors are quantised; see :func:`with_activations`.
    """

    def __init__(self, config: QuantizationConfig) -> None:
        super().__init__()
        self.set_global(config)

    def annotate(self, model: GraphModule) -> GraphModule:
        """Marks the tensors of a recorded graph that become int8."""
        model = super().annotate(model)
        for node in model.graph.nodes:
            if node.op == "call_function" and node.target in _RELU6:
                _take_into_layer(node)
        return model


def _take_into_layer(relu6: Node) -> None:
    """Moves the mark from the output of the layer before a ReLU6 to its own output."""
    layer = relu6.args[0]
    mark = layer.meta.get(Q_ANNOTATION_KEY)
    if mark is None or mark.output_qspec is None or len(layer.users) > 1:
        return
    moved, mark.output_qspec = mark.output_qspec, None
    relu6.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(output_qspec=moved, _annotated=True)


def with_activations(constructor: Any, *, in_training: bool = False) -> QuantizationConfig:
    """XNNPACK's int8 configuration with another way of finding the ranges of activations.

    Args:
        constructor: Makes an observer or fake quantisation, such as ``Observer.with_args()``.
        in_training: Weights are observed and rounded in every step, not once at the end.

    Returns:
        Weights per channel, activations as given.
    """
    config = get_symmetric_quantization_config(is_per_channel=True, is_qat=in_training)
    activation = replace(config.input_activation, observer_or_fake_quant_ctr=constructor)
    return replace(config, input_activation=activation, output_activation=activation)
