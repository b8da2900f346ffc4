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
from mnv3lib.ops.blocks import DepthwiseSeparable, InvertedResidual, ResidualBlock
from mnv3lib.ops.channels import make_divisible, nearest_multiple
from mnv3lib.ops.conv import ConvNormAct, Padding, SamePadConv2d, same_padding
from mnv3lib.ops.decomposition import (
    TuckerFactors,
    cp_kernel,
    tucker_decomposition,
    tucker_kernel,
)
from mnv3lib.ops.drop_path import DropPath, add_drop_path
from mnv3lib.ops.fused import FusedInvertedResidual
from mnv3lib.ops.squeeze_excite import SqueezeExcite, squeeze_from_expansion, squeeze_from_input
from mnv3lib.ops.tucker import TuckerBlock

__all__ = [
    "ConvNormAct",
    "DepthwiseSeparable",
    "DropPath",
    "FusedInvertedResidual",
    "HardSigmoid",
    "HardSwish",
    "InvertedResidual",
    "Padding",
    "ResidualBlock",
    "SamePadConv2d",
    "SqueezeExcite",
    "TuckerBlock",
    "TuckerFactors",
    "activation",
    "add_drop_path",
    "cp_kernel",
    "hard_sigmoid",
    "hard_sigmoid_formula",
    "hard_swish",
    "hard_swish_formula",
    "make_divisible",
    "nearest_multiple",
    "same_padding",
    "squeeze_from_expansion",
    "squeeze_from_input",
    "swish",
    "tucker_decomposition",
    "tucker_kernel",
]
