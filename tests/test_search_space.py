"""Search spaces: how many points they have, drawing and changing points, and what is refused."""

import itertools
import math
from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnv3lib.search import (
    MNASNET,
    MNASNET_A1_POINT,
    SMALL_32,
    Space,
    Stage,
    StageOptions,
    find_space,
    list_spaces,
)
from mnv3lib.search.distinct import count_networks
from mnv3lib.search.networks import spec_of
from mnv3lib.search.stage import CHOICES, expansion_of

SPACES = [MNASNET, SMALL_32]
seeds = st.integers(0, 2**32)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def options(**changes) -> StageOptions:
    content = {
        "op": ("conv",), "kernel": (3,), "se": (False,), "skip": ("none",), "filters": (8,),
        "layers": (1,),
    }  # fmt: skip
    return StageOptions(**{**content, **changes})


def tiny(*stages: StageOptions) -> Space:
    return replace(MNASNET, name="tiny", stages=stages)


# --- how many points ---------------------------------------------------------------------------


def test_a_stage_of_mnasnet_has_the_papers_432_variants():
    assert 4 * 2 * 2 * 3 * 3 * 3 == 432
    assert MNASNET.stage_cardinalities == (288, 432, 432, 432, 432, 432, 288)
    assert MNASNET.cardinality == 288**2 * 432**5 == 1_247_968_747_541_495_808


def test_the_three_listed_operators_would_give_324():
    stage = MNASNET.stages[1]
    listed = replace(stage, op=("conv", "dwconv", "mbconv6"))
    assert tiny(listed).cardinality == 324
    assert tiny(stage).cardinality == 432


def test_five_stages_are_the_papers_example():
    five = replace(MNASNET, stages=MNASNET.stages[1:6])
    assert five.cardinality == 15_045_919_506_432  # '432^5', about 10^13
    assert five.cardinality**3 == 432**15  # three layers a stage that choose by themselves


def test_the_small_space_has_some_thousand_points():
    assert SMALL_32.stage_cardinalities == (16, 48, 16)
    assert SMALL_32.cardinality == 12_288


def test_widths_are_shares_of_mobilenet_v2_but_for_the_one_of_a1():
    filters = [stage.filters for stage in MNASNET.stages]
    assert [middle for _, middle, _ in filters] == [16, 24, 32, 64, 96, 160, 320]
    for index, (low, middle, high) in enumerate(filters):
        assert low == 0.75 * middle
        assert high == (112 if index == 4 else 1.25 * middle)


