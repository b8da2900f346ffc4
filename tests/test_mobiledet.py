"""The four networks of MobileDets and their detectors: every number of the released code."""

import copy
from collections import Counter
from functools import cache

import pytest
import torch
from torch import nn

from mnv3lib import count, create_model, deploy
from mnv3lib.heads.ssdlite import create_ssdlite
from mnv3lib.ledger.meta_counts import count_on_meta
from mnv3lib.measure.parameters import parameter_count
from mnv3lib.models import model_spec
from mnv3lib.models.decomposed_rows import FusedRow, TuckerRow
from mnv3lib.models.layer_kinds import (
    Fused,
    Inverted,
    LayerBlock,
    LayerPlace,
    Tucker,
    unroll_blocks,
)
from mnv3lib.models.mobiledet import BLOCKS, MODELS
from mnv3lib.models.rows import BneckRow, PlainBneckRow, with_input
from mnv3lib.models.tables import from_table, to_table

PROCESSORS = ("cpu", "edgetpu", "dsp", "gpu")
COCO = 90  # label numbers; the background comes on top

# Parameters of the stem and of the stages C1 to C5; of the network without classifier; its
# multiply-adds at 320 and at 224 pixels; parameters at half and at three quarters of the width.
NETWORKS = {
    "cpu": (
        (464, 600, 1_768, 71_040, 1_532_192, 1_400_376),
        (3_006_440, 408_006_272, 200_815_712),
        (930_224, 1_828_904),
    ),
    "edgetpu": (
        (928, 1_744, 62_336, 249_856, 1_145_728, 1_316_448),
        (2_777_040, 1_473_795_200, 722_159_648),
        (830_016, 1_663_208),
    ),
    "dsp": (
        (928, 1_168, 78_144, 455_936, 3_183_904, 2_119_872),
        (5_839_952, 2_763_353_600, 1_354_043_264),
        (1_561_952, 3_315_328),
    ),
    "gpu": (
        (928, 1_024, 26_400, 912_896, 7_583_744, 3_164_928),
        (11_689_920, 5_009_920_000, 2_454_860_800),
        (2_934_432, 6_593_176),
    ),
}
# Parameters of extra maps, box heads and class heads; all that is learned; with running
# statistics, as the released code counts; multiply-adds at 320 pixels.
DETECTORS = {
    "cpu": ((366_144, 47_148, 745_323), 4_165_055, 4_205_423, 444_227_776),
    "edgetpu": ((427_584, 56_100, 885_819), 4_146_543, 4_196_095, 1_533_181_504),
    "dsp": ((390_720, 52_164, 819_243), 7_102_079, 7_159_343, 2_816_403_904),
    "gpu": ((427_584, 56_836, 894_907), 13_069_247, 13_109_151, 5_073_184_704),
}
CHANNELS = {
    "cpu": (8, 16, 32, 72, 144),
    "edgetpu": (16, 16, 40, 96, 384),
    "dsp": (24, 32, 64, 144, 240),
    "gpu": (16, 32, 64, 128, 384),
}


@cache
def network_of(processor: str) -> nn.Module:
    return create_model(f"mobiledet_{processor}").eval()


@cache
def detector_of(processor: str) -> nn.Module:
    return create_ssdlite(f"mobiledet_{processor}", num_classes=COCO).eval()


def macs_at(network: nn.Module, height: int, width: int | None = None) -> int:
    """Multiply-adds of convolutions, followed without arithmetic."""
    ghost = copy.deepcopy(network).to("meta")
    return count_on_meta(ghost, torch.empty(1, 3, height, width or height, device="meta")).macs


def params(modules: nn.Sequential) -> int:
    return sum(p.numel() for p in modules.parameters())


def body(network: nn.Module) -> nn.Sequential:
    """All rows but pooling and classifier."""
    return network.rows[:-2]


# --- networks --------------------------------------------------------------------------------


@pytest.mark.parametrize("processor", PROCESSORS)
def test_parameters_stage_by_stage(processor):
    stages, (total, *_), _ = NETWORKS[processor]
    network = network_of(processor)
    lengths = [len(block.layers) for block in BLOCKS[processor]]
    ends = [1, *(1 + sum(lengths[:n]) for n in (1, 2, 3, 5, 7))]  # C4 and C5 are two blocks each
    starts = [0, *ends[:-1]]
    found = [params(network.rows[a:b]) for a, b in zip(starts, ends, strict=True)]
    assert tuple(found) == stages
    assert params(body(network)) == sum(stages) == total


