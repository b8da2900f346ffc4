"""Groups of widths: what shrinks together, and what no shrinking may change."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from all_networks import ADAPTABLE
from mnv3lib.measure import count
from mnv3lib.models import Network, NetworkSpec, ladder, model_spec
from mnv3lib.models.ladder import _efficient_last_stage, _stem_of_16
from mnv3lib.models.mnasnet import MNASNET_A1
from mnv3lib.models.rows import BneckRow, ConvRow, DenseRow, PoolRow
from mnv3lib.search.row_places import row_places
from mnv3lib.search.shrinking import shrink, width_grid, width_groups
from mnv3lib.search.skips import SkipBneckRow
from shrunk_tables import shrunk_at_random

LARGE = model_spec("mobilenet_v3_large")
SMALL_OPTIONS = (
    ("mobilenet_v1", {"width_mult": 0.25}),
    ("mobilenet_v2", {"width_mult": 0.35}),
    ("mnasnet_a1", {"width_mult": 0.35}),
    ("efficientnet_b0", {"width_mult": 0.35}),
    ("mobilenet_v3_small", {"width_mult": 0.5, "removed_strides": 2}),
    ("mobilenet_v3_large", {"width_mult": 0.35, "output_stride": 16}),
)
SMALL = [model_spec(name, num_classes=3, **options) for name, options in SMALL_OPTIONS]


def group_with(spec, row, column):
    (found,) = (group for group in width_groups(spec) if (row, column) in group.cells)
    return found


# --- places ------------------------------------------------------------------------------------


@pytest.mark.parametrize("output_stride", [32, 16, 8])
@pytest.mark.parametrize("name", ADAPTABLE)
def test_places_say_what_the_builder_does(name, output_stride):
    spec = model_spec(name, width_mult=0.5, output_stride=output_stride)
    built = Network(spec).rows
    for place, row in zip(row_places(spec), built, strict=True):
        if isinstance(place.row, BneckRow):
            assert place.expands == (row.expand is not None)
            assert place.adds == row.use_residual
            depthwise = row.depthwise.conv
            assert (place.stride, place.dilation) == (depthwise.stride[0], depthwise.dilation[0])


def test_rows_that_the_builder_does_not_know_are_refused():
    rows = (ConvRow(3, 8, "relu"), SkipBneckRow(3, 16, 8, False, "relu", skip="pool"))
    with pytest.raises(ValueError, match="SkipBneckRow is none of the papers' rows"):
        width_groups(NetworkSpec("x", rows, "x"))


# --- groups ------------------------------------------------------------------------------------


def test_the_stem_of_large_is_tied_to_the_block_that_adds_to_it():
    group = width_groups(LARGE)[0]
    assert group.cells == ((0, "out"), (1, "out"), (1, "exp"))
    assert (group.kind, group.width) == ("bottleneck", 16)


def test_bottlenecks_of_large_are_its_stages():
    bottlenecks = [g for g in width_groups(LARGE) if g.kind == "bottleneck"]
    assert [(g.width, len(g.cells)) for g in bottlenecks] == [
        (16, 3), (24, 2), (40, 3), (80, 4), (112, 2), (160, 3),
    ]  # fmt: skip


def test_expansions_of_large_are_those_of_its_14_expanding_blocks():
    expansions = [g for g in width_groups(LARGE) if g.kind == "expansion"]
    assert [g.width for g in expansions] == [row.exp for row in LARGE.rows[2:16]]


def test_a_stem_that_nobody_adds_to_does_not_shrink():
    cells = {cell for group in width_groups(MNASNET_A1) for cell in group.cells}
    assert not {(0, "out"), (1, "exp")} & cells  # 32 channels, and the middle that follows them
    assert (1, "out") in cells


def test_head_and_last_convolution_do_not_shrink():
    cells = {row for group in width_groups(LARGE) for row, _ in group.cells}
    assert max(cells) == 15


def test_pointwise_outputs_of_v1_are_groups():
    spec = model_spec("mobilenet_v1")
    assert [g.cells for g in width_groups(spec)] == [((i, "out"),) for i in range(1, 14)]


def test_a_block_at_the_very_end_is_the_output():
    rows = (ConvRow(3, 8, "relu"), BneckRow(3, 16, 24, False, "relu"))
    assert [g.kind for g in width_groups(NetworkSpec("x", rows, "x"))] == ["expansion"]


# --- shrinking ---------------------------------------------------------------------------------


def test_tied_widths_move_together_and_expansions_stay():
    smaller = shrink(LARGE, group_with(LARGE, 8, "out"), 72)
    assert [row.out for row in smaller.rows[7:11]] == [72] * 4
    assert [row.exp for row in smaller.rows[7:12]] == [row.exp for row in LARGE.rows[7:12]]
    assert smaller.rows[:7] == LARGE.rows[:7]
    assert smaller.rows[11:] == LARGE.rows[11:]
    assert smaller.source == LARGE.source + ", with widths adapted"


def test_a_middle_without_expansion_follows_its_input():
    smaller = shrink(LARGE, width_groups(LARGE)[0], 8)
    assert (smaller.rows[0].out, smaller.rows[1].exp, smaller.rows[1].out) == (8, 8, 8)


def test_squeezed_channels_follow_the_tables_rule():
    expansion = shrink(LARGE, group_with(LARGE, 4, "exp"), 56)  # 72 / 4 -> 24, 56 / 4 -> 16
    assert Network(expansion).rows[4].se.reduce.out_channels == 16
    by_input = shrink(MNASNET_A1, group_with(MNASNET_A1, 3, "out"), 16)  # 24 / 4, 16 / 4
    assert Network(by_input).rows[4].se.reduce.out_channels == 4


def test_an_expansion_never_comes_to_equal_its_input():
    with pytest.raises(ValueError, match="would lose its expansion convolution"):
        shrink(LARGE, group_with(LARGE, 3, "exp"), 24)
    assert shrink(LARGE, group_with(LARGE, 3, "exp"), 16).rows[3].exp == 16


def test_an_input_never_comes_to_equal_an_expansion():
    narrow = replace(
        LARGE, rows=(*LARGE.rows[:12], replace(LARGE.rows[12], exp=104), *LARGE.rows[13:])
    )
    with pytest.raises(ValueError, match="would lose its expansion convolution"):
        shrink(narrow, group_with(narrow, 11, "out"), 104)


def test_no_shortcut_comes_by_accident():
    with pytest.raises(ValueError, match="or gain a shortcut"):
        shrink(LARGE, group_with(LARGE, 11, "out"), 80)  # 80 -> 112 at stride 1


@pytest.mark.parametrize("width", [0, 16, 24, -8])
def test_only_smaller_widths(width):
    with pytest.raises(ValueError, match=f"can shrink to 1 to 15, not to {width}"):
        shrink(LARGE, width_groups(LARGE)[0], width)


def test_groups_of_another_table_are_refused():
    with pytest.raises(ValueError, match="none of the groups of this table"):
        shrink(MNASNET_A1, width_groups(LARGE)[0], 8)


@settings(max_examples=15)
@given(st.sampled_from(SMALL), st.data())
def test_any_sequence_of_shrinkings_is_a_network(spec, data):
    smaller = shrunk_at_random(data, spec)
    before, after = width_groups(spec), width_groups(smaller)
    assert [g.cells for g in before] == [g.cells for g in after]
    assert all(g.width % 8 == 0 for g in after)
    network = Network(smaller).eval()
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 3)
    assert smaller.rows[-1] == spec.rows[-1]


# --- the grid ----------------------------------------------------------------------------------


def test_grid_is_multiples_below_the_width():
    rows = (ConvRow(3, 8, "relu", 2), BneckRow(3, 36, 24, False, "relu"), PoolRow(), DenseRow(2))
    spec = NetworkSpec("x", rows, "x")
    assert width_grid(spec) == ((32, 24, 16, 8), (16, 8))
    assert width_grid(spec, divisor=16) == ((32, 16), (16,))
    assert width_grid(spec, smallest_share=0.5) == ((32, 24), (16,))


@pytest.mark.parametrize(("divisor", "share"), [(0, 0.0), (8, 1.0), (8, -0.1)])
def test_impossible_grids_are_refused(divisor, share):
    with pytest.raises(ValueError, match="must be at least"):
        width_grid(LARGE, divisor, share)


# --- from MnasNet-A1 to MobileNetV3-Large ------------------------------------------------------

V3_EXPANSIONS = {2: 64, 3: 72, 7: 240, 8: 200, 9: 184, 10: 184}


def test_shrinking_leads_from_mnasnet_to_the_ladder_of_large():
    steps = dict(ladder())
    spec = MNASNET_A1
    for row, width in V3_EXPANSIONS.items():
        if spec.rows[row].exp > width:
            spec = shrink(spec, group_with(spec, row, "exp"), width)
    assert spec.rows == steps["expansions found by NetAdapt"].rows
    counted = count(Network(spec), 224)
    assert (counted.params, counted.macs) == (3_730_094, 260_090_656)
    rows = _stem_of_16(_efficient_last_stage(spec.rows))
    assert rows == steps["stem of 16 channels"].rows
    final = count(Network(list(steps.values())[-1]), 224)
    assert (final.params, final.macs) == (5_483_032, 216_589_760)
