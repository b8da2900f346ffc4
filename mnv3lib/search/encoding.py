"""Points as vectors: indices of the chosen options, one-hot vectors, and ranks (chapter 8).

Search works on many points at once. The *code* of a point holds, for each choice of the space, the
index of the option taken; predictors read it as a *one-hot* vector with one group a choice; and
the *rank* numbers all points from 0 as digits of a mixed base do, the last choice turning fastest,
so that drawing ranks draws points without repetition. All three are loss-free.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mnv3lib.search.space import Space
from mnv3lib.search.stage import Point

__all__ = [
    "check_codes",
    "decode",
    "encode",
    "from_one_hot",
    "from_ranks",
    "one_hot",
    "ranks",
    "sample_codes",
]

_MAX_RANK = torch.iinfo(torch.int64).max


def encode(space: Space, points: Sequence[Point]) -> Tensor:
    """Turns points into codes.

    Args:
        space: A space of D choices.
        points: N of its points.

    Returns:
        Codes, int64 (N, D); column i tells the option of ``space.choices[i]``.

    Raises:
        ValueError: A point is not of this space.
    """
    codes = [space.indices(point) for point in points]
    return torch.tensor(codes, dtype=torch.int64).reshape(len(codes), len(space.sizes))


def decode(space: Space, codes: Tensor) -> list[Point]:
    """Turns codes, int64 (N, D), into N points.

    Raises:
        ValueError: See :func:`check_codes`.
    """
    check_codes(space, codes)
    return [space.point(row) for row in codes.tolist()]


def check_codes(space: Space, codes: Tensor) -> None:
    """Checks that codes are of a space.

    Raises:
        ValueError: Not int64 of shape (N, D), or an index out of range; the message names the
            first such row and choice.
    """
    width = len(space.sizes)
    if codes.dtype != torch.int64 or codes.ndim != 2 or codes.shape[1] != width:
        raise ValueError(
            f"codes of {space.name} are int64 of shape (N, {width}), got {codes.dtype} of shape "
            f"{tuple(codes.shape)}"
        )
    outside = (codes < 0) | (codes >= torch.tensor(space.sizes))
    if outside.any():
        row, column = outside.nonzero()[0].tolist()
        choice = space.choices[column]
        raise ValueError(
            f"row {row}: stage {choice.stage} of {space.name} has {len(choice.options)} options "
            f"for {choice.name}, got index {codes[row, column].item()}"
        )


def sample_codes(space: Space, count: int, generator: torch.Generator) -> Tensor:
    """Draws points at once, with repetition; every point is equally likely.

    Args:
        space: A space of D choices.
        count: N, how many.
        generator: Source of randomness.

    Returns:
        Codes, int64 (N, D).
    """
    # A remainder favours the first options by less than one part in 10^17.
    draws = torch.randint(2**62, (count, len(space.sizes)), generator=generator)
    return draws % torch.tensor(space.sizes)


def one_hot(space: Space, codes: Tensor) -> Tensor:
    """Turns codes into one-hot vectors.

    Args:
        space: A space whose choices have W options in all.
        codes: Codes, int64 (N, D).

    Returns:
        Vectors, float32 (N, W). Each choice has a group as wide as it has options, with a single 1.

    Raises:
        ValueError: See :func:`check_codes`.
    """
    check_codes(space, codes)
    vectors = torch.zeros(len(codes), sum(space.sizes))
    return vectors.scatter_(1, codes + _group_starts(space), 1.0)


def from_one_hot(space: Space, vectors: Tensor) -> Tensor:
    """Turns one-hot vectors, (N, W), back into codes, int64 (N, D).

    Raises:
        ValueError: Another width, or a group that is not a single 1 among zeros.
    """
    width = sum(space.sizes)
    if vectors.ndim != 2 or vectors.shape[1] != width:
        raise ValueError(
            f"one-hot vectors of {space.name} have shape (N, {width}), got {tuple(vectors.shape)}"
        )
    groups = vectors.split(space.sizes, dim=1)
    codes = torch.stack([group.argmax(1) for group in groups], dim=1)
    if not torch.equal(one_hot(space, codes), vectors.to(torch.float32)):
        raise ValueError(
            "not one-hot: each group needs a single 1 among zeros; take the argmax of each group "
            "of probabilities first"
        )
    return codes


def ranks(space: Space, codes: Tensor) -> Tensor:
    """Numbers the points: codes, int64 (N, D), to ranks, int64 (N,), below the cardinality.

    Raises:
        ValueError: See :func:`check_codes`; or the space has too many points for 64 bits.
    """
    check_codes(space, codes)
    return (codes * _place_values(space)).sum(1)


def from_ranks(space: Space, numbers: Tensor) -> Tensor:
    """Turns ranks, int64 (N,), back into codes, int64 (N, D).

    Raises:
        ValueError: A rank out of range, or the space has too many points for 64 bits.

    Example:
        >>> from mnv3lib.search import SMALL_32
        >>> every = from_ranks(SMALL_32, torch.arange(SMALL_32.cardinality))
        >>> every.shape
        torch.Size([12288, 18])
    """
    places = _place_values(space)
    outside = (numbers < 0) | (numbers >= space.cardinality)
    if outside.any():
        raise ValueError(
            f"ranks of {space.name} are 0 to {space.cardinality - 1}, got "
            f"{numbers[outside][0].item()}"
        )
    return numbers[:, None] // places % torch.tensor(space.sizes)


def _group_starts(space: Space) -> Tensor:
    """Where the group of each choice begins in a one-hot vector, int64 (D,)."""
    sizes = torch.tensor(space.sizes)
    return sizes.cumsum(0) - sizes


def _place_values(space: Space) -> Tensor:
    """What one step of each choice adds to the rank, int64 (D,)."""
    if space.cardinality - 1 > _MAX_RANK:
        raise ValueError(
            f"{space.name} has {space.cardinality} points, too many for ranks of 64 bits; use codes"
        )
    values = [math.prod(space.sizes[at + 1 :]) for at in range(len(space.sizes))]
    return torch.tensor(values)
