"""What torchvision calls the modules of its LR-ASPP networks (chapter 11).

Checkpoints such as those of ``lraspp_mobilenet_v3_large`` load through it, see
:func:`mnv3lib.load_weights`. Their classification part has the keys of the classifier with
``backbone`` for ``features``.
"""

from torch import nn

from mnv3lib.models.layouts import Pairs, numbered_block, unit
from mnv3lib.ops import InvertedResidual

__all__ = ["torchvision_pairs"]

_HEAD = {
    "head.gate": "classifier.scale.1",
    "head.classify": "classifier.high_classifier",
    "head.classify_low": "classifier.low_classifier",
}


def torchvision_pairs(rows: nn.Sequential) -> Pairs:
    """Yields (our module path, torchvision's) of a segmenter.

    Args:
        rows: The rows of a MobileNetV3 up to its last convolution.
    """
    for index, row in enumerate(rows):
        ours, theirs = f"rows.{index}", f"backbone.{index}"
        if isinstance(row, InvertedResidual):
            yield from numbered_block(ours, row, f"{theirs}.block")
        else:
            yield from unit(ours, f"{theirs}.0", f"{theirs}.1")
    yield from unit("head.local", "classifier.cbr.0", "classifier.cbr.1")
    yield from _HEAD.items()
