"""Answers to claims about networks: each builds the network and counts.

Claims name these functions as ``mnv3lib.ledger.answers:macs`` with the arguments to call them
with. A network is built and counted once a process, however many claims ask about it. Identities
and other short arithmetic are in :mod:`mnv3lib.ledger.identities`.
"""

import copy
from collections.abc import Sequence
from functools import lru_cache
from math import prod

import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn

from mnv3lib.ledger.variants import build, network_spec
from mnv3lib.measure import Count, count
from mnv3lib.measure.image_size import own_resolution
from mnv3lib.measure.operators import ARITHMETIC, HANDLERS
from mnv3lib.models.deploy import deploy
from mnv3lib.models.rows import ROW_KINDS, BneckRow
from mnv3lib.ops import ConvNormAct, DepthwiseSeparable, SqueezeExcite

__all__ = [
    "blocks",
    "blocks_ratio",
    "blocks_with_squeeze_excite",
    "dense_share",
    "image_side",
    "layer_macs",
    "layer_params",
    "layers_of_kind",
    "macs",
    "macs_added",
    "macs_ratio",
    "macs_share",
    "norm_params",
    "params",
    "params_added",
    "params_folded",
    "params_share",
    "row_inputs_that_agree",
    "squeeze_excite_weights",
    "weights_ratio",
    "widest_map_bytes",
]


@lru_cache(maxsize=128)
def _counted(model: str, resolution: int | None, options: tuple[tuple[str, object], ...]) -> Count:
    return count(build(model, **dict(options)), resolution)


def _count(model: str, resolution: int | None = None, **options: object) -> Count:
    """Counted at the network's own resolution, unless another is given."""
    return _counted(model, resolution, tuple(sorted(options.items())))


def params(model: str, *, batch_norm: bool = True, **options: object) -> int:
    """Learnable numbers of a network; without those of batch norm on request."""
    total = _count(model, **options).params
    return total if batch_norm else total - norm_params(build(model, **options))


def params_folded(model: str) -> int:
    """Numbers of a network whose batch norms are folded: a bias a channel in place of each."""
    return sum(p.numel() for p in deploy(build(model)).parameters())


def weights_ratio(model: str, base: str, layer: str) -> float:
    """Weights of the layers of one name, as a multiple of another network's.

    Args:
        model: A registered network.
        base: Another one, with layers of the same name.
        layer: The end of their paths, such as ``qkv.conv``.
    """
    sizes = [
        sum(m.weight.numel() for path, m in build(name).named_modules() if path.endswith(layer))
        for name in (model, base)
    ]
    return sizes[0] / sizes[1]


def macs(
    model: str,
    resolution: int | None = None,
    *,
    operators: Sequence[str] = ARITHMETIC,
    **options: object,
) -> int:
    """Multiply-adds of a network; of some kinds of operator only, if they are named."""
    counted = _count(model, resolution, **options).operators
    return sum(counted.get(kind, 0) for kind in operators)


def params_added(model: str, base: str) -> int:
    """Parameters of one network less those of another."""
    return params(model) - params(base)


def macs_added(model: str, base: str) -> int:
    """Multiply-adds of one network less those of another."""
    return macs(model) - macs(base)


def macs_ratio(model: str, base: str) -> float:
    """Multiply-adds of one network as a multiple of another's."""
    return macs(model) / macs(base)


def macs_share(model: str, operator: str) -> float:
    """Percent of the multiply-adds in one kind of operator, such as ``pointwise``."""
    return 100 * macs(model, operators=[operator]) / macs(model)


