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
from mnv3lib.ops.cascaded_attention import CascadedGroupAttention, Feed, WindowAttention
from mnv3lib.ops.channels import make_divisible, nearest_multiple
from mnv3lib.ops.conv import ConvNormAct, Padding, SamePadConv2d, same_padding
from mnv3lib.ops.decomposition import (
    TuckerFactors,
    cp_kernel,
    tucker_decomposition,
    tucker_kernel,
)
from mnv3lib.ops.depthwise_conv import DepthwiseConv2d
from mnv3lib.ops.drop_path import DropPath, add_drop_path
from mnv3lib.ops.fused import FusedInvertedResidual
from mnv3lib.ops.norm_linear import NormLinear
from mnv3lib.ops.patch_attention import PatchAttentionBlock, SelfAttention, TransformerLayer
from mnv3lib.ops.relative_bias import RelativeBias, distance_index
from mnv3lib.ops.sandwich import FeedForward, InteractedFeedForward, Residual, Sandwich
from mnv3lib.ops.silent_norm import SilentNorm
from mnv3lib.ops.squeeze_excite import SqueezeExcite, squeeze_from_expansion, squeeze_from_input
from mnv3lib.ops.tucker import TuckerBlock
from mnv3lib.ops.windows import from_windows, to_windows

__all__ = [
    "CascadedGroupAttention",
    "ConvNormAct",
    "DepthwiseConv2d",
    "DepthwiseSeparable",
    "DropPath",
    "Feed",
    "FeedForward",
    "FusedInvertedResidual",
    "HardSigmoid",
    "HardSwish",
    "InteractedFeedForward",
    "InvertedResidual",
    "NormLinear",
    "Padding",
    "PatchAttentionBlock",
    "RelativeBias",
    "Residual",
    "ResidualBlock",
    "SamePadConv2d",
    "Sandwich",
    "SelfAttention",
    "SilentNorm",
    "SqueezeExcite",
    "TransformerLayer",
    "TuckerBlock",
    "TuckerFactors",
    "WindowAttention",
    "activation",
    "add_drop_path",
    "cp_kernel",
    "distance_index",
    "from_windows",
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
    "to_windows",
    "tucker_decomposition",
    "tucker_kernel",
]
