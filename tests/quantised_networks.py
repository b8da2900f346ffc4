"""Small networks for the tests of int8: every kind of layer, activations of a trained size."""

import torch
from torch import Tensor, nn

from mnv3lib.ops import ConvNormAct, InvertedResidual, SqueezeExcite

__all__ = ["images", "one_product", "small_network"]


def images(count: int, side: int = 8, *, seed: int = 0) -> Tensor:
    """Normal pixels, (count, 3, side, side)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, side, side, generator=generator)


def one_product(*weights: float) -> nn.Module:
    """A convolution to one channel: y = w0 x0 + w1 x1 + w2 x2."""
    conv = nn.Conv2d(3, 1, 1, bias=False)
    conv.weight.data = torch.tensor(weights).reshape(1, 3, 1, 1)
    return nn.Sequential(conv)


def small_network(act: str = "hard_swish", *, dropout: float = 0.0) -> nn.Module:
    """A stem, an inverted residual with a gate, a pool and a classifier, batch norm settled."""
    torch.manual_seed(0)
    network = nn.Sequential()
    network.add_module("stem", ConvNormAct(3, 8, 3, stride=2, act=act))
    network.add_module("block", InvertedResidual(8, 16, 8, 3, squeeze_channels=8, act=act))
    network.add_module("pool", nn.AdaptiveAvgPool2d(1))
    network.add_module("flatten", nn.Flatten())
    network.add_module("dropout", nn.Dropout(dropout))
    network.add_module("classify", nn.Linear(8, 4))
    assert isinstance(network.block.se, SqueezeExcite)
    with torch.no_grad():
        for _ in range(300):  # the running statistics come near those of a batch
            network(images(32))
    return network.eval()
