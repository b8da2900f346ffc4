"""Published counts, exact to the unit: params and MACs of every network, width and resolution.

Expected numbers are those of the papers' reference implementations (conv + linear MACs, 224 px
and 1000 classes unless said otherwise), not of this package.
"""

from dataclasses import replace

import pytest

from mnv3lib import count, create_model
from mnv3lib.measure import Count
from mnv3lib.models import Network, ladder, model_spec
from mnv3lib.models.mobilenet_v3 import MOBILENET_V3_LARGE, place_hard_swish
from mnv3lib.models.rows import NetworkSpec
from mnv3lib.ops import make_divisible

LARGE, SMALL = "mobilenet_v3_large", "mobilenet_v3_small"


def cost(name: str, resolution: int = 224, **options: object) -> tuple[int, int]:
    counted = count(create_model(name, **options), resolution)
    return counted.params, counted.macs


def spec_cost(spec: NetworkSpec) -> tuple[int, int]:
    counted = count(Network(spec))
    return counted.params, counted.macs


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("mobilenet_v1", 4_231_976, 568_740_352),
        ("mobilenet_v2", 3_504_872, 300_774_272),
        ("mnasnet_a1", 3_887_038, 311_579_072),
        ("efficientnet_b0", 5_288_548, 385_814_752),
        (LARGE, 5_483_032, 216_589_760),
        (SMALL, 2_542_856, 56_510_400),
        (f"{LARGE}_minimalistic", 3_924_288, 209_136_704),
        (f"{SMALL}_minimalistic", 2_044_736, 52_288_448),
    ],
)
def test_networks_at_width_one(name: str, params: int, macs: int) -> None:
    assert cost(name) == (params, macs)


@pytest.mark.parametrize(
    ("name", "width", "params", "macs"),
    [
        ("mobilenet_v1", 0.75, 2_585_560, 325_400_448),
        ("mobilenet_v1", 0.5, 1_331_592, 149_497_088),
        ("mobilenet_v1", 0.25, 470_072, 41_030_272),
        ("mobilenet_v2", 0.35, 1_677_128, 59_285_808),
        ("mobilenet_v2", 0.5, 1_968_680, 97_131_840),
        ("mobilenet_v2", 0.75, 2_636_424, 209_069_792),
        ("mobilenet_v2", 1.3, 5_386_792, 509_374_560),
        ("mobilenet_v2", 1.4, 6_108_776, 582_195_824),
        ("mnasnet_a1", 0.5, 2_082_006, 103_162_992),
        ("mnasnet_a1", 0.75, 2_912_278, 223_448_480),
        ("mnasnet_a1", 1.4, 6_105_992, 586_317_952),
        (LARGE, 0.35, 2_131_832, 39_472_336),
        (LARGE, 0.5, 2_689_520, 69_247_600),
        (LARGE, 0.75, 3_993_528, 154_560_624),
        (LARGE, 1.25, 7_551_976, 355_221_920),
        (SMALL, 0.35, 1_358_288, 12_815_840),
        (SMALL, 0.5, 1_592_704, 21_052_560),
        (SMALL, 0.75, 2_041_872, 43_399_344),
        (SMALL, 1.25, 3_205_384, 90_800_864),
    ],
)
def test_widths_of_the_papers(name: str, width: float, params: int, macs: int) -> None:
    assert cost(name, width_mult=width) == (params, macs)


@pytest.mark.parametrize(
    ("name", "width", "params", "macs"),
    [
        (LARGE, 0.35, 997_064, 35_278_408),
        (LARGE, 0.5, 1_734_576, 64_962_192),
        (LARGE, 0.75, 3_377_576, 140_033_816),
        (LARGE, 1.25, 8_164_744, 343_461_000),
        (SMALL, 0.35, 558_744, 11_238_936),
        (SMALL, 0.5, 917_264, 18_970_736),
        (SMALL, 0.75, 1_653_920, 39_115_576),
        (SMALL, 1.25, 3_644_912, 88_155_944),
    ],
)
def test_widths_of_torchvision(name: str, width: float, params: int, macs: int) -> None:
    assert cost(name, width_mult=width, width_rule="torchvision") == (params, macs)


@pytest.mark.parametrize(
    ("name", "width", "params", "macs"),
    [
        (LARGE, 0.35, 1_019_448, 38_360_784),
        (LARGE, 0.5, 1_741_680, 68_300_400),
        (LARGE, 0.75, 3_442_808, 154_010_224),
        (LARGE, 1.25, 8_256_296, 355_925_920),
        (SMALL, 0.35, 560_824, 12_019_040),
        (SMALL, 0.5, 932_736, 20_393_104),
        (SMALL, 0.75, 1_675_024, 43_032_752),
        (SMALL, 1.25, 3_645_960, 91_241_184),
    ],
)
def test_widths_with_the_head_scaled_too(name: str, width: float, params: int, macs: int) -> None:
    head = make_divisible(width * (1280 if name == LARGE else 1024))
    assert cost(name, width_mult=width, head_channels=head) == (params, macs)


