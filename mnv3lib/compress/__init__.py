"""Compression: int8 networks, after training and in training, and where they run (chapter 12).

Imported from modules of their own: fine-tuning
(:mod:`mnv3lib.compress.quantisation_aware`), which needs the extra ``train`` too, and files for
runtimes (:mod:`mnv3lib.compress.export`).
"""

from mnv3lib.compress.affine import (
    INT8,
    INT8_SYMMETRIC,
    UINT8,
    Affine,
    Levels,
    affine_from_range,
    dequantise,
    fake_quantise,
    hard_swish_levels,
    lookup_levels,
    quantise,
    symmetric_from_weights,
)
from mnv3lib.compress.agreement import (
    Agreement,
    LayerSensitivity,
    compare_networks,
    layer_sensitivity,
    signal_to_noise_db,
    top1_agreement,
)
from mnv3lib.compress.int8_eager import lower_for_x86
from mnv3lib.compress.post_training import quantise_network

__all__ = [
    "INT8",
    "INT8_SYMMETRIC",
    "UINT8",
    "Affine",
    "Agreement",
    "LayerSensitivity",
    "Levels",
    "affine_from_range",
    "compare_networks",
    "dequantise",
    "fake_quantise",
    "hard_swish_levels",
    "layer_sensitivity",
    "lookup_levels",
    "lower_for_x86",
    "quantise",
    "quantise_network",
    "signal_to_noise_db",
    "symmetric_from_weights",
    "top1_agreement",
]
