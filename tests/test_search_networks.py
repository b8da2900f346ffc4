"""Points as networks: MnasNet-A1 exactly, rows by hand, and whatever is drawn works."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mnv3lib import count, create_model, deploy
from mnv3lib.measure.placed_rows import placed_rows
from mnv3lib.models import Network
from mnv3lib.models.mnasnet import MNASNET_A1
from mnv3lib.models.mobilenet_v3 import MOBILENET_V3_SMALL
from mnv3lib.models.rows import HS, RE, BneckRow, ConvRow
from mnv3lib.models.scaling import scale_rows
from mnv3lib.ops import InvertedResidual
from mnv3lib.search import MNASNET, MNASNET_A1_POINT, SMALL_32, network_of, spec_of
from mnv3lib.search.encoding import decode, from_ranks
from mnv3lib.search.skips import SkipBneckRow, SkipConvRow, WithSkip


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(side: int, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 3, side, side, generator=generator())


def a1_with(stage: int, **changes):
    point = list(MNASNET_A1_POINT)
    point[stage] = replace(point[stage], **changes)
    return tuple(point)


def stage_rows(stage: int, **changes):
    """The rows of one stage of MnasNet-A1 after a change."""
    point = a1_with(stage, **changes)
    start = 1 + sum(before.layers for before in point[:stage])
    return spec_of(MNASNET, point).rows[start : start + point[stage].layers]


# --- tables ------------------------------------------------------------------------------------


def test_the_point_of_mnasnet_a1_is_mnasnet_a1():
    spec = spec_of(MNASNET, MNASNET_A1_POINT)
    assert spec.rows == MNASNET_A1.rows
    assert replace(spec, family=MNASNET_A1.family, source=MNASNET_A1.source) == MNASNET_A1


def test_mnasnet_a1_counts():
    counted = count(network_of(MNASNET, MNASNET_A1_POINT))
    assert (counted.params, counted.macs) == (3_887_038, 311_579_072)


def test_same_generator_same_weights_as_by_name():
    ours = network_of(MNASNET, MNASNET_A1_POINT, num_classes=3, generator=generator(5))
    by_name = create_model("mnasnet_a1", num_classes=3, generator=generator(5))
    theirs = by_name.state_dict()
    assert all(torch.equal(value, theirs[key]) for key, value in ours.state_dict().items())


def test_rows_of_operators():
    # Stage 3 of A1 has 40 channels before it and four layers of 80.
    assert stage_rows(3, op="dwconv", layers=3)[:2] == (
        BneckRow(3, 40, 80, False, RE, 2),
        BneckRow(3, 80, 80, False, RE, 1),
    )
    assert stage_rows(3, op="conv", skip="none", kernel=5, layers=3)[:2] == (
        ConvRow(5, 80, RE, 2),
        ConvRow(5, 80, RE, 1),
    )


def test_shortcuts_only_where_shapes_agree():
    assert stage_rows(3, op="conv", layers=3) == (
        ConvRow(3, 80, RE, 2),  # 40 to 80 channels: nothing to add
        SkipConvRow(3, 80, RE, 1, skip="identity"),
        SkipConvRow(3, 80, RE, 1, skip="identity"),
    )
    assert stage_rows(3, skip="pool", layers=3) == (
        BneckRow(3, 240, 80, False, RE, 2),
        SkipBneckRow(3, 480, 80, False, RE, 1, skip="pool"),
        SkipBneckRow(3, 480, 80, False, RE, 1, skip="pool"),
    )
    assert stage_rows(3, skip="none", layers=3)[1] == SkipBneckRow(3, 480, 80, False, RE, 1)


def test_only_a_pooled_shortcut_crosses_a_stride():
    before = a1_with(1, filters=24)
    point = (*before[:2], replace(before[2], filters=24, skip="pool"), *before[3:])
    rows = spec_of(MNASNET, point).rows
    assert rows[4] == SkipBneckRow(5, 72, 24, True, RE, 2, skip="pool")
    identity = (*before[:2], replace(before[2], filters=24), *before[3:])
    assert spec_of(MNASNET, identity).rows[4] == BneckRow(5, 72, 24, True, RE, 2)


def test_the_small_space_keeps_stem_and_head_of_half_of_small():
    spec = spec_of(SMALL_32, SMALL_32.point([0] * 18))
    rows = scale_rows(MOBILENET_V3_SMALL.rows, 0.5)
    assert spec.rows[:2] == (replace(rows[0], stride=1), rows[1])
    assert spec.rows[-4:] == rows[-4:]
    assert spec.rows[2:4] == (
        BneckRow(3, 24, 8, False, RE, 2),
        BneckRow(3, 24, 16, False, HS, 2),
    )
    assert Network(spec).min_resolution == 16


def test_points_of_the_small_space_are_different_networks():
    every = decode(SMALL_32, from_ranks(SMALL_32, torch.arange(SMALL_32.cardinality)))
    assert len({spec_of(SMALL_32, point).rows for point in every}) == SMALL_32.cardinality


def test_a_foreign_point_is_refused():
    with pytest.raises(ValueError, match="a point of small_32 has 3 stages, got 7"):
        spec_of(SMALL_32, MNASNET_A1_POINT)


# --- networks ----------------------------------------------------------------------------------


@settings(max_examples=12)
@given(seed=st.integers(0, 2**32))
def test_any_point_of_mnasnet_runs_and_learns(seed):
    spec = spec_of(MNASNET, MNASNET.sample(generator(seed))).with_classes(3)
    thin = Network(replace(spec, rows=scale_rows(spec.rows, 0.25)), generator=generator())
    logits = thin(images(32))
    assert logits.shape == (2, 3)
    logits.square().sum().backward()
    assert [key for key, p in thin.named_parameters() if p.grad is None] == []


@settings(max_examples=8)
@given(seed=st.integers(0, 2**32))
def test_any_point_of_the_small_space_runs_at_32_pixels(seed):
    network = network_of(SMALL_32, SMALL_32.sample(generator(seed)), num_classes=10)
    assert network.eval()(images(32)).shape == (2, 10)
    maps = network.features(images(32))
    assert [maps[level].shape[-1] for level in ("C1", "C2", "C3", "C4")] == [16, 8, 4, 2]


@settings(max_examples=6)
@given(seed=st.integers(0, 2**32))
def test_deploy_keeps_what_a_point_computes(seed):
    spec = spec_of(MNASNET, MNASNET.sample(generator(seed))).with_classes(3)
    network = Network(replace(spec, rows=scale_rows(spec.rows, 0.25)), generator=generator()).eval()
    x = images(32)
    torch.testing.assert_close(deploy(network)(x), network(x), rtol=1e-3, atol=1e-5)


def test_weights_follow_the_generator():
    point = a1_with(3, op="conv", se=True)
    one, other = (network_of(MNASNET, point, generator=generator(7)) for _ in range(2))
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_no_shortcut_is_added_where_none_is_chosen():
    with_skip = network_of(MNASNET, MNASNET_A1_POINT).rows
    without = network_of(MNASNET, a1_with(1, skip="none")).rows
    assert isinstance(without[3], InvertedResidual)
    assert (with_skip[3].use_residual, without[3].use_residual) == (True, False)


def test_shortcuts_by_hand():
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    zero = nn.Conv2d(1, 1, 1, stride=2)
    nn.init.zeros_(zero.weight)
    nn.init.constant_(zero.bias, 100.0)
    pooled = WithSkip(zero, stride=2, skip="pool")(x)
    # Means of what lies inside the map: 2 x 2, 2 x 3, 3 x 2 and 3 x 3 numbers.
    assert pooled.flatten().tolist() == [102.5, 104.0, 108.5, 110.0]
    same = nn.Identity()
    assert torch.equal(WithSkip(same, stride=1, skip="identity")(x), 2 * x)
    assert torch.equal(WithSkip(same, stride=1, skip="none")(x), x)


def test_a_convolution_with_squeeze_and_excite():
    network = network_of(MNASNET, a1_with(3, op="conv", se=True))
    first, second = network.rows[7], network.rows[8]
    # A quarter of the input, as the rest of MnasNet: 40 before the stage, 80 inside.
    assert (first.se.reduce.out_channels, second.se.reduce.out_channels) == (10, 20)
    assert (first.shortcut, type(second.shortcut)) == (None, nn.Identity)


def test_latency_tables_tell_shortcuts_apart():
    identity, none, pool = (
        placed_rows(network_of(MNASNET, a1_with(1, skip=skip)), 32)[3].key
        for skip in ("identity", "none", "pool")
    )
    assert len({identity, none, pool}) == 3


def test_rows_in_words():
    assert (
        SkipBneckRow(5, 72, 24, True, RE, 2, skip="pool").operator == "bneck 5x5, pooled shortcut"
    )
    assert SkipConvRow(3, 8, RE, se=True).operator == "conv2d 3x3, SE, no shortcut"