@pytest.mark.parametrize(
    ("width", "params"), [(1, 2_946_568), (0.75, 2_408_720), (0.5, 1_922_688), (0.35, 1_665_744)]
)
def test_small_of_the_papers_first_version_had_a_head_of_1280(width: float, params: int) -> None:
    assert cost(SMALL, width_mult=width, head_channels=1280)[0] == params


@pytest.mark.parametrize(
    ("name", "resolution", "macs"),
    [
        ("mobilenet_v1", 128, 186_400_768),
        ("mobilenet_v1", 160, 290_675_200),
        ("mobilenet_v1", 192, 418_121_728),
        ("mobilenet_v2", 96, 56_289_152),
        ("mobilenet_v2", 128, 99_074_048),
        ("mobilenet_v2", 160, 154_083_200),
        ("mobilenet_v2", 192, 221_316_608),
        (LARGE, 96, 43_060_160),
        (LARGE, 128, 73_427_840),
        (LARGE, 160, 112_472_000),
        (LARGE, 192, 160_192_640),
        (LARGE, 256, 281_663_360),
        (SMALL, 96, 12_071_360),
        (SMALL, 128, 19_848_192),
        (SMALL, 160, 29_846_976),
        (SMALL, 192, 42_067_712),
        (SMALL, 256, 73_175_040),
    ],
)
def test_resolutions(name: str, resolution: int, macs: int) -> None:
    assert cost(name, resolution)[1] == macs


# (params, MACs) of every row, from the stem to the classifier; pooling costs nothing here.
LARGE_ROWS = [
    (464, 5_419_008),
    (464, 5_017_600),
    (3_440, 19_468_288),
    (4_440, 12_870_144),
    (10_328, 9_091_584),
    (20_992, 9_886_080),
    (20_992, 9_886_080),
    (32_080, 11_712_960),
    (34_760, 6_624_800),
    (31_992, 6_094_816),
    (31_992, 6_094_816),
    (214_424, 19_025_280),
    (386_120, 30_914_688),
    (429_224, 21_069_216),
    (797_360, 16_689_600),
    (797_360, 16_689_600),
    (155_520, 7_526_400),
    (0, 0),
    (1_230_080, 1_228_800),
    (1_281_000, 1_280_000),
]
SMALL_ROWS = [
    (464, 5_419_008),
    (744, 1_254_656),
    (3_864, 5_475_456),
    (5_416, 3_932_544),
    (13_736, 3_033_984),
    (57_264, 4_969_920),
    (57_264, 4_969_920),
    (21_968, 2_665_440),
    (29_800, 3_426_624),
    (91_848, 4_458_528),
    (294_096, 6_290_496),
    (294_096, 6_290_496),
    (56_448, 2_709_504),
    (0, 0),
    (590_848, 589_824),
    (1_025_000, 1_024_000),
]


@pytest.mark.parametrize(("name", "rows"), [(LARGE, LARGE_ROWS), (SMALL, SMALL_ROWS)])
def test_rows_of_mobilenet_v3(name: str, rows: list) -> None:
    assert [(row.params, row.macs) for row in count(create_model(name)).rows] == rows


# Stem, stages, last convolution, classifier.
V2_STAGES = [
    (928, 10_838_016),
    (896, 10_035_200),
    (13_968, 54_942_720),
    (39_696, 37_443_840),
    (183_872, 38_497_536),
    (303_168, 58_103_808),
    (795_264, 46_560_192),
    (473_920, 23_002_560),
    (412_160, 20_070_400),
    (1_281_000, 1_280_000),
]
A1_STAGES = [
    (928, 10_838_016),
    (896, 10_035_200),
    (13_968, 54_942_720),
    (39_098, 28_850_592),
    (281_680, 59_411_520),
    (316_144, 49_655_808),
    (1_067_244, 53_492_256),
    (473_920, 23_002_560),
    (412_160, 20_070_400),
    (1_281_000, 1_280_000),
]
B0_STAGES = [
    (928, 10_838_016),
    (1_448, 10_035_712),
    (16_714, 54_945_216),
    (46_640, 37_939_584),
    (242_930, 43_555_200),
    (543_148, 86_102_400),
    (2_026_348, 91_528_224),
    (717_232, 29_520_000),
    (412_160, 20_070_400),
    (1_281_000, 1_280_000),
]


