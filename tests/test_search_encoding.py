"""Codes, one-hot vectors and ranks: every way there leads back."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnv3lib.search import MNASNET, MNASNET_A1_POINT, SMALL_32, sample_codes
from mnv3lib.search.encoding import (
    check_codes,
    decode,
    encode,
    from_one_hot,
    from_ranks,
    one_hot,
    ranks,
)

spaces = st.sampled_from([MNASNET, SMALL_32])
seeds = st.integers(0, 2**32)
counts = st.integers(0, 20)


def codes_of(space, count, seed=0) -> torch.Tensor:
    return sample_codes(space, count, torch.Generator().manual_seed(seed))


@given(space=spaces, seed=seeds, count=counts)
def test_points_to_codes_and_back(space, seed, count):
    codes = codes_of(space, count, seed)
    points = decode(space, codes)
    assert all(point in space for point in points)
    assert torch.equal(encode(space, points), codes)
    assert codes.dtype == torch.int64
    assert codes.shape == (count, len(space.sizes))


@given(space=spaces, seed=seeds, count=counts)
def test_codes_to_one_hot_and_back(space, seed, count):
    codes = codes_of(space, count, seed)
    vectors = one_hot(space, codes)
    assert vectors.shape == (count, sum(space.sizes))
    assert torch.equal(vectors.sum(1), torch.full((count,), float(len(space.sizes))))
    assert torch.equal(from_one_hot(space, vectors), codes)


@given(space=spaces, seed=seeds, count=counts)
def test_codes_to_ranks_and_back(space, seed, count):
    codes = codes_of(space, count, seed)
    numbers = ranks(space, codes)
    assert bool(((numbers >= 0) & (numbers < space.cardinality)).all())
    assert torch.equal(from_ranks(space, numbers), codes)


def test_every_rank_is_a_point_of_its_own():
    every = torch.arange(SMALL_32.cardinality)
    codes = from_ranks(SMALL_32, every)
    assert torch.equal(ranks(SMALL_32, codes), every)
    assert len(set(decode(SMALL_32, codes))) == SMALL_32.cardinality


def test_mnasnet_a1_by_hand():
    codes = encode(MNASNET, [MNASNET_A1_POINT])
    # Places of op among conv, dwconv, mbconv3, mbconv6; of the kernel among 3, 5; of SE among no,
    # yes; of the skip among pool, identity, none; of width and depth from small to large.
    assert codes.reshape(7, 6).tolist() == [
        [1, 0, 0, 2, 1, 0],
        [3, 0, 0, 1, 1, 1],
        [2, 1, 1, 1, 2, 1],
        [3, 0, 0, 1, 2, 1],
        [3, 0, 1, 1, 2, 0],
        [3, 1, 1, 1, 1, 1],
        [3, 0, 0, 1, 1, 0],
    ]
    assert one_hot(MNASNET, codes)[0, :4].tolist() == [0, 1, 0, 0]


def test_the_last_choice_turns_fastest():
    assert from_ranks(SMALL_32, torch.tensor([0, 1, 2]))[:, -2:].tolist() == [
        [0, 0],
        [0, 1],
        [1, 0],
    ]


def test_samples_follow_the_generator_and_use_every_option():
    codes = codes_of(SMALL_32, 500, seed=3)
    assert torch.equal(codes, codes_of(SMALL_32, 500, seed=3))
    assert (codes.max(0).values + 1).tolist() == list(SMALL_32.sizes)


def test_bad_codes_are_refused():
    codes = codes_of(SMALL_32, 4)
    with pytest.raises(ValueError, match=r"int64 of shape \(N, 18\), got torch.float32"):
        check_codes(SMALL_32, codes.float())
    with pytest.raises(ValueError, match=r"got torch.int64 of shape \(4, 17\)"):
        one_hot(SMALL_32, codes[:, 1:])
    codes[2, 7] = 2
    with pytest.raises(ValueError, match="row 2: stage 1 of small_32 has 2 options for kernel"):
        decode(SMALL_32, codes)


def test_bad_vectors_and_ranks_are_refused():
    vectors = one_hot(SMALL_32, codes_of(SMALL_32, 2))
    with pytest.raises(ValueError, match=r"have shape \(N, 32\), got \(2, 31\)"):
        from_one_hot(SMALL_32, vectors[:, 1:])
    with pytest.raises(ValueError, match="not one-hot"):
        from_one_hot(SMALL_32, vectors * 0.5)
    with pytest.raises(ValueError, match="0 to 12287, got 12288"):
        from_ranks(SMALL_32, torch.tensor([0, 12_288]))


def test_more_points_than_64_bits_have_no_ranks():
    wide = replace(MNASNET, name="wide", stages=MNASNET.stages * 2)
    codes = codes_of(wide, 3)
    assert torch.equal(encode(wide, decode(wide, codes)), codes)
    with pytest.raises(ValueError, match="too many for ranks of 64 bits"):
        ranks(wide, codes)
