"""The form of a network that is only run: batch norm folded, best memory layout (chapter 6)."""

import copy

import torch
from torch import nn

__all__ = ["deploy"]


def deploy(model: nn.Module) -> nn.Module:
    """Makes a copy of a network for inference.

    What a module can fold by itself is folded: a batch norm into the convolution before it
    (:meth:`mnv3lib.ops.ConvNormAct.fold`; the same outputs up to rounding, one pass over memory
    less a layer) or into the linear layer behind it. Parameters take no gradient, and 4-D weights
    move to the channels-last layout, in which the CPU kernels for depthwise convolutions are
    faster.

    Args:
        model: A network; modules that have something to fold have a method ``fold()``, which does
            nothing the second time, so a network that is deployed already stays as it is.

    Returns:
        The copy, in evaluation mode. The original is left alone.
    """
    deployed = copy.deepcopy(model).eval()
    for module in [m for m in deployed.modules() if hasattr(m, "fold")]:
        module.fold()
    return deployed.requires_grad_(False).to(memory_format=torch.channels_last)
