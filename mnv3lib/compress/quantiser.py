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
    from torchao.quantization.pt2e import (
        FakeQuantize,
        MovingAverageMinMaxObserver,
        MovingAveragePerChannelMinMaxObserver,
        ObserverBase,
    )
    from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, QuantizationConfig
    from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

__all__ = ["Quantiser", "after_training", "in_training", "switchable"]

_SMALLEST_SCALE = 2**-12  # as in XNNPACK's own configuration
_RELU6 = (torch.ops.aten.hardtanh.default, torch.ops.aten.hardtanh_.default)


class Quantiser(XNNPACKQuantizer):
    """XNNPACK's quantiser, which also takes ReLU6 into the layer before it.

    ExecuTorch's own does so for ReLU only: before ReLU6 it quantises what the convolution returns,
    negative numbers included, and spends on them levels that ReLU6 then throws away. XNNPACK
    computes a convolution and its ReLU6 as one operator, which never sees those numbers.

    Args:
        config: How the tensors are quantised; the functions below make one.
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


def after_training(observer: type[ObserverBase]) -> QuantizationConfig:
    """XNNPACK's int8 configuration with another observer of activations."""
    config = get_symmetric_quantization_config(is_per_channel=True)
    return _with(config, observer.with_args(eps=_SMALLEST_SCALE))


def switchable(observer: type[ObserverBase]) -> QuantizationConfig:
    """As :func:`after_training`, but each tensor is rounded, and can be spared that by a switch."""
    config = after_training(observer)
    weight = config.weight.observer_or_fake_quant_ctr
    activation = config.input_activation.observer_or_fake_quant_ctr
    return _with(config, _rounding(activation), _rounding(weight))


def in_training() -> QuantizationConfig:
    """XNNPACK's int8 configuration with fake quantisation whose ranges follow the training.

    The range of an activation is a moving average over the batches, that of a weight its present
    one. XNNPACK's own configuration fuses both with the rounding in one operator, which takes other
    scales for weights than are used in the end (by 0.4 %, torch 2.13), and so trains for them.
    """
    config = get_symmetric_quantization_config(is_per_channel=True, is_qat=True)
    activation = MovingAverageMinMaxObserver.with_args(eps=_SMALLEST_SCALE)
    weight = MovingAveragePerChannelMinMaxObserver.with_args(
        averaging_constant=1.0, eps=_SMALLEST_SCALE
    )
    return _with(config, _rounding(activation), _rounding(weight))


def _rounding(observer: Any) -> Any:
    """Fake quantisation with the ranges of an observer."""
    return FakeQuantize.with_args(observer=observer)


def _with(
    config: QuantizationConfig, activation: Any, weight: Any | None = None
) -> QuantizationConfig:
    """The configuration with other makers of observers or fake quantisation."""
    reads = replace(config.input_activation, observer_or_fake_quant_ctr=activation)
    changed = {"input_activation": reads, "output_activation": reads}
    if weight is not None:
        changed["weight"] = replace(config.weight, observer_or_fake_quant_ctr=weight)
    return replace(config, **changed)
