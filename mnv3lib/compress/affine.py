"""Affine quantisation: real numbers as 8-bit levels of equal distance (chapter 12).

A level q stands for the real number ``scale * (q - zero_point)``. The zero point is itself a level,
so that 0 is represented exactly: padding, and what ReLU cuts off, carry no error. The last part of
the module computes hard swish from levels to levels with nothing but integers.

Source: Jacob et al. 2018 (arXiv 1712.05877), sections 2.1 and 2.2.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "INT8",
    "INT8_SYMMETRIC",
    "UINT8",
    "Affine",
    "Levels",
    "affine_from_range",
    "dequantise",
    "fake_quantise",
    "hard_swish_levels",
    "lookup_levels",
    "quantise",
    "symmetric_from_weights",
]

Levels = tuple[int, int]
"""The lowest and the highest level."""

INT8: Levels = (-128, 127)
UINT8: Levels = (0, 255)
INT8_SYMMETRIC: Levels = (-127, 127)

_GATE_BITS = 8  # bits after the point of the gate inside hard swish
_MULTIPLIER_BITS = 30  # of a fixed-point multiplier, which lies in [2^30, 2^31]


class Affine(NamedTuple):
    """How levels stand for real numbers.

    Attributes:
        scale: Distance of two levels, float32, a scalar or one a channel, (C,).
        zero_point: The level of 0, int32, of the same shape.
    """

    scale: Tensor
    zero_point: Tensor


def affine_from_range(
    low: float | Tensor, high: float | Tensor, *, levels: Levels = INT8
) -> Affine:
    """The affine code whose levels cover a range, which is widened to contain 0.

    Args:
        low: Smallest number, a scalar or one a channel.
        high: Largest number, likewise.
        levels: The lowest level and the highest.

    Raises:
        ValueError: A `low` above its `high`, or one that is not finite.

    Example:
        >>> affine_from_range(-1.0, 1.55)
        Affine(scale=tensor(0.0100), zero_point=tensor(-28, dtype=torch.int32))
    """
    low, high = torch.as_tensor(low), torch.as_tensor(high)
    if not (low.isfinite() & high.isfinite() & (low <= high)).all():
        raise ValueError(f"expected finite low <= high, got low {low} and high {high}")
    low, high = low.clamp(max=0).float(), high.clamp(min=0).float()
    lowest, highest = levels
    scale = (high - low) / (highest - lowest)
    scale = torch.where(scale > 0, scale, 1.0)  # all is 0: any step will do
    return Affine(scale, (lowest - low / scale).round().int())


def symmetric_from_weights(
    weights: Tensor, *, axis: int | None = 0, levels: Levels = INT8_SYMMETRIC
) -> Affine:
    """The code of weights: as many levels below 0 as above, so that the zero point is 0.

    Args:
        weights: Any shape.
        axis: The axis of the output channels, each of which gets its own scale; None for one
            scale for all.
        levels: The lowest level and the highest.
    """
    sizes = weights.abs()
    largest = sizes.amax() if axis is None else sizes.movedim(axis, 0).flatten(1).amax(1)
    scale = torch.where(largest > 0, largest / levels[1], 1.0)
    return Affine(scale, torch.zeros_like(scale, dtype=torch.int32))


def quantise(x: Tensor, code: Affine, *, axis: int | None = None, levels: Levels = INT8) -> Tensor:
    """The nearest level of each number, half-way ones to the even; out of range, the last level.

    Args:
        x: Real numbers, any shape.
        code: How levels stand for them.
        axis: The axis of the channels if the code has one scale a channel.
        levels: The lowest level and the highest.

    Returns:
        Levels, int8 or uint8, shaped as x.
    """
    scale, zero_point = _along(code, x, axis)
    dtype = torch.int8 if levels[0] < 0 else torch.uint8
    return (torch.round(x / scale) + zero_point).clamp(*levels).to(dtype)


def dequantise(levels: Tensor, code: Affine, *, axis: int | None = None) -> Tensor:
    """The real numbers, float32, that levels stand for; arguments as in :func:`quantise`."""
    scale, zero_point = _along(code, levels, axis)
    return scale * (levels.int() - zero_point)


def fake_quantise(
    x: Tensor, code: Affine, *, axis: int | None = None, levels: Levels = INT8
) -> Tensor:
    """There and back: the real number that remains of each; arguments as in :func:`quantise`.

    The error is at most half a step for numbers in the code's range.
    """
    return dequantise(quantise(x, code, axis=axis, levels=levels), code, axis=axis)


def hard_swish_levels(
    q: Tensor, enters: Affine, leaves: Affine, *, levels: Levels = INT8
) -> Tensor:
    """Hard swish ``x ReLU6(x + 3) / 6`` from levels to levels, in integers alone.

    With ``n = q - zero_point``, x is a multiple n of the scale s, and so are 3 and 6 after rounding
    (to 1/256 of a step). What remains is a clamp, one product of integers and one multiplication
    by ``s * s / (6 * scale)``, which is done as an integer product and a shift.

    Args:
        q: Levels of x, int8 or uint8, any shape.
        enters: What the levels of x stand for; scalars, a scale of at least 2^-12.
        leaves: What the levels of the result stand for; scalars.
        levels: The lowest level and the highest of the result.

    Returns:
        Levels of the result, within one of the exact ones. Shaped as q.
    """
    step = enters.scale.item()
    # These two depend on the codes alone: a program has them as constants.
    three = round(3 * 2**_GATE_BITS / step)
    multiplier, shift = _fixed_point(step**2 / (6 * 2**_GATE_BITS * leaves.scale.item()))

    n = q.int() - enters.zero_point
    gate = ((n << _GATE_BITS) + three).clamp(0, 2 * three)  # ReLU6(x + 3) / step
    product = (n * gate).long()  # fits into 32 bits; times the multiplier into 64
    rounded = (product * multiplier + (1 << (shift - 1))) >> shift
    return (rounded + leaves.zero_point).clamp(*levels).to(q.dtype)


def lookup_levels(
    function: Callable[[Tensor], Tensor],
    q: Tensor,
    enters: Affine,
    leaves: Affine,
    *,
    levels: Levels = INT8,
) -> Tensor:
    """Any function from levels to levels, by a table of all its 256 results.

    The way for a function like swish, whose exponential has no integer form: a read from memory
    for every number, where hard swish needs arithmetic that works on many numbers at once.

    Args:
        function: Elementwise, from float32 to float32.
        q: Levels of x, any shape.
        enters: What the levels of x stand for; scalars.
        leaves: What the levels of the result stand for; scalars.
        levels: The lowest level and the highest, of x and of the result.

    Returns:
        The nearest levels of the exact results, shaped as q.
    """
    inputs = dequantise(torch.arange(levels[0], levels[1] + 1), enters)
    table = quantise(function(inputs), leaves, levels=levels)
    return table[q.long() - levels[0]]


def _fixed_point(factor: float) -> tuple[int, int]:
    """A positive factor as ``multiplier * 2**-shift``, the multiplier in [2^30, 2^31]."""
    shift = 0
    while factor < 1:
        factor, shift = factor * 2, shift + 1
    while factor >= 2:
        factor, shift = factor / 2, shift - 1
    return round(factor * 2**_MULTIPLIER_BITS), shift + _MULTIPLIER_BITS


def _along(code: Affine, x: Tensor, axis: int | None) -> Affine:
    """The code with its channels along an axis of x.

    Raises:
        ValueError: The code's channels are not those of x.
    """
    if axis is None:
        if code.scale.numel() != 1:
            raise ValueError(f"the code has {code.scale.numel()} scales; give the axis they are on")
        return code
    if code.scale.shape != (x.shape[axis],):
        raise ValueError(
            f"the code has scales of shape {tuple(code.scale.shape)}, but axis {axis} of "
            f"{tuple(x.shape)} has {x.shape[axis]} channels"
        )
    shape = [-1 if i == axis % x.ndim else 1 for i in range(x.ndim)]
    return Affine(code.scale.reshape(shape), code.zero_point.reshape(shape))
