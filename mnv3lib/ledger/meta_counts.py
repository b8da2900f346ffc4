"""Multiply-adds, and elementwise operations beside them, of large images in milliseconds.

PyTorch's meta device knows the shapes of tensors but computes nothing, so a network is followed
without arithmetic. Multiply-adds are those of :func:`mnv3lib.measure.count`. What is elementwise is
counted apart, since some published numbers seem to include it (chapter 11).
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["MetaCount", "count_on_meta"]

_aten = torch.ops.aten
_PER_OUTPUT = ("hardswish", "hardswish_", "mul", "add", "add_", "upsample_bilinear2d")
_PER_INPUT = ("mean", "avg_pool2d", "_adaptive_avg_pool2d")


@dataclass(frozen=True)
class MetaCount:
    """Arithmetic of a network for one image.

    Attributes:
        macs: Multiply-adds of convolutions.
        elements: Elements that hard swish, products, sums, pooling and resizing touch; batch norm
            and ReLU are free.
    """

    macs: int
    elements: int


def count_on_meta(network: nn.Module, inputs: Any) -> MetaCount:
    """Counts a network of convolutions.

    Args:
        network: On the meta device, in evaluation mode.
        inputs: What it takes, on the meta device too.

    Example:
        >>> conv = nn.Conv2d(3, 8, 3, padding=1, device="meta")
        >>> count_on_meta(conv, torch.empty(1, 3, 4, 4, device="meta"))
        MetaCount(macs=3456, elements=0)
    """
    counter = FlopCounterMode(display=False, custom_mapping=_elementwise())
    counted = _without_batch_norm(network)
    with counter, torch.no_grad():
        counted(inputs)
    found = dict(counter.get_flop_counts()["Global"])
    operations = found.pop(_aten.convolution)  # PyTorch counts two for a multiply-add
    return MetaCount(operations // 2, sum(found.values()))


def _without_batch_norm(network: nn.Module) -> nn.Module:
    """A copy whose batch norms do nothing.

    They are not counted and change no shape, and on the meta device each takes a dozen operators.
    """
    twin = copy.deepcopy(network)
    for parent in list(twin.modules()):
        for name, module in parent.named_children():
            if isinstance(module, nn.BatchNorm2d):
                setattr(parent, name, nn.Identity())
    return twin


def _elementwise() -> dict[Any, Callable[..., int]]:
    """How many elements each operator touches, for PyTorch's counter."""

    def outputs(*_: Any, out_shape: Sequence[int], **__: Any) -> int:
        return prod(out_shape)

    def inputs(shape: Sequence[int], *_: Any, **__: Any) -> int:
        return prod(shape)

    return {
        **{getattr(_aten, name): outputs for name in _PER_OUTPUT},
        **{getattr(_aten, name): inputs for name in _PER_INPUT},
    }
