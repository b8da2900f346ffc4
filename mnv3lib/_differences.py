"""How an answer differs from the right one, in words: the comparisons behind the checkers.

Every ``*_slip`` function returns a sentence without giving the right value away. Used by
:mod:`mnv3lib.exercises` alone.
"""

import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "as_number",
    "call_slip",
    "close",
    "kind",
    "number_slip",
    "plain",
    "sequence_slip",
    "shown",
    "tensor_slip",
]

_POWERS = {1e3: "a thousand", 1e6: "a million", 1e9: "a billion"}
_MAX_SHOWN = 60


def as_number(value: Any) -> int | float | None:
    """Return a plain number, or ``None`` if the value is not one number."""
    if isinstance(value, Tensor) or hasattr(value, "item"):
        size = value.numel() if isinstance(value, Tensor) else value.size
        value = value.item() if size == 1 else None
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    return value  # type: ignore[return-value]


def close(got: Real, expected: Real, rtol: float) -> bool:
    """Whether two numbers agree within a relative error (0: exactly)."""
    return got == expected if rtol == 0 else math.isclose(got, expected, rel_tol=rtol)


def kind(value: Any) -> str:
    """Name the type of a value with its article: ``a str``, ``an int``."""
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def plain(value: Any) -> Any:
    """Turn shapes and lists, nested or not, into tuples, so that they compare as equal."""
    return tuple(map(plain, value)) if isinstance(value, list | tuple) else value


def shown(value: Any) -> str:
    """Show a value on one line, shortened where it is long."""
    if isinstance(value, Tensor):
        return f"tensor of shape {tuple(value.shape)}" if value.numel() > 6 else f"{value.tolist()}"
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def number_slip(got: float, expected: float, unit: str = "") -> str:
    """Say on which side a number is off, and name a slip in thousands, millions or billions."""
    name = f"{got:,} {unit}".strip()
    for power, word in _POWERS.items():
        if expected and math.isclose(got * power, expected, rel_tol=0.01):
            return f"{name} is short by a factor of {word}: give the plain count."
        if expected and math.isclose(got, expected * power, rel_tol=0.01):
            return f"{name} is too large by a factor of {word}."
    if expected and got == -expected:
        return f"{name} has the wrong sign."
    return f"{name} is too {'small' if got < expected else 'large'}."


def sequence_slip(got: Any, expected: Any) -> str:
    """Say where two names or sequences part."""
    if not isinstance(expected, tuple):
        return f"{shown(got)} is not it."
    if not isinstance(got, tuple):
        return f"{len(expected)} values in a row are asked for, this is {kind(got)}."
    if len(got) != len(expected):
        return f"{len(expected)} values are asked for, these are {len(got)}."
    place = next(i for i, pair in enumerate(zip(got, expected, strict=True)) if pair[0] != pair[1])
    return f"{shown(got)}: look again at place {place} (counting from 0), {shown(got[place])}."


def tensor_slip(got: Any, expected: Any, rtol: float) -> str | None:
    """Say how a tensor differs, shape first; ``None`` if it does not."""
    if not isinstance(got, Tensor):
        return f"a tensor is asked for, this is {kind(got)}."
    if got.shape != expected.shape:
        return f"the shape is {tuple(got.shape)}, it should be {tuple(expected.shape)}."
    off = (got.detach().double() - expected.detach().double()).abs()
    if not off.numel() or off.max() <= rtol * expected.detach().double().abs().max():
        return None
    where = tuple(int(i) for i in torch.unravel_index(off.argmax(), off.shape))
    wrong = int((off > rtol * expected.detach().double().abs().max()).sum())
    return f"the shape is right, but {wrong:,} of {off.numel():,} values differ, most at {where}."


def call_slip(
    got: Callable[..., Any],
    expected: Callable[..., Any],
    inputs: Sequence[tuple[Any, ...]],
    rtol: float,
) -> str | None:
    """Say on which input two functions first differ and how; ``None`` if they do not."""
    for arguments in inputs:
        call = f"called with ({', '.join(map(shown, arguments))})"
        try:
            result = got(*arguments)
        except Exception as error:  # whatever the reader's code raises is the finding
            return f"{call}, it raises {type(error).__name__}: {error}"
        slip = _result_slip(result, expected(*arguments), rtol)
        if slip is not None:
            return f"{call}: {slip}"
    return None


def _result_slip(got: Any, expected: Any, rtol: float) -> str | None:
    if isinstance(expected, Tensor):
        return tensor_slip(got, expected, rtol)
    right = as_number(expected)
    if right is None:
        return None if plain(got) == plain(expected) else sequence_slip(plain(got), plain(expected))
    number = as_number(got)
    if number is None:
        return f"a number is asked for, this is {kind(got)}."
    return None if close(number, right, rtol) else number_slip(number, right)
