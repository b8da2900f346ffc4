"""What torchvision calls the modules of its SSDLite (chapter 10).

Its key layout cuts the network in two at C4: ``features.0`` ends with the expansion of the last
strided block, and ``features.1`` begins with the rest of that block. Checkpoints such as those of
``ssdlite320_mobilenet_v3_large`` load through it, see :func:`mnv3lib.load_weights`.
"""

from torch import nn

from mnv3lib.models.layouts import Pairs, numbered_block, unit
from mnv3lib.models.taps import Tap
from mnv3lib.ops import InvertedResidual

__all__ = ["TORCHVISION_BACKBONES", "torchvision_pairs"]

TORCHVISION_BACKBONES = ("mobilenet_v3",)  # families that it builds the detector on
_HEADS = {"class_heads": "classification_head", "box_heads": "regression_head"}


def torchvision_pairs(detector: nn.Module, c4: Tap) -> Pairs:
    """Yields (our module path, torchvision's) of a detector on MobileNetV3.

    Args:
        detector: An :class:`mnv3lib.heads.ssdlite.SSDLite`.
        c4: Where its first map is tapped: the expansion of a block.
    """
    for index, row in enumerate(detector.rows):
        ours = f"rows.{index}"
        if index < c4.row:
            theirs = f"backbone.features.0.{index}"
        else:
            theirs = f"backbone.features.1.{index - c4.row}"
        if index == c4.row:
            yield from _cut_block(ours, row, theirs, f"backbone.features.0.{index}")
        elif isinstance(row, InvertedResidual):
            yield from numbered_block(ours, row, f"{theirs}.block")
        else:
            yield from unit(ours, f"{theirs}.0", f"{theirs}.1")
    yield from _head_pairs(detector)


def _cut_block(ours: str, block: nn.Module, rest: str, expansion: str) -> Pairs:
    """The block at C4; what follows its expansion keeps the numbers that it had in one piece."""
    pairs = dict(numbered_block(ours, block, rest))
    pairs |= dict(unit(f"{ours}.expand", f"{expansion}.0", f"{expansion}.1"))
    yield from pairs.items()


def _head_pairs(detector: nn.Module) -> Pairs:
    for index, extra in enumerate(detector.extras):
        for part in range(len(extra)):
            theirs = f"backbone.extra.{index}.{part}"
            yield from unit(f"extras.{index}.{part}", f"{theirs}.0", f"{theirs}.1")
    for our_name, their_name in _HEADS.items():
        for index in range(len(getattr(detector, our_name))):
            ours, theirs = f"{our_name}.{index}", f"head.{their_name}.module_list.{index}"
            yield from unit(f"{ours}.depthwise", f"{theirs}.0.0", f"{theirs}.0.1")
            yield f"{ours}.predict", f"{theirs}.1"