@pytest.mark.parametrize(
    ("name", "stages"),
    [("mobilenet_v2", V2_STAGES), ("mnasnet_a1", A1_STAGES), ("efficientnet_b0", B0_STAGES)],
)
def test_stages_of_the_networks_with_stage_tables(name: str, stages: list) -> None:
    rows = iter(count(create_model(name)).rows)
    lengths = [1, *model_spec(name).stages, 1, 2]  # stem, stages, last conv, pool + classifier
    grouped = [[next(rows) for _ in range(length)] for length in lengths]
    sums = [(sum(r.params for r in group), sum(r.macs for r in group)) for group in grouped]
    assert sums == stages


def test_ladder_from_mnasnet_a1_to_mobilenet_v3_large() -> None:
    assert [spec_cost(spec) for _, spec in ladder()] == [
        (3_887_038, 311_579_072),
        (3_730_094, 260_090_656),
        (4_229_614, 225_772_896),
        (4_228_718, 215_336_288),
        (5_483_032, 216_589_760),
    ]


@pytest.mark.parametrize(
    ("name", "head", "params", "macs"),
    [(LARGE, 640, 2_569_352, 182_302_720), (SMALL, 512, 1_099_672, 43_763_584)],
)
def test_dagger_tail_as_torchvision_classifier(
    name: str, head: int, params: int, macs: int
) -> None:
    assert cost(name, tail="dagger", head_channels=head) == (params, macs)


@pytest.mark.parametrize(
    ("name", "tail", "expansions", "out"),
    [
        (LARGE, "dagger", [672, 480, 480], 80),
        (LARGE, "rf2", [336, 480, 480], 80),
        (SMALL, "dagger", [288, 288, 288], 48),
        (SMALL, "rf2", [144, 288, 288], 48),
    ],
)
def test_tails(name: str, tail: str, expansions: list, out: int) -> None:
    rows = model_spec(name, tail=tail).rows[-7:-4]
    assert [row.exp for row in rows] == expansions
    assert {row.out for row in rows} == {out}
    assert model_spec(name, tail=tail).rows[-4].out == 6 * out


@pytest.mark.parametrize(("name", "macs"), [(LARGE, 354_816_800), (SMALL, 106_509_216)])
def test_output_stride_16(name: str, macs: int) -> None:
    assert cost(name, output_stride=16)[1] == macs


def test_hard_swish_placements_move_no_params_and_no_macs() -> None:
    """Elements under hard swish in Large at 224 px; the head's 1280 come on top of the maps'."""
    elements = {}
    for first in (None, 16, 80, 112, 1000):
        rows = place_hard_swish(MOBILENET_V3_LARGE.rows, first)
        counted = count(Network(replace(MOBILENET_V3_LARGE, rows=rows)))
        assert (counted.params, counted.macs) == (5_483_032, 216_589_760)
        elements[first] = counted.operators.get("hard_swish", 1280) - 1280
    assert elements == {None: 0, 16: 3_824_352, 80: 1_509_984, 112: 1_052_128, 1000: 247_744}


def test_place_hard_swish_at_80_is_the_paper() -> None:
    assert place_hard_swish(MOBILENET_V3_LARGE.rows, 80) == MOBILENET_V3_LARGE.rows


def test_batch_norm_conventions_of_large() -> None:
    network = create_model(LARGE)
    assert count(network, batch_norm="folded").params == 5_470_832
    with_norm: Count = count(network, batch_norm="counted")
    # fvcore's own total adds two operations an element for batch norm, and the pooling.
    norm, pool = with_norm.operators["batch_norm"], with_norm.operators["pool"]
    assert with_norm.macs + norm + pool == 226_033_824


def test_kinds_of_operators_in_large() -> None:
    operators = count(create_model(LARGE)).operators
    assert operators["depthwise"] == 18_392_640
    assert operators["linear"] == 2_508_800


def test_squeeze_excite_of_the_ladder() -> None:
    """The last step of the ladder adds 1,254,314 params and 1,253,472 MACs."""
    (before, macs_before), (after, macs_after) = [spec_cost(s) for _, s in ladder()][-2:]
    assert (after - before, macs_after - macs_before) == (1_254_314, 1_253_472)


def test_rows_edited_as_other_libraries_scale_them() -> None:
    """keras keeps the stem at 16; d-li14's last convolution is as wide as the last expansion."""
    differences = {}
    for width in (0.35, 0.5, 1.25):
        spec = model_spec(LARGE, width_mult=width)
        stem, first, *rest = spec.rows
        kept = (replace(stem, out=16), replace(first, exp=16), *rest)
        differences[width] = spec_cost(replace(spec, rows=kept))[0] - spec_cost(spec)[0]
    assert differences == {0.35: 384, 0.5: 384, 1.25: -512}
    spec = model_spec(SMALL, width_mult=0.35)
    last_conv = replace(spec.rows[-4], out=spec.rows[-5].exp)
    narrow = replace(spec, rows=(*spec.rows[:-4], last_conv, *spec.rows[-3:]))
    assert spec_cost(narrow)[0] == 1_349_824