@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize(("resolution", "column"), [(320, 1), (224, 2)])
def test_multiply_adds(processor, resolution, column):
    assert macs_at(network_of(processor), resolution) == NETWORKS[processor][1][column]


def test_multiply_adds_as_the_package_counts_them():
    counted = count(network_of("cpu"), 224)
    assert counted.macs - counted.rows[-1].macs == NETWORKS["cpu"][1][2]


@pytest.mark.parametrize("processor", PROCESSORS)
def test_parameters_at_other_widths(processor):
    for width_mult, expected in zip((0.5, 0.75), NETWORKS[processor][2], strict=True):
        network = create_model(f"mobiledet_{processor}", width_mult=width_mult)
        assert params(body(network)) == expected


@pytest.mark.parametrize("processor", PROCESSORS)
def test_maps_at_320_pixels(processor):
    network = copy.deepcopy(network_of(processor)).to("meta")
    shapes = [
        tuple(y.shape[1:])
        for y in network.features(torch.zeros(1, 3, 320, 320).to("meta")).values()
    ]
    sides = (160, 80, 40, 20, 10)
    assert shapes == [(c, s, s) for c, s in zip(CHANNELS[processor], sides, strict=True)]


def kinds(processor: str) -> Counter:
    layers = [layer for block in BLOCKS[processor] for layer in block.layers]
    unexpanded = sum(layer == Inverted(3, 1) for layer in layers)
    counted = Counter(type(layer).__name__ for layer in layers)
    counted["Inverted"] -= unexpanded
    return +Counter({**counted, "Unexpanded": unexpanded})


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        ("cpu", {"Unexpanded": 1, "Inverted": 18}),
        ("edgetpu", {"Tucker": 1, "Fused": 10, "Inverted": 11}),
        ("dsp", {"Unexpanded": 1, "Inverted": 11, "Fused": 8, "Tucker": 2}),
        ("gpu", {"Tucker": 4, "Fused": 17, "Inverted": 1}),
    ],
)
def test_what_layers_each_network_is_made_of(processor, expected):
    assert kinds(processor) == expected


@pytest.mark.parametrize(
    ("processor", "expected"), [("cpu", [72]), ("edgetpu", []), ("dsp", []), ("gpu", [128])]
)
def test_layers_of_equal_shapes_without_shortcut(processor, expected):
    network = network_of(processor)
    rows = list(zip(with_input(network.spec.rows), network.rows, strict=True))[1:-2]
    found = [
        row.out
        for (row, c_in), module in rows
        if row.stride == 1 and row.out == c_in and not module.use_residual
    ]
    assert found == expected


def test_the_dsps_network_adds_the_input_of_its_fused_layer_at_stride_32():
    """Code of others leaves that one shortcut out; the one that was trained has it."""
    (index,) = [
        at
        for at, row in enumerate(MODELS["mobiledet_dsp"].rows)
        if isinstance(row, FusedRow) and row.out == 160
    ]
    assert network_of("dsp").rows[index].use_residual


def test_squeeze_and_excite_of_the_cpus_network():
    block = network_of("cpu").rows[3]  # 16 channels, expanded to 128
    assert isinstance(block.se.gate, nn.Sigmoid)
    assert type(block.se.act).__name__ == "HardSwish"
    assert block.se.reduce.out_channels == 32


@pytest.mark.parametrize("processor", PROCESSORS)
def test_tables_go_through_data(processor):
    spec = MODELS[f"mobiledet_{processor}"]
    assert from_table(to_table(spec)) == spec


def test_conventions():
    spec = model_spec("mobiledet_dsp")
    assert (spec.bn_eps, spec.bn_momentum, spec.resolution) == (0.01, 0.01, 320)
    weights = network_of("dsp").rows[2].fused.conv.weight  # 24 channels, 3 x 3
    wanted = (2 / (24 * 9)) ** 0.5
    assert weights.std().item() == pytest.approx(wanted, rel=0.02)
    assert weights.abs().max().item() <= 2 * wanted / 0.87962566


def test_deployed_outputs_stay():
    network = create_model("mobiledet_edgetpu", width_mult=0.25, num_classes=5).eval()
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(deploy(network)(x), network(x), rtol=1e-4, atol=1e-5)


