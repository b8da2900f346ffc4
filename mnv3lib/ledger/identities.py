"""Answers to claims that are formulas: identities of activations, rewards and search spaces.

Named by claims as the functions of :mod:`mnv3lib.ledger.answers` are. An identity is answered by
the largest deviation from it, which must be zero up to rounding.
"""

from collections.abc import Sequence
from math import floor, log, log10, prod

import torch

from mnv3lib.ops import (
    hard_sigmoid,
    hard_sigmoid_formula,
    hard_swish,
    hard_swish_formula,
    make_divisible,
    swish,
)

__all__ = [
    "compound_scaling",
    "difference",
    "hard_sigmoid_deviation",
    "hard_swish_deviation",
    "options_per_block",
    "percent_more",
    "reward_exponent",
    "separable_cost_ratio",
    "squeeze_rule",
    "swish_as_half",
    "swish_as_relu",
    "swish_derivative_deviation",
    "zeros_of_space",
]


def _grid() -> torch.Tensor:
    return torch.linspace(-8, 8, 1601, dtype=torch.float64)


def hard_swish_deviation() -> float:
    """Largest distance of the fused hard swish from ``x * ReLU6(x + 3) / 6``."""
    return (hard_swish(_grid()) - hard_swish_formula(_grid())).abs().max().item()


def hard_sigmoid_deviation() -> float:
    """Largest distance of the fused hard sigmoid from ``ReLU6(x + 3) / 6``."""
    return (hard_sigmoid(_grid()) - hard_sigmoid_formula(_grid())).abs().max().item()


def swish_derivative_deviation() -> float:
    """Largest distance of swish's derivative from ``f(x) + sigmoid(x) (1 - f(x))``."""
    x = _grid().requires_grad_()
    value = swish(x)
    (slope,) = torch.autograd.grad(value.sum(), x)
    return (slope - (value + x.sigmoid() * (1 - value))).abs().max().item()


def _swish_beta(x: torch.Tensor, beta: float) -> torch.Tensor:
    """``x * sigmoid(beta * x)``, the swish of the paper."""
    return swish(beta * x) / beta


def swish_as_relu(beta: float) -> float:
    """Largest distance of swish with a large beta from ReLU."""
    return (_swish_beta(_grid(), beta) - _grid().relu()).abs().max().item()


def swish_as_half(beta: float) -> float:
    """Largest distance of swish with a tiny beta from ``x / 2``."""
    return (_swish_beta(_grid(), beta) - _grid() / 2).abs().max().item()


def separable_cost_ratio(kernel: int, out_channels: int) -> float:
    """How many times a separable convolution is cheaper: ``1 / (1 / N + 1 / K^2)``."""
    return 1 / (1 / out_channels + 1 / kernel**2)


def reward_exponent(accuracy_gain: float, latency_factor: float) -> float:
    """The w at which more accuracy for more latency leaves MnasNet's reward as it was."""
    return -log(1 + accuracy_gain) / log(latency_factor)


def options_per_block(choices: Sequence[int]) -> int:
    """Size of a sub-search space: the product of the numbers of choices."""
    return prod(choices)


def zeros_of_space(options: int, decisions: int) -> int:
    """Order of magnitude of a search space, the exponent of ten."""
    return floor(decisions * log10(options))


def compound_scaling(depth: float, width: float, resolution: float) -> float:
    """How much EfficientNet's scaling multiplies the cost, at phi = 1."""
    return depth * width**2 * resolution**2


def squeeze_rule(expansion: int) -> float:
    """Squeezed channels over expansion, after rounding to a multiple of eight."""
    return make_divisible(expansion / 4) / expansion


def difference(value: float, base: float) -> float:
    """What two printed numbers differ by, the first less the second."""
    return value - base


def percent_more(value: float, base: float) -> float:
    """How many percent the first of two printed numbers is above the second."""
    return 100 * (value / base - 1)
