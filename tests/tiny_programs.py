"""A network small enough to export in a moment, as a source and as files with cards."""

from pathlib import Path

import torch
from torch import nn

from mnv3lib.compress.card import Card, ProgramAgreement, describe_input, write_program
from mnv3lib.compress.source import CalibrationImages, Source
from mnv3lib.ops import ConvNormAct
from mnv3lib.train.recipe import Data

SIDE = 32


class Tiny(nn.Module):
    """A convolution with batch norm and hard swish, a pool, and one logit for each of 4 classes."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = ConvNormAct(3, 8, 3, stride=2, act="hard_swish")
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.last = nn.Linear(8, 4)
        self.stem.norm.running_mean.uniform_(-0.5, 0.5)
        self.stem.norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        return self.last(self.pool(self.stem(x)).flatten(1))


def tiny_images(count=16, side=SIDE):
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def tiny_source(network=None):
    """The network as what is exported."""
    network = (network or Tiny()).eval()
    data = Data(name="imagenet", resolution=SIDE)
    return Source("tiny", network, {}, "classification", data, "random")


def tiny_calibration():
    return CalibrationImages("imagenet", list(tiny_images().split(8)), tiny_images(4) / 2)


def about(shape=(1, 3, SIDE, SIDE)):
    """What a card needs to be told."""
    agreement = ProgramAgreement(
        2, "noise", max_difference=0.25, relative=0.5, snr_db=None, top1=None
    )
    view = describe_input(shape, mean=(0.5, 0.5, 0.5), std=(1.0, 1.0, 1.0), view="as it is")
    empty = ("classes", "calibration", "metrics", "network_metrics", "outside_kernels")
    return {
        **dict.fromkeys(empty),
        **{"network": "tiny", "options": {}, "task": "classification", "weights": "random"},
        **{"format": "onnx", "precision": "fp32", "input": view, "output": {"shape": [1, 4]}},
        "agreement": agreement,
    }


def write_tiny(path: Path, side: int = SIDE) -> Card:
    """Writes the network as an ONNX file with its card."""
    from mnv3lib.measure.runtime_onnxruntime import export_onnx

    content = export_onnx(Tiny().eval(), torch.zeros(1, 3, side, side))
    return write_program(path, content, **about((1, 3, side, side)))