def test_every_stage_has_a_layer():
    assert [stage.layers for stage in MNASNET.stages] == [
        (1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (2, 3, 4), (2, 3, 4), (1, 2)
    ]  # fmt: skip


def test_choices_are_named_in_order():
    assert len(MNASNET.choices) == 7 * 6
    assert MNASNET.choices[7] == (1, "kernel", (3, 5))
    assert tuple(choice.name for choice in SMALL_32.choices[:6]) == CHOICES


def test_different_networks_by_hand():
    # 32 channels come in: with 32 of a single layer, identity and none differ; with 16, not.
    one = tiny(options(skip=("identity", "none"), filters=(16, 32)))
    assert count_networks(one) == 2 + 1
    assert count_networks(replace(one, stages=(replace(one.stages[0], stride=2),))) == 2
    # A pooled shortcut crosses the stride.
    pooled = replace(one.stages[0], stride=2, skip=("pool", "identity", "none"))
    assert count_networks(tiny(pooled)) == 2 + 1


def test_different_networks_are_counted_without_building_all():
    first = options(op=("conv", "dwconv"), skip=("identity", "none"), filters=(8, 32))
    second = replace(first, op=("mbconv3",), skip=("pool", "none"), layers=(1, 2), stride=2)
    space = tiny(first, second)
    indices = itertools.product(*map(range, space.sizes))
    assert count_networks(space) == len({spec_of(space, space.point(i)).rows for i in indices})
    assert count_networks(space) < space.cardinality


def test_different_networks_of_the_two_spaces():
    assert count_networks(SMALL_32) == SMALL_32.cardinality
    assert count_networks(MNASNET) == 431_396_604_088_418_304


def test_stages_that_merge_are_not_counted():
    with pytest.raises(ValueError, match="neighbouring stages of tiny share 8 filters"):
        count_networks(tiny(options(), options()))


# --- drawing and changing ----------------------------------------------------------------------


@given(seed=seeds, space=st.sampled_from(SPACES))
def test_samples_are_points(seed, space):
    point = space.sample(generator(seed))
    assert point in space
    assert space.point(space.indices(point)) == point


def test_samples_follow_the_generator():
    assert SMALL_32.sample(generator(1)) == SMALL_32.sample(generator(1))
    assert MNASNET.sample(generator(1)) != MNASNET.sample(generator(2))


def test_every_point_is_equally_likely():
    space = tiny(options(kernel=(3, 5), layers=(1, 2, 3)))
    source = generator()
    drawn = Counter(space.sample(source) for _ in range(1200))
    assert len(drawn) == 6
    expected, spread = 200, math.sqrt(200 * 5 / 6)
    assert all(abs(times - expected) < 5 * spread for times in drawn.values())


@given(seed=seeds, space=st.sampled_from(SPACES))
def test_mutation_changes_exactly_one_choice(seed, space):
    source = generator(seed)
    point = space.sample(source)
    mutant = space.mutate(point, source)
    assert mutant in space
    pairs = zip(space.indices(point), space.indices(mutant), strict=True)
    assert sum(before != after for before, after in pairs) == 1


def test_mutation_reaches_every_neighbour():
    space = tiny(options(kernel=(3, 5), layers=(1, 2, 3)))
    point = space.point([0] * 6)
    source = generator()
    reached = {space.mutate(point, source) for _ in range(100)}
    assert reached == {
        (replace(point[0], kernel=5),),
        (replace(point[0], layers=2),),
        (replace(point[0], layers=3),),
    }


def test_a_single_point_cannot_mutate():
    space = tiny(options())
    with pytest.raises(ValueError, match="tiny has a single point"):
        space.mutate(space.sample(generator()), generator())


# --- membership and errors ---------------------------------------------------------------------


def test_mnasnet_a1_is_a_point_of_its_space():
    assert MNASNET_A1_POINT in MNASNET
    assert MNASNET_A1_POINT not in SMALL_32


def test_misfits_are_named():
    wrong = (*MNASNET_A1_POINT[:3], replace(MNASNET_A1_POINT[3], filters=81), *MNASNET_A1_POINT[4:])
    assert wrong not in MNASNET
    with pytest.raises(ValueError, match="stage 3 of mnasnet offers filters 48, 64, 80; got 81"):
        MNASNET.indices(wrong)
    with pytest.raises(ValueError, match="has 7 stages, got 2"):
        MNASNET.indices(MNASNET_A1_POINT[:2])
    with pytest.raises(ValueError, match="has 18 choices, got 3"):
        SMALL_32.point([0, 0, 0])
    with pytest.raises(ValueError, match="stage 0 of small_32 has 2 options for op, got index 2"):
        SMALL_32.point([2] + [0] * 17)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": ()}, "kernel needs different options"),
        ({"kernel": (3, 3)}, "kernel needs different options"),
        ({"op": ("mbconv",)}, "unknown op 'mbconv'"),
        ({"skip": ("max",)}, "unknown skip 'max'; choose from none, identity, pool"),
        ({"layers": (0, 1)}, "a stage needs a layer"),
        ({"filters": (0,)}, "a stage needs a layer and a channel"),
    ],
)
def test_bad_options_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        options(**change)


def test_expansions():
    assert [expansion_of(op) for op in ("conv", "dwconv", "mbconv3", "mbconv12")] == [
        None,
        1,
        3,
        12,
    ]
    with pytest.raises(ValueError, match="unknown op 'mbconv0'"):
        expansion_of("mbconv0")


def test_spaces_by_name():
    assert list_spaces() == ["mnasnet", "small_32"]
    assert find_space("small_32") is SMALL_32
    with pytest.raises(ValueError, match="unknown space 'small32'; did you mean small_32"):
        find_space("small32")


def test_points_are_keys():
    point = SMALL_32.sample(generator())
    assert {point: 1}[tuple(Stage(**vars(stage)) for stage in point)] == 1
