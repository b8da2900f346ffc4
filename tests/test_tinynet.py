"""TinyNets: tables, rounding, counts, and the key names of timm."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnv3lib import count, create_model, export_weights
from mnv3lib.models import model_spec
from mnv3lib.models.efficientnet import EFFICIENTNET_B0
from mnv3lib.models.rows import ConvRow
from mnv3lib.models.tinynet import B0, TWISTS, Twist, twisted
from mnv3lib.ops import make_divisible
from mnv3lib.search.row_costs import macs_at

LETTERS = "abcde"

# fmt: off
TABLE = {  # input side, repeats, channels, parameters, multiply-adds
    "a": (192, (1, 2, 2, 4, 4, 5, 1), (16, 24, 40, 80, 112, 192, 320), 6_187_972, 336_867_712),
    "b": (188, (1, 2, 2, 3, 3, 4, 1), (16, 24, 32, 64, 88, 144, 240), 3_730_562, 200_709_360),
    "c": (184, (1, 2, 2, 3, 3, 3, 1), (8, 16, 24, 40, 64, 104, 176), 2_457_234, 99_536_432),
    "d": (152, (1, 1, 1, 2, 2, 3, 1), (8, 16, 24, 40, 64, 104, 176), 2_338_446, 51_580_656),
    "e": (106, (1, 1, 1, 2, 2, 2, 1), (8, 16, 24, 40, 56, 96, 160), 2_042_972, 24_356_848),
}
# Parameters of the blocks, in order; the sheet of the authors' file has them by kind of block.
BLOCKS = {
    "a": [1_448, 6_004, 10_710, 15_350, 31_290, 37_130, *[102_900] * 3, 126_004, *[208_572] * 3,
          262_492, *[587_952] * 4, 717_232],
    "b": [1_448, 6_004, 10_710, 14_182, 21_192, 24_328, *[66_960] * 2, 82_368, *[132_198] * 2,
          161_878, *[337_284] * 3, 406_596],
    "c": [1_176, 2_050, 5_220, 7_540, 13_014, 13_046, *[27_450] * 2, 37_098, *[73_104] * 2,
          88_544, *[181_194] * 2, 216_282],
    "d": [1_176, 2_050, 7_540, 13_046, 27_450, 37_098, 73_104, 88_544, *[181_194] * 2, 216_282],
    "e": [1_176, 2_050, 7_540, 13_046, 27_450, 35_162, 57_246, 70_766, 155_736, 183_512],
}
SIDES = {  # after the stem and each stage
    "a": [96, 96, 48, 24, 12, 12, 6, 6],
    "b": [94, 94, 47, 24, 12, 12, 6, 6],
    "c": [92, 92, 46, 23, 12, 12, 6, 6],
    "d": [76, 76, 38, 19, 10, 10, 5, 5],
    "e": [53, 53, 27, 14, 7, 7, 4, 4],
}
# fmt: on


@pytest.mark.parametrize("letter", LETTERS)
def test_tables_of_the_authors(letter):
    side, repeats, channels, *_ = TABLE[letter]
    twist, spec = TWISTS[f"tinynet_{letter}"], model_spec(f"tinynet_{letter}")
    assert (B0.repeats(twist.depth), B0.channels(twist.width)) == (repeats, channels)
    assert (spec.resolution, spec.stages) == (side, repeats)
    assert (spec.rows[0].out, spec.rows[-3].out) == (32, 1280)
    assert len(spec.rows) == 1 + sum(repeats) + 3


@pytest.mark.parametrize("letter", LETTERS)
def test_counts_at_the_networks_own_size(letter):
    counted = count(create_model(f"tinynet_{letter}"))
    assert counted.resolution == TABLE[letter][0]
    assert (counted.params, counted.macs) == TABLE[letter][3:]
    assert [row.params for row in counted.rows[1:-3]] == BLOCKS[letter]
    ends = [0, *(sum(TABLE[letter][1][: stage + 1]) for stage in range(7))]
    assert [counted.rows[row].output_shape[1] for row in ends] == SIDES[letter]


def test_counts_of_the_parts_of_a():
    rows = count(create_model("tinynet_a")).rows
    stem, head, pool, classifier = rows[0], rows[-3], rows[-2], rows[-1]
    assert (stem.params, head.params, pool.params) == (864 + 64, 409_600 + 2_560, 0)
    assert classifier.params == 1_281_000  # 20.7 % of A and 62.7 % of E
    assert [round(100 * 1_281_000 / TABLE[letter][3], 1) for letter in "ae"] == [20.7, 62.7]


def test_the_base_is_efficientnet_b0():
    spec = twisted(Twist())
    assert spec.rows == EFFICIENTNET_B0.rows
    assert (spec.resolution, macs_at(224)(spec)) == (224, 385_814_752)
    assert count(create_model("efficientnet_b0")).params == 5_288_548


def test_depths_as_the_authors_round_them():
    assert B0.repeats(0.85) == (1, 2, 2, 3, 3, 3, 1)
    assert B0.repeats(0.695) == (1, 1, 1, 2, 2, 3, 1)
    assert B0.repeats(0.6) == (1, 1, 1, 2, 2, 2, 1)
    assert B0.repeats(1.2) == (1, 2, 2, 4, 4, 5, 1)
    assert B0.repeats(1.1) == B0.repeats(1.0) == (1, 2, 2, 3, 3, 4, 1)
    assert B0.repeats(1.5) == (2, 3, 3, 4, 4, 6, 2)  # halves go to the even number


@pytest.mark.parametrize(
    ("channels", "rounded"),
    [(18, 24), (21.6, 24), (60.48, 64), (57.12, 56), (8.64, 8), (12.96, 16), (84, 88)],
)
def test_widths_as_the_authors_round_them(channels, rounded):
    assert make_divisible(channels) == rounded


def test_d_is_c_with_fewer_blocks():
    c, d = (model_spec(f"tinynet_{letter}") for letter in "cd")
    assert {row.out for row in c.rows[:-2]} == {row.out for row in d.rows[:-2]}
    assert TABLE["c"][3] - TABLE["d"][3] == 5_220 + 13_014 + 27_450 + 73_104 == 118_788


def test_from_a_to_e_everything_shrinks():
    assert all(
        TABLE[big][at] > TABLE[small][at]
        for big, small in zip("abcd", "bcde", strict=True)
        for at in (0, 3, 4)
    )


def test_conventions_of_the_authors_file():
    spec = model_spec("tinynet_c")
    assert (spec.squeeze, spec.gate, spec.squeeze_act) == ("input", "sigmoid", "swish")
    assert (spec.bn_eps, spec.bn_momentum, spec.padding) == (1e-5, 0.1, "symmetric")
    assert all(row.se and row.act == "swish" for row in spec.rows[1:-3])


def test_key_names_of_timm():
    state = export_weights(create_model("tinynet_e"), "timm")
    shapes = {
        "conv_stem.weight": (32, 3, 3, 3),
        "blocks.0.0.conv_dw.weight": (32, 1, 3, 3),
        "blocks.0.0.se.conv_reduce.weight": (8, 32, 1, 1),
        "blocks.0.0.conv_pw.weight": (8, 32, 1, 1),
        "blocks.4.1.conv_pwl.weight": (56, 336, 1, 1),
        "blocks.6.0.bn3.running_var": (160,),
        "conv_head.weight": (1280, 160, 1, 1),
        "bn2.bias": (1280,),
        "classifier.weight": (1000, 1280),
    }
    assert {key: tuple(state[key].shape) for key in shapes} == shapes


@pytest.mark.parametrize("factor", [0, -1.0, float("nan")])
@pytest.mark.parametrize("axis", ["resolution", "width", "depth"])
def test_factors_must_be_above_zero(axis, factor):
    with pytest.raises(ValueError, match=f"the {axis} of a twist must be above 0, got"):
        Twist(**{axis: factor})


@given(st.floats(0.3, 1.5), st.floats(0.2, 2), st.floats(0.2, 2))
def test_any_twist_is_a_network_with_the_strides_of_the_base(resolution, width, depth):
    spec = twisted(Twist(resolution, width, depth))
    strides = [row.stride for row in spec.map_rows if row.stride > 1]
    assert strides == [2, 2, 2, 2, 2]
    assert sum(spec.stages) == len(spec.rows) - 4
    assert spec.resolution == int(224 * resolution)


def test_other_bases_can_be_twisted():
    narrow = replace(
        B0, spec=replace(B0.spec, rows=(ConvRow(3, 16, "swish"), *B0.spec.rows[1:])), divisor=4
    )
    spec = twisted(Twist(width=0.5), narrow)
    assert spec.rows[0] == ConvRow(3, 16, "swish")
    assert narrow.channels(0.5) == (8, 12, 20, 40, 56, 96, 160)
