"""Networks that the papers compare with, but that have no name of their own.

The registry of :mod:`mnv3lib.models` holds networks that readers want to build; a claim may also
speak of MobileNetV1 with full convolutions, of Large without hard swish, or of a step between
MnasNet-A1 and Large. They are made here from the registered tables by one change each.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from mnv3lib.models import Network, NetworkSpec, ladder, model_spec
from mnv3lib.models.mobilenet_v3 import place_hard_swish
from mnv3lib.models.rows import BneckRow, ConvRow, SeparableRow
from mnv3lib.models.tinynet import twisted
from mnv3lib.ops import HardSwish
from mnv3lib.search.twist_costs import giant_twist

__all__ = ["VARIANTS", "build", "network_spec"]


def _full_convolutions() -> NetworkSpec:
    """MobileNetV1 with a full 3x3 convolution for each pair (V1, Table 4)."""
    spec = model_spec("mobilenet_v1")
    rows = tuple(
        ConvRow(row.kernel, row.out, row.act, row.stride) if isinstance(row, SeparableRow) else row
        for row in spec.rows
    )
    return replace(spec, rows=rows, stages=())


def _shallow() -> NetworkSpec:
    """MobileNetV1 without its five equal blocks of 14 x 14 x 512 (V1, Table 5)."""
    spec = model_spec("mobilenet_v1")
    equal = SeparableRow(3, 512, "relu", 1)
    return replace(spec, rows=tuple(row for row in spec.rows if row != equal), stages=())


def _ladder_step(step: int) -> NetworkSpec:
    """A network between MnasNet-A1 (step 0) and Large (step 4)."""
    return [spec for _, spec in ladder()][step]


def _hard_swish_from(first_channels: int | None) -> NetworkSpec:
    """Large with hard swish from that many channels on (Table 5), or nowhere."""
    spec = model_spec("mobilenet_v3_large")
    return replace(spec, rows=place_hard_swish(spec.rows, first_channels))


def _without_squeeze_excite() -> NetworkSpec:
    """Large without any squeeze-and-excite."""
    spec = model_spec("mobilenet_v3_large")
    rows = (replace(row, se=False) if isinstance(row, BneckRow) else row for row in spec.rows)
    return replace(spec, rows=tuple(rows))


def _squeeze_of_input() -> NetworkSpec:
    """Large with MnasNet's narrower squeeze, a quarter of the block's input (section 5.3)."""
    return replace(model_spec("mobilenet_v3_large"), squeeze="input")


def _uniform(ratio: int, kernel: int) -> NetworkSpec:
    """MnasNet-A1's channels and depths with one kind of layer (MnasNet, Table 6).

    The paper does not say which channels and depths it used; these are A1's.
    """
    spec = model_spec("mnasnet_a1")
    rows, channels = [], 3
    for row in spec.rows:
        if isinstance(row, BneckRow) and row.exp != channels:  # all but the first, SepConv
            row = replace(row, exp=ratio * channels, kernel=kernel, se=False)
        channels = getattr(row, "out", channels)
        rows.append(row)
    return replace(spec, rows=tuple(rows))


def _last_convolution_scaled(model: str) -> NetworkSpec:
    """A network whose last convolution the width multiplier narrows too (V3, Table 6)."""
    spec = model_spec(model)
    last = max(i for i, row in enumerate(spec.rows) if isinstance(row, ConvRow))
    rows = list(spec.rows)
    rows[last] = replace(rows[last], scaling="always")
    return replace(spec, rows=tuple(rows))


def _halved_last_blocks() -> NetworkSpec:
    """MobileNetV2 with half of the channels of its last four blocks (V3, Table 7, 'RF2').

    The paper does not say which of V2's channels it halves. This is MobileNetV3's rule, but for
    the first expansion, which keeps its 576 channels.
    """
    spec = model_spec("mobilenet_v2")
    first, *others = [i for i, row in enumerate(spec.rows) if isinstance(row, BneckRow)][-4:]
    rows = list(spec.rows)
    rows[first] = replace(rows[first], out=rows[first].out // 2)
    for index in others:
        rows[index] = replace(rows[index], exp=rows[index].exp // 2, out=rows[index].out // 2)
    return replace(spec, rows=tuple(rows), stages=())


def _compound_scaled(phi: float) -> NetworkSpec:
    """EfficientNet-B0 by its own scaling formula, rounded as TinyNets are (TinyNet's baseline)."""
    return twisted(giant_twist(phi), family="efficientnet_b0")


VARIANTS: dict[str, Callable[[], NetworkSpec]] = {
    "mobilenet_v1_full_convolutions": _full_convolutions,
    "mobilenet_v1_shallow": _shallow,
    "mnasnet_a1_v3_expansions": partial(_ladder_step, 1),
    "mnasnet_a1_efficient_last_stage": partial(_ladder_step, 2),
    "mnasnet_a1_stem_16": partial(_ladder_step, 3),
    "mobilenet_v3_large_relu": partial(_hard_swish_from, None),
    "mobilenet_v3_large_hard_swish_16": partial(_hard_swish_from, 16),
    "mobilenet_v3_large_hard_swish_112": partial(_hard_swish_from, 112),
    "mobilenet_v3_large_without_se": _without_squeeze_excite,
    "mobilenet_v3_large_squeeze_input": _squeeze_of_input,
    "mnasnet_mbconv6_3x3_only": partial(_uniform, 6, 3),
    "mnasnet_mbconv6_5x5_only": partial(_uniform, 6, 5),
    "mnasnet_mbconv3_3x3_only": partial(_uniform, 3, 3),
    "mnasnet_mbconv3_5x5_only": partial(_uniform, 3, 5),
    "mobilenet_v2_last_scaled": partial(_last_convolution_scaled, "mobilenet_v2"),
    "mnasnet_a1_last_scaled": partial(_last_convolution_scaled, "mnasnet_a1"),
    "mobilenet_v2_rf2": _halved_last_blocks,
    "efficientnet_b0_phi_minus_4": partial(_compound_scaled, -4),
}


def network_spec(model: str, **options: object) -> NetworkSpec:
    """The table of a variant, or of a registered network.

    Args:
        model: A key of `VARIANTS`, or a name for :func:`mnv3lib.create_model`.
        **options: Options of :func:`mnv3lib.create_model`; a variant takes none.

    Raises:
        ValueError: Unknown name or option.
    """
    if model not in VARIANTS:
        return model_spec(model, **options)
    if options:
        raise ValueError(f"the variant {model!r} takes no options, got {', '.join(options)}")
    return VARIANTS[model]()


def build(model: str, *, naive_hard_swish: bool = False, **options: object) -> Network:
    """Builds a variant or a registered network, with the weights of seed 0.

    Args:
        model: As in `network_spec`.
        naive_hard_swish: Compute hard swish by its formula, operation by operation.
        **options: As in `network_spec`.
    """
    generator = torch.Generator().manual_seed(0)
    network = Network(network_spec(model, **options), generator=generator)
    for module in network.modules():
        if naive_hard_swish and isinstance(module, HardSwish):
            module.fused = False
    return network
