"""The bricks: activations, squeeze-and-excite, convolution units and blocks (chapters 1 to 4)."""

from mnv3lib.ops.activations import (
    HardSigmoid,
    HardSwish,
    activation,
    hard_sigmoid,
    hard_sigmoid_formula,
    hard_swish,
    hard_swish_formula,
    swish,
)
from mnv3lib.ops.blocks import DepthwiseSeparable, InvertedResidual
from mnv3lib.ops.channels import make_divisible
from mnv3lib.ops.conv import ConvNormAct, Padding, SamePadConv2d, same_padding
from mnv3lib.ops.drop_path import DropPath, add_drop_path
from mnv3lib.ops.squeeze_excite import SqueezeExcite, squeeze_from_expansion, squeeze_from_input

__all__ = [
    "ConvNormAct",
    "DepthwiseSeparable",
    "DropPath",
    "HardSigmoid",
    "HardSwish",
    "InvertedResidual",
    "Padding",
    "SamePadConv2d",
    "SqueezeExcite",
    "activation",
    "add_drop_path",
    "hard_sigmoid",
    "hard_sigmoid_formula",
    "hard_swish",
    "hard_swish_formula",
    "make_divisible",
    "same_padding",
    "squeeze_from_expansion",
    "squeeze_from_input",
    "swish",
]
