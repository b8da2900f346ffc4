"""The form of a network that is only run: batch norm folded, best memory layout (chapter 6)."""

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mnv3lib.ops import ConvNormAct

__all__ = ["deploy"]


def deploy(model: nn.Module) -> nn.Module:
    """Makes a copy of a network for inference.

    Each batch norm is folded into the convolution before it (the same outputs up to rounding,
    one pass over memory less a layer), parameters take no gradient, and 4-D weights move to the
    channels-last layout, in which the CPU kernels for depthwise convolutions are faster.

    Args:
        model: A network whose convolutions with norm are :class:`mnv3lib.ops.ConvNormAct`;
            one that is deployed already stays as it is.

    Returns:
        The copy, in evaluation mode. The original is left alone.
    """
    deployed = copy.deepcopy(model).eval()
    for module in deployed.modules():
        has_norm = isinstance(getattr(module, "norm", None), nn.BatchNorm2d)
        if isinstance(module, ConvNormAct) and has_norm:
            module.conv = fuse_conv_bn_eval(module.conv, module.norm)
            del module.norm
    return deployed.requires_grad_(False).to(memory_format=torch.channels_last)
