"""Checkers: what they say to right, wrong, open and odd answers, and how they refuse misuse."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnv3lib.exercises import check_equal, check_function, check_number, check_tensor

ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())
)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (432, "✓ Correct: 432 MACs."),
        (432.0, "✓ Correct: 432 MACs."),
        (torch.tensor(432), "✓ Correct: 432 MACs."),
        (np.int64(432), "✓ Correct: 432 MACs."),
        (..., "○ Not answered yet: replace the ... and run the cell again."),
        (None, "○ Not answered yet: replace the ... and run the cell again."),
        (431, "✗ Not yet: 431 MACs is too small."),
        (433, "✗ Not yet: 433 MACs is too large."),
        (-432, "✗ Not yet: -432 MACs has the wrong sign."),
        (0.432, "✗ Not yet: 0.432 MACs is short by a factor of a thousand: give the plain count."),
        (432_000_000, "✗ Not yet: 432,000,000 MACs is too large by a factor of a million."),
        (864, "✗ Not yet: You counted a multiply-add as two."),
        ("432", "✗ Not yet: a number is asked for, this is a str."),
        (True, "✗ Not yet: a number is asked for, this is a bool."),
        (torch.ones(2), "✗ Not yet: a number is asked for, this is a Tensor."),
    ],
)
def test_number(answer, said):
    hints = [(864, "You counted a multiply-add as two.")]
    verdict = check_number(answer, expected=432, unit="MACs", hints=hints)
    assert repr(verdict) == said
    assert bool(verdict) is said.startswith("✓")


def test_number_within_tolerance():
    assert check_number(0.3334, expected=1 / 3, rtol=1e-3)
    assert not check_number(0.3334, expected=1 / 3, rtol=1e-5)


def test_a_number_may_be_zero():
    assert check_number(0, expected=0)
    assert "too large" in repr(check_number(5, expected=0))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([24, 16, 1, 1], "✓ Correct: (24, 16, 1, 1)."),
        (torch.Size([24, 16, 1, 1]), "✓ Correct: (24, 16, 1, 1)."),
        ((16, 24, 1, 1), "✗ Not yet: The output channels come first."),
        ((24, 16, 3, 1), "✗ Not yet: (24, 16, 3, 1): look again at place 2 (counting from 0), 3."),
        ((24, 16), "✗ Not yet: 4 values are asked for, these are 2."),
        (24, "✗ Not yet: 4 values in a row are asked for, this is an int."),
    ],
)
def test_equal(answer, said):
    hints = [([16, 24, 1, 1], "The output channels come first.")]
    assert repr(check_equal(answer, expected=torch.Size([24, 16, 1, 1]), hints=hints)) == said


def test_equal_on_names_does_not_give_the_answer_away():
    assert check_equal("relu", expected="relu")
    assert repr(check_equal("relu6", expected="relu")) == "✗ Not yet: 'relu6' is not it."


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([[1.0, 2.0], [3.0, 4.0]], "✓ Correct: shape (2, 2), all values agree."),
        ([1.0, 2.0], "✗ Not yet: the shape is (2,), it should be (2, 2)."),
        (
            [[1.0, 2.0], [3.5, 5.0]],
            "✗ Not yet: the shape is right, but 2 of 4 values differ, most at (1, 1).",
        ),
        ([[1.0, 3.0], [2.0, 4.0]], "✗ Not yet: Rows and columns changed places."),
    ],
)
def test_tensor(answer, said):
    expected = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    hints = [(expected.T, "Rows and columns changed places.")]
    assert repr(check_tensor(torch.tensor(answer), expected=expected, hints=hints)) == said


def test_tensor_asks_for_a_tensor():
    verdict = check_tensor([0.0], expected=torch.zeros(1))
    assert repr(verdict) == "✗ Not yet: a tensor is asked for, this is a list."


def cost(size, stride):
    return size // stride


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (cost, "✓ Correct on 2 of 2 inputs."),
        (lambda size, stride: ..., "○ Not answered yet: replace the ... and run the cell again."),
        (lambda size, stride: size, "✗ Not yet: You forgot the stride."),
        (
            lambda size, stride: size // stride + (stride > 1),
            "✗ Not yet: called with (8, 2): 5 is too large.",
        ),
        (
            lambda size, stride: size / 0,
            "✗ Not yet: called with (8, 1), it raises ZeroDivisionError: division by zero",
        ),
        (
            lambda size, stride: "8",
            "✗ Not yet: called with (8, 1): a number is asked for, this is a str.",
        ),
        (8, "✗ Not yet: a function is asked for, this is an int."),
    ],
)
def test_function(answer, said):
    verdict = check_function(
        answer,
        expected=cost,
        inputs=[(8, 1), (8, 2)],
        hints=[(lambda size, stride: size, "You forgot the stride.")],
    )
    assert repr(verdict) == said


def test_function_on_tensors_shows_their_shape():
    inputs = [(torch.zeros(1, 8, 4, 4),)]
    verdict = check_function(lambda x: x.mean(), expected=lambda x: x.mean((2, 3)), inputs=inputs)
    assert repr(verdict) == (
        "✗ Not yet: called with (tensor of shape (1, 8, 4, 4)): "
        "the shape is (), it should be (1, 8)."
    )


@given(answer=ANYTHING)
def test_no_answer_raises(answer):
    check_number(answer, expected=0.5, rtol=1e-6)
    check_equal(answer, expected=(1, 2))
    check_tensor(answer, expected=torch.zeros(2))
    check_function(answer, expected=abs, inputs=[(-1,)])
    check_function(lambda x: answer, expected=abs, inputs=[(-1,)])


@given(number=st.integers(-(10**12), 10**12))
def test_the_right_number_always_passes(number):
    assert check_number(number, expected=number)


@pytest.mark.parametrize(
    ("misuse", "error", "words"),
    [
        (lambda: check_number(1, expected="2"), TypeError, "must be a number, got a str"),
        (lambda: check_number(1, expected=2, rtol=-1), ValueError, "rtol is -1"),
        (lambda: check_number(1, expected=2, hints=[(2, "no")]), ValueError, "the right answer"),
        (lambda: check_equal(1, expected=[2], hints=[((2,), "no")]), ValueError, "'no' stands"),
        (lambda: check_tensor(1, expected=[2]), TypeError, "must be a tensor, got a list"),
        (lambda: check_function(abs, expected=3, inputs=[(1,)]), TypeError, "must be callable"),
        (lambda: check_function(abs, expected=abs, inputs=[]), ValueError, "at least one input"),
    ],
)
def test_misuse_raises(misuse, error, words):
    with pytest.raises(error, match=words):
        misuse()
