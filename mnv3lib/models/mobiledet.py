"""The networks of MobileDets: one for each of four kinds of processors.

Source: arXiv 2004.14525; the tables are those of its released code (tensorflow/models,
research/object_detection, ssd_mobiledet_feature_extractor), which decides where text and code of
others differ: one layer of the DSP's network adds its input there, and epsilon of batch norm is
0.01. What was released are the networks under detectors; pooling and classifier at the end are
ours, so that they can be trained alone.

In every block the first layer changes width and size and adds nothing, and each further layer adds
its input. That is the rule of the space that they were found in
(:mod:`mnv3lib.search.tdb_space`), and why two layers of equal widths have no shortcut. Taught in
the chapter on MobileDets.
"""

import math

import torch
from torch import nn

from mnv3lib.models.initial_weights import RULES, start_mobilenet
from mnv3lib.models.layer_kinds import Fused, Inverted, LayerBlock, LayerKind, Tucker, unroll_blocks
from mnv3lib.models.row_modules import SQUEEZE_RULES
from mnv3lib.models.rows import ConvRow, DenseRow, NetworkSpec, PoolRow
from mnv3lib.ops import nearest_multiple

__all__ = ["BLOCKS", "MODELS", "mobiledet_spec", "start_truncated"]

_TRUNCATED_STD = 0.87962566  # of a standard normal cut at two deviations


def start_truncated(module: nn.Module, generator: torch.Generator | None) -> None:
    """He-normal by fan-in, cut at two deviations, for a convolution; else as the MobileNets.

    The released code's rule. The fan-in of a depthwise convolution is that of one channel.

    Args:
        module: One module; what lies inside it is not touched.
        generator: Source of the weights.
    """
    start_mobilenet(module, generator)
    if isinstance(module, nn.Conv2d):
        std = math.sqrt(2 / module.weight[0].numel()) / _TRUNCATED_STD
        cut = {"a": -2 * std, "b": 2 * std, "generator": generator}
        nn.init.trunc_normal_(module.weight, std=std, **cut)


RULES["truncated"] = start_truncated
SQUEEZE_RULES["nearest"] = lambda in_channels, expanded: nearest_multiple(expanded / 4)


# Kernel and expansion of an inverted residual (I) and of a fused one (F); N does not expand.
I34, I38, I54, I58 = Inverted(3, 4), Inverted(3, 8), Inverted(5, 4), Inverted(5, 8)
F34, F38, F58 = Fused(3, 4), Fused(3, 8), Fused(5, 8)
N3 = Inverted(3, 1)


def _blocks(*lines: tuple[int, int, tuple[LayerKind, ...]]) -> tuple[LayerBlock, ...]:
    return tuple(LayerBlock(*line) for line in lines)


# fmt: off
BLOCKS: dict[str, tuple[LayerBlock, ...]] = {
    #   out  s  layers                                        input at 320 pixels
    "cpu": _blocks(
        (8,   1, (N3,)),                                    # 160 x 160 x 16
        (16,  2, (I34,)),                                   # 160 x 160 x 8
        (32,  2, (I38, I34, I34, I34)),                     # 80 x 80 x 16
        (72,  2, (I58, I38, I54, I34)),                     # 40 x 40 x 32
        (72,  1, (I38, I38, I38, I38)),                     # 20 x 20 x 72
        (104, 2, (I58, I54, I54, I34)),                     # 20 x 20 x 72
        (144, 1, (I38,)),                                   # 10 x 10 x 104
    ),
    "edgetpu": _blocks(
        (16,  1, (Tucker(0.25, 0.75),)),                    # 160 x 160 x 32
        (16,  2, (F38, F34, F38, F34)),                     # 160 x 160 x 16
        (40,  2, (F58, F34, F34, F34)),                     # 80 x 80 x 16
        (72,  2, (I38, I38, F34, F34)),                     # 40 x 40 x 40
        (96,  1, (I58, I58, I38, I38)),                     # 20 x 20 x 72
        (120, 2, (I58, I38, I54, I38)),                     # 20 x 20 x 96
        (384, 1, (I58,)),                                   # 10 x 10 x 120
    ),
    "dsp": _blocks(
        (24,  1, (N3,)),                                    # 160 x 160 x 32
        (32,  2, (F34, F34, I34, Tucker(0.25, 0.75))),      # 160 x 160 x 24
        (64,  2, (F38, I34, F34, F34)),                     # 80 x 80 x 32
        (120, 2, (F38, I34, I38, I38)),                     # 40 x 40 x 64
        (144, 1, (F38, I38, I38, I38)),                     # 20 x 20 x 120
        (160, 2, (I34, I34, F34, Tucker(0.75, 0.75))),      # 20 x 20 x 144
        (240, 1, (I38,)),                                   # 10 x 10 x 160
    ),
    "gpu": _blocks(
        (16,  1, (Tucker(0.25, 0.25),)),                    # 160 x 160 x 32
        (32,  2, (F38, *3 * (Tucker(0.25, 0.25),))),        # 160 x 160 x 16
        (64,  2, (F38, F38, F38, F34)),                     # 80 x 80 x 32
        (128, 2, (F38, F34, F34, F34)),                     # 40 x 40 x 64
        (128, 1, (F38, F38, F38, F38)),                     # 20 x 20 x 128
        (128, 2, (F34, F34, F34, F34)),                     # 20 x 20 x 128
        (384, 1, (I38,)),                                   # 10 x 10 x 128
    ),
}
"""The layers behind the first convolution, by processor: output channels, stride, layers."""
# fmt: on


def mobiledet_spec(
    blocks: tuple[LayerBlock, ...], *, stem: int, act: str, se: bool, source: str
) -> NetworkSpec:
    """A network of such blocks, with the conventions of the released code.

    Args:
        blocks: The layers.
        stem: Channels of the first convolution.
        act: Activation everywhere.
        se: Whether inverted residuals have squeeze-and-excite.
        source: Where the blocks come from.
    """
    rows = unroll_blocks(stem, blocks, act=act, se=se)
    return NetworkSpec(
        family="mobiledet",
        source=source,
        rows=(ConvRow(3, stem, act, 2), *rows, PoolRow(), DenseRow(1000)),
        squeeze="nearest",
        gate="sigmoid",
        squeeze_act=act,
        bn_eps=0.01,
        dropout=0.0,
        detector_maps="output",
        detector_norm="own",
        width_rule="nearest",
        initial="truncated",
        resolution=320,
    )


def _released(processor: str, **options: object) -> NetworkSpec:
    source = f"arXiv 2004.14525, {processor}, as in its released code"
    return mobiledet_spec(BLOCKS[processor], source=source, **options)


MODELS = {
    "mobiledet_cpu": _released("cpu", stem=16, act="hard_swish", se=True),
    "mobiledet_edgetpu": _released("edgetpu", stem=32, act="relu6", se=False),
    "mobiledet_dsp": _released("dsp", stem=32, act="relu6", se=False),
    "mobiledet_gpu": _released("gpu", stem=32, act="relu6", se=False),
}
