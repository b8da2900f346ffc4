"""Swish and its piecewise linear stand-ins, hard sigmoid and hard swish.

Each hard activation is here twice: the formula as the paper prints it, which a reader can
check by hand, and the call that PyTorch fuses into one pass over memory. They agree to
rounding; only the time differs, and chapter 4 (hard swish) measures how much.

Source: arXiv 1905.02244 (final version), section 5.2; swish: arXiv 1710.05941.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "HardSigmoid",
    "HardSwish",
    "activation",
    "hard_sigmoid",
    "hard_sigmoid_formula",
    "hard_swish",
    "hard_swish_formula",
    "swish",
]


def swish(x: Tensor) -> Tensor:
    """``x * sigmoid(x)``, elementwise; any shape in, the same shape out."""
    return F.silu(x)


def hard_sigmoid_formula(x: Tensor) -> Tensor:
    """``ReLU6(x + 3) / 6`` as printed: 0 below -3, 1 above 3, a straight line between."""
    return F.relu6(x + 3) / 6


def hard_swish_formula(x: Tensor) -> Tensor:
    """``x * ReLU6(x + 3) / 6`` as printed: four passes over memory."""
    return x * F.relu6(x + 3) / 6


def hard_sigmoid(x: Tensor) -> Tensor:
    """:func:`hard_sigmoid_formula` in one pass over memory; any shape in, the same out."""
    return F.hardsigmoid(x)


def hard_swish(x: Tensor) -> Tensor:
    """:func:`hard_swish_formula` in one pass over memory; any shape in, the same out."""
    return F.hardswish(x)


class HardSigmoid(nn.Module):
    """Hard sigmoid as a layer: the gate of MobileNetV3's squeeze-and-excite (chapter 3)."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps x, any shape, to [0, 1], elementwise."""
        return hard_sigmoid(x)


class HardSwish(nn.Module):
    """Hard swish as a layer, fused or as the formula (chapter 4).

    Args:
        fused: One fused pass (the default), or the four passes of the formula, to measure them.
        inplace: The fused pass overwrites its input, which saves an allocation. Only safe
            when nothing else needs the input, as after batch norm.
    """

    def __init__(self, *, fused: bool = True, inplace: bool = False) -> None:
        super().__init__()
        self.fused = fused
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        """Applies hard swish to x, any shape, elementwise."""
        return F.hardswish(x, inplace=self.inplace) if self.fused else hard_swish_formula(x)

    def extra_repr(self) -> str:
        """Shows the choices in the printed network."""
        return f"fused={self.fused}, inplace={self.inplace}"


_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "relu6": lambda: nn.ReLU6(inplace=True),
    "swish": lambda: nn.SiLU(inplace=True),
    "sigmoid": nn.Sigmoid,
    "hard_swish": lambda: HardSwish(inplace=True),
    "hard_sigmoid": HardSigmoid,
}


def activation(name: str) -> nn.Module:
    """Makes the activation layer of that name; those that can, work in place.

    Args:
        name: ``relu``, ``relu6``, ``swish``, ``sigmoid``, ``hard_swish`` or ``hard_sigmoid``.

    Raises:
        ValueError: No activation has that name.
    """
    if name not in _ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}; choose one of {sorted(_ACTIVATIONS)}")
    return _ACTIVATIONS[name]()