def params_share(model: str, operator: str) -> float:
    """Percent of the weights in one kind of operator, batch norm and biases left out."""
    network = build(model)
    shares = dict.fromkeys(ARITHMETIC, 0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            shares[_kind(module)] += module.weight.numel()
    return 100 * shares[operator] / sum(shares.values())


def dense_share(model: str) -> float:
    """Percent of the multiply-adds in fully connected layers."""
    return macs_share(model, "linear")


def blocks(model: str) -> int:
    """Inverted residuals of a network."""
    return len(_blocks(model))


def layers_of_kind(model: str, kind: str) -> int:
    """Rows of one kind in a network's table.

    Args:
        model: A registered network, or a variant.
        kind: Name of a kind in :data:`mnv3lib.models.rows.ROW_KINDS`, such as ``fused``; a kind
            that another one is derived from counts that one, too.
    """
    return sum(isinstance(row, ROW_KINDS[kind]) for row in network_spec(model).rows)


def blocks_ratio(model: str, base: str) -> float:
    """Inverted residuals of one network as a multiple of another's."""
    return blocks(model) / blocks(base)


def image_side(model: str) -> int:
    """Side in pixels of the images that a network is made for."""
    return own_resolution(network_spec(model))


def blocks_with_squeeze_excite(model: str) -> int:
    """Inverted residuals that have squeeze-and-excite."""
    return sum(row.se for row in _blocks(model))


def row_inputs_that_agree(model: str, inputs: Sequence[Sequence[int]]) -> int:
    """Rows whose input, as built, is what the table prints.

    Args:
        model: A registered network.
        inputs: For each row the printed side and channels.
    """
    rows = _count(model).rows
    # (C, H, W), or (C,) after pooling, where the table prints a 1 x 1 map.
    built = [(row.input_shape[1:2] or (1,)) + row.input_shape[:1] for row in rows]
    return sum(tuple(printed) == ours for printed, ours in zip(inputs, built, strict=True))


def widest_map_bytes(model: str, bytes_per_element: int) -> int:
    """Bytes of the largest map between two blocks, one image at 224 pixels."""
    rows = _count(model).rows[1:]  # the stem is no block
    return bytes_per_element * max(prod(row.output_shape) for row in rows)


def squeeze_excite_weights(stages: Sequence[Sequence[int]], reduction: int) -> int:
    """Weights, without biases, that squeeze-and-excite adds to a network.

    Args:
        stages: For each stage the number of blocks and their channels.
        reduction: Channels over squeezed channels.
    """
    return sum(
        blocks * layer.weight.numel()
        for blocks, channels in stages
        for layer in SqueezeExcite(channels, channels // reduction).modules()
        if isinstance(layer, nn.Conv2d)
    )


_LAYERS = {
    "full": lambda c_in, c_out, kernel: ConvNormAct(c_in, c_out, kernel),
    "separable": lambda c_in, c_out, kernel: DepthwiseSeparable(c_in, c_out, kernel),
}


def layer_params(kind: str, channels: int, kernel: int = 3) -> int:
    """Weights of one layer with as many outputs as inputs, batch norm left out.

    Args:
        kind: ``full`` or ``separable``.
        channels: Channels in and out.
        kernel: Side of the kernel.
    """
    layer = _LAYERS[kind](channels, channels, kernel)
    return sum(p.numel() for p in layer.parameters()) - norm_params(layer)


def layer_macs(kind: str, channels: int, size: int, kernel: int = 3) -> int:
    """Multiply-adds of such a layer on a map of ``size`` x ``size``."""
    layer = _LAYERS[kind](channels, channels, kernel).eval()
    x = torch.zeros(1, channels, size, size)
    analysis = FlopCountAnalysis(copy.deepcopy(layer), x).set_op_handle(**HANDLERS)
    operators = analysis.unsupported_ops_warnings(False).tracer_warnings("none").by_operator()
    return int(sum(operators[kind] for kind in ARITHMETIC))


def _blocks(model: str) -> list[BneckRow]:
    return [row for row in network_spec(model).rows if isinstance(row, BneckRow)]


def norm_params(network: nn.Module) -> int:
    """Learnable numbers of the batch norms in a network."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    return sum(p.numel() for norm in norms for p in norm.parameters())


def _kind(module: nn.Conv2d | nn.Linear) -> str:
    if isinstance(module, nn.Linear):
        return "linear"
    if module.groups > 1:
        return "depthwise"
    return "pointwise" if module.kernel_size == (1, 1) else "conv"