# --- layers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [Inverted(5, 4), Inverted(3, 1), Fused(3, 8), Tucker(0.25, 0.75)])
@pytest.mark.parametrize(("se", "stride"), [(True, 2), (False, 1)])
def test_costs_of_layers_are_those_that_are_counted(layer, se, stride):
    base = MODELS["mobiledet_cpu"]
    place = LayerPlace("hard_swish", se, stride, residual=False)
    stem = base.rows[0]
    spec = base.with_classes(2)
    spec = type(spec)(**{**vars(spec), "rows": (stem, layer.row(16, 24, place), *spec.rows[-2:])})
    counted = count(create_model(spec), 70).rows[1].operators
    macs = layer.macs(16, 24, 35, place)
    found = tuple(counted.get(name, 0) for name in ("pointwise", "depthwise", "conv"))
    assert tuple(macs) == found
    assert macs.total == sum(found)


def test_rows_of_layers():
    place = LayerPlace("relu6", False, 2, residual=False)
    assert Inverted(5, 4).row(8, 16, place) == PlainBneckRow(5, 32, 16, False, "relu6", 2)
    assert Fused(3, 8).row(8, 16, place) == FusedRow(3, 8, 16, "relu6", 2, False)
    assert Tucker(0.25, 0.75).row(8, 16, place) == TuckerRow(3, 0.25, 0.75, 16, "relu6", 2, False)
    added = Inverted(3, 4).row(8, 8, LayerPlace("relu6"))
    assert type(added) is BneckRow


def test_left_out_layers_leave_no_row():
    block = LayerBlock(8, 2, (Fused(3, 4), None, Tucker(0.25, 0.25)))
    first, second = unroll_blocks(16, [block], act="relu6", se=False)
    assert (first.stride, first.residual) == (2, False)
    assert (second.stride, second.residual) == (1, True)


# --- detectors -------------------------------------------------------------------------------


@pytest.mark.parametrize("processor", PROCESSORS)
def test_detectors_to_the_unit(processor):
    parts, learned, with_statistics, macs = DETECTORS[processor]
    detector = detector_of(processor)
    found = [params(p) for p in (detector.extras, detector.box_heads, detector.class_heads)]
    assert tuple(found) == parts
    assert parameter_count(detector) == learned
    assert parameter_count(detector, "with_statistics") == with_statistics
    assert macs_at(detector, 320) == macs
    assert len(detector.anchors) == 2034


@pytest.mark.parametrize(
    ("processor", "printed"), [("cpu", 4.21), ("edgetpu", 4.20), ("dsp", 7.16), ("gpu", 13.11)]
)
def test_published_sizes_count_running_statistics(processor, printed):
    _, learned, with_statistics, _ = DETECTORS[processor]
    assert round(with_statistics / 1e6, 2) == printed
    assert round(learned / 1e6, 2) != printed


@pytest.mark.parametrize(
    ("processor", "c4", "c5"),
    [("cpu", 72, 144), ("edgetpu", 96, 384), ("dsp", 144, 240), ("gpu", 128, 384)],
)
def test_maps_of_detectors_for_an_oblong_image(processor, c4, c5):
    """The released code's own test: 640 x 320 pixels."""
    detector = copy.deepcopy(detector_of(processor)).to("meta")
    shapes = [tuple(m.shape[1:]) for m in detector.maps(torch.zeros(1, 3, 640, 320).to("meta"))]
    assert shapes == [
        (c4, 40, 20), (c5, 20, 10), (512, 10, 5), (256, 5, 3), (256, 3, 2), (128, 2, 1)
    ]  # fmt: skip


def test_outputs_of_heads():
    detector = detector_of("cpu")
    boxes = [head.predict.out_channels for head in detector.box_heads]
    classes = [head.predict.out_channels for head in detector.class_heads]
    assert boxes == [12, 24, 24, 24, 24, 24]
    assert classes == [273, 546, 546, 546, 546, 546]


def test_a_detector_leaves_the_networks_own_batch_norm():
    detector = create_ssdlite("mobiledet_cpu", num_classes=3, width_mult=0.25)
    own, head = detector.rows[1].project.norm, detector.box_heads[0].depthwise.norm
    assert (own.eps, own.momentum) == (0.01, 0.01)
    assert (head.eps, head.momentum) == (1e-3, 0.03)
    asked = create_ssdlite("mobiledet_cpu", num_classes=3, width_mult=0.25, bn_momentum=0.1)
    assert asked.rows[1].project.norm.momentum == 0.1
    assert asked.rows[1].project.norm.eps == 0.01
    assert asked.box_heads[0].depthwise.norm.momentum == 0.1


def test_counting_conventions_by_hand():
    unit = nn.Sequential(nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8))
    assert parameter_count(unit, "without_norm") == 24
    assert parameter_count(unit) == 24 + 2 * 8
    assert parameter_count(unit, "with_statistics") == 24 + 4 * 8
    with pytest.raises(ValueError, match="unknown convention 'all'"):
        parameter_count(unit, "all")
