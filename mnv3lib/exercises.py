"""Checkers for the exercises of the book: they say in words what is wrong.

Every checker takes the reader's answer and the expected one, which the page computes with this
package, and returns a :class:`Verdict` that prints as one line. A wrong answer never raises; a
checker that is used wrongly does. ``...`` or ``None`` as an answer counts as not answered yet, so
that an untouched page runs from top to bottom.

Hints pair a wrong answer that readers are likely to give with a sentence that says how they came
to it; the sentence shows when the answer equals that value.

Explained on the book's style page.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from torch import Tensor

from mnv3lib._differences import (
    as_number,
    call_slip,
    close,
    kind,
    number_slip,
    plain,
    sequence_slip,
    shown,
    tensor_slip,
)

__all__ = ["Verdict", "check_equal", "check_function", "check_number", "check_tensor"]

_RTOL = 1e-5

Hints = Sequence[tuple[Any, str]]


@dataclass(frozen=True)
class Verdict:
    """What a checker found; true when the answer is right.

    Attributes:
        passed: Whether the answer is right; an open answer is not.
        message: The finding, in words.
        open: Whether there is no answer yet.
    """

    passed: bool
    message: str
    open: bool = False

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        mark = "○" if self.open else "✓" if self.passed else "✗"
        return f"{mark} {self.message}"


def check_number(
    answer: Any,
    *,
    expected: Real,
    unit: str = "",
    rtol: float = 0.0,
    hints: Hints = (),
) -> Verdict:
    """Check one number.

    Args:
        answer: The reader's number.
        expected: The right one.
        unit: Its unit, such as ``"MACs"``, for the message.
        rtol: Relative error that still counts as right; 0 asks for the exact number.
        hints: ``(wrong number, sentence)`` pairs.

    Returns:
        The verdict. A wrong answer learns its direction, a slip in thousands, millions or
        billions, or its hint, but not the right number.

    Raises:
        TypeError: ``expected`` is not a number.
        ValueError: ``rtol`` is negative, or a hint's wrong number is the right one.
    """
    right = as_number(expected)
    if right is None:
        raise TypeError(f"expected must be a number, got {kind(expected)}")
    _check_options(right, rtol, hints, lambda a, b: close(a, b, rtol))
    if _is_open(answer):
        return _unanswered()
    number = as_number(answer)
    if number is None:
        return _wrong(f"a number is asked for, this is {kind(answer)}.")
    if close(number, right, rtol):
        return Verdict(True, f"Correct: {f'{right:,} {unit}'.strip()}.")
    for wrong, sentence in hints:
        if close(number, wrong, rtol):
            return _wrong(sentence)
    return _wrong(number_slip(number, right, unit))


def check_equal(answer: Any, *, expected: Any, hints: Hints = ()) -> Verdict:
    """Check a name, a shape or a list of such; sequences are compared element by element.

    Args:
        answer: The reader's answer; ``torch.Size``, tuples and lists count as the same.
        expected: The right one.
        hints: ``(wrong answer, sentence)`` pairs.

    Returns:
        The verdict. A wrong sequence learns its first wrong place.

    Raises:
        ValueError: A hint's wrong answer is the right one.
    """
    expected = plain(expected)
    _check_options(expected, 0.0, hints, lambda a, b: plain(a) == plain(b))
    if _is_open(answer):
        return _unanswered()
    answer = plain(answer)
    if answer == expected:
        return Verdict(True, f"Correct: {shown(expected)}.")
    for wrong, sentence in hints:
        if answer == plain(wrong):
            return _wrong(sentence)
    return _wrong(sequence_slip(answer, expected))


def check_tensor(
    answer: Any, *, expected: Tensor, rtol: float = _RTOL, hints: Hints = ()
) -> Verdict:
    """Check a tensor: first its shape, then its values.

    Args:
        answer: The reader's tensor.
        expected: The right one, any shape.
        rtol: Error that still counts as right, relative to the largest expected magnitude.
        hints: ``(wrong tensor, sentence)`` pairs.

    Returns:
        The verdict. A wrong tensor learns its shape's first clash, or where it is furthest off.

    Raises:
        TypeError: ``expected`` is not a tensor.
        ValueError: ``rtol`` is negative, or a hint's wrong tensor is the right one.
    """
    if not isinstance(expected, Tensor):
        raise TypeError(f"expected must be a tensor, got {kind(expected)}")
    _check_options(expected, rtol, hints, lambda a, b: tensor_slip(a, b, rtol) is None)
    if _is_open(answer):
        return _unanswered()
    slip = tensor_slip(answer, expected, rtol)
    if slip is None:
        return Verdict(True, f"Correct: shape {shown(tuple(expected.shape))}, all values agree.")
    for wrong, sentence in hints:
        if tensor_slip(answer, wrong, rtol) is None:
            return _wrong(sentence)
    return _wrong(slip)


def check_function(
    answer: Any,
    *,
    expected: Callable[..., Any],
    inputs: Sequence[tuple[Any, ...]],
    rtol: float = _RTOL,
    hints: Hints = (),
) -> Verdict:
    """Check a function or a module by calling it.

    Args:
        answer: The reader's function.
        expected: The right one.
        inputs: Argument tuples to try, the simplest first.
        rtol: Relative error that still counts as right, for numbers and tensors.
        hints: ``(wrong function, sentence)`` pairs; a hint shows when the wrong function and the
            reader's agree on every input.

    Returns:
        The verdict. A wrong function learns the first input it fails on and how.

    Raises:
        TypeError: ``expected`` cannot be called.
        ValueError: There is no input, or a hint's function passes.
    """
    if not callable(expected):
        raise TypeError(f"expected must be callable, got {kind(expected)}")
    if not inputs:
        raise ValueError("give at least one input to try")
    _check_options(expected, rtol, hints, lambda a, b: call_slip(a, b, inputs, rtol) is None)
    if _is_open(answer) or _is_open(_returned(answer, inputs[0])):
        return _unanswered()
    if not callable(answer):
        return _wrong(f"a function is asked for, this is {kind(answer)}.")
    slip = call_slip(answer, expected, inputs, rtol)
    if slip is None:
        return Verdict(True, f"Correct on {len(inputs)} of {len(inputs)} inputs.")
    for wrong, sentence in hints:
        if call_slip(answer, wrong, inputs, rtol) is None:
            return _wrong(sentence)
    return _wrong(slip)


def _is_open(answer: Any) -> bool:
    return answer is ... or answer is None


def _returned(function: Any, arguments: tuple[Any, ...]) -> Any:
    """Call an untrusted function; only an open result matters here."""
    try:
        return function(*arguments)
    except Exception:
        return False


def _unanswered() -> Verdict:
    return Verdict(False, "Not answered yet: replace the ... and run the cell again.", open=True)


def _wrong(sentence: str) -> Verdict:
    return Verdict(False, f"Not yet: {sentence}")


def _check_options(
    expected: Any, rtol: float, hints: Hints, same: Callable[[Any, Any], bool]
) -> None:
    if rtol < 0:
        raise ValueError(f"rtol is {rtol}: expected 0 or more")
    for wrong, sentence in hints:
        if same(wrong, expected):
            raise ValueError(f"the hint {sentence!r} stands for the right answer: change its value")
