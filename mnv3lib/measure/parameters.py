"""How many numbers a network has, in the three ways that papers count them.

Detectors show it best: of one and the same network, the counts differ by a per cent and more, and
each paper's third digit comes out in only one of the ways. MobileNetV3 leaves batch norm out of its
table of detectors; torchvision and most others count what is learned; the released code of
MobileDets counts all variables of the training program, running means and variances included.
Taught in the chapter on MobileDets.
"""

from typing import Literal

from torch import nn

__all__ = ["ParameterConvention", "parameter_count"]

ParameterConvention = Literal["without_norm", "learned", "with_statistics"]

_PER_CHANNEL = {"without_norm": 0, "learned": 2, "with_statistics": 4}  # numbers of batch norm


def parameter_count(model: nn.Module, convention: ParameterConvention = "learned") -> int:
    """Counts the numbers of a network.

    Args:
        model: A network that is not folded.
        convention: ``"without_norm"`` (weights and biases of convolutions and linear layers),
            ``"learned"`` (scale and shift of batch norm too) or ``"with_statistics"`` (its running
            mean and variance as well).

    Raises:
        ValueError: Unknown convention.

    Example:
        >>> unit = nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8))
        >>> [parameter_count(unit, c) for c in ("without_norm", "learned", "with_statistics")]
        [24, 40, 56]
    """
    if convention not in _PER_CHANNEL:
        raise ValueError(f"unknown convention {convention!r}; choose one of {list(_PER_CHANNEL)}")
    learned = sum(parameter.numel() for parameter in model.parameters())
    norms = (module for module in model.modules() if isinstance(module, nn.BatchNorm2d))
    channels = sum(norm.num_features for norm in norms)
    return learned + (_PER_CHANNEL[convention] - _PER_CHANNEL["learned"]) * channels
