"""The registry, the builder and the tables: what is asked for is what gets built."""

from dataclasses import replace
from functools import partial
from itertools import accumulate
from operator import mul

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import mnv3lib
from all_networks import EVERY, SCALABLE, built
from mnv3lib import create_model, deploy, list_models
from mnv3lib.models import Network, NetworkSpec, model_spec
from mnv3lib.models.initial_weights import initialise
from mnv3lib.models.mobilenet_v3 import MOBILENET_V3_LARGE, MOBILENET_V3_SMALL
from mnv3lib.models.rows import HS, BneckRow, ConvRow, DenseRow, expansion_ratios
from mnv3lib.models.scaling import scale_rows
from mnv3lib.models.stages import StageRow, unroll
from mnv3lib.ops import InvertedResidual


def images(side: int = 32, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(0))


def test_names() -> None:
    assert sorted(EVERY) == EVERY
    assert list_models("mobilenet_*") == [
        "mobilenet_v1",
        "mobilenet_v2",
        "mobilenet_v3_large",
        "mobilenet_v3_large_minimalistic",
        "mobilenet_v3_small",
        "mobilenet_v3_small_minimalistic",
    ]
    assert {"efficientnet_b0", "mnasnet_a1"} < set(EVERY)
    assert list_models("resnet*") == []


@pytest.mark.parametrize("name", EVERY)
def test_every_network_maps_images_to_logits(name: str) -> None:
    network = built(name, num_classes=7).eval()
    assert network(images()).shape == (2, 7)
    assert len(network.rows) == len(network.spec.rows)


@pytest.mark.parametrize("name", EVERY)
def test_every_network_trains_every_parameter(name: str) -> None:
    network = built(name, num_classes=3)
    network(images()).square().sum().backward()
    without = [key for key, p in network.named_parameters() if p.grad is None]
    assert without == []


@pytest.mark.parametrize("name", EVERY)
def test_features_by_stride(name: str) -> None:
    network = built(name, 64).eval()
    maps = network.features(images(64))
    strides = {f"C{s.bit_length() - 1}": s for s in total_strides(network.spec) if s > 1}
    assert list(maps) == list(strides)
    for level, stride in strides.items():
        assert maps[level].shape == (2, network.feature_channels[level], *(2 * [64 // stride]))


def total_strides(spec: NetworkSpec) -> list[int]:
    """Products of the strides down to each row before pooling."""
    return list(accumulate((getattr(row, "stride", 1) for row in spec.map_rows), mul))


@pytest.mark.parametrize("output_stride", [8, 16])
def test_output_stride_keeps_the_map_and_dilates_the_blocks_after(output_stride: int) -> None:
    network = create_model("mobilenet_v3_large", output_stride=output_stride).eval()
    maps = network.features(images(64, batch=1))
    assert maps["C5"].shape[-1] == 64 // output_stride
    dilations = [
        row.depthwise.conv.dilation[0] for row in network.rows if isinstance(row, InvertedResidual)
    ]
    # The block that gives up its stride is not dilated yet; those after it are.
    by_stride = {16: [1] * 13 + [2, 2], 8: [1] * 7 + [2] * 6 + [4, 4]}
    assert dilations == by_stride[output_stride]


def test_rows_of_large_mirror_table_1() -> None:
    assert len(MOBILENET_V3_LARGE.rows) == 20
    assert MOBILENET_V3_LARGE.rows[0] == ConvRow(3, 16, HS, 2)
    assert MOBILENET_V3_LARGE.rows[4] == BneckRow(5, 72, 40, True, "relu", 2)
    assert MOBILENET_V3_LARGE.stages == (1, 2, 3, 4, 2, 3)
    assert MOBILENET_V3_SMALL.stages == (1, 2, 3, 2, 3)


def test_expansion_ratios_of_the_paper() -> None:
    large = [1, 4, 3, 3, 3, 3, 6, 2.5, 184 / 80, 184 / 80, 6, 6, 6, 6, 6]
    small = [1, 72 / 16, 88 / 24, 4, 6, 6, 3, 3, 6, 6, 6]
    assert expansion_ratios(MOBILENET_V3_LARGE.rows) == large
    assert expansion_ratios(MOBILENET_V3_SMALL.rows) == small


@pytest.mark.parametrize("name", EVERY)
def test_width_one_is_the_table(name: str) -> None:
    rows = model_spec(name).rows
    for rule in ("paper", "torchvision"):
        assert scale_rows(rows, 1.0, rule) == rows


RULES = [(name, model_spec(name).width_rule) for name in SCALABLE]
RULES += [(name, "torchvision") for name in list_models("mobilenet_v3_*")]


@given(st.floats(0.05, 3), st.sampled_from(RULES))
def test_scaled_tables_keep_multiples_of_eight(width: float, ruled: tuple[str, str]) -> None:
    name, rule = ruled
    for row in scale_rows(model_spec(name).rows[:-1], width, rule):
        for channels in (getattr(row, "out", 8), getattr(row, "exp", 8)):
            assert channels % 8 == 0
            assert channels >= 8


@given(st.floats(0.05, 3), st.sampled_from(SCALABLE))
def test_wider_is_never_narrower_in_any_row(width: float, name: str) -> None:
    spec = model_spec(name)
    narrow, wide = (scale_rows(spec.rows, m, spec.width_rule) for m in (width, width * 1.3))
    for row, wider_row in zip(narrow, wide, strict=True):
        assert getattr(wider_row, "out", 0) >= getattr(row, "out", 0)


def test_unrolled_stages_use_the_stride_once() -> None:
    rows = list(unroll(16, [StageRow(t=6, c=24, n=3, s=2, act="relu6", kernel=5, se=True)]))
    assert [row.stride for row in rows] == [2, 1, 1]
    assert [row.exp for row in rows] == [96, 144, 144]
    assert all(row.se and row.kernel == 5 for row in rows)


@pytest.mark.parametrize("name", EVERY)
def test_deploy_folds_every_norm_and_keeps_the_outputs(name: str) -> None:
    network = built(name, 64, generator=torch.Generator().manual_seed(1)).double()
    network(images(64, batch=4).double())  # moves the running statistics away from their start
    network.eval()
    deployed = deploy(network)
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    assert not any(isinstance(module, norms) for module in deployed.modules())
    assert any(isinstance(module, norms) for module in network.modules())
    x = images(64).double()
    torch.testing.assert_close(deployed(x), network(x))
    assert deploy(deployed).state_dict().keys() == deployed.state_dict().keys()


@pytest.mark.parametrize("name", EVERY)
def test_the_same_generator_seed_gives_the_same_weights(name: str) -> None:
    """Also of whatever memory held before: every parameter and buffer is set."""
    first = built(name, generator=torch.Generator().manual_seed(5))
    rule = partial(initialise, rule=first.spec.initial)
    second = built(name)
    for tensor in second.state_dict().values():
        tensor.fill_(77)
    rule(second, torch.Generator().manual_seed(5))
    for (key, a), b in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b), key


def test_building_with_a_generator_leaves_the_global_one_alone() -> None:
    before = torch.get_rng_state()
    create_model("mobilenet_v3_small", generator=torch.Generator().manual_seed(5))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", EVERY)
def test_fresh_networks_keep_the_signal_in_range(name: str) -> None:
    """Logits neither vanish nor explode with the initial weights, in training mode."""
    network = built(name, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        spread = network(images(64, batch=8)).std().item()
    assert 1e-3 < spread < 10


def test_conventions_reach_the_layers() -> None:
    network = create_model(
        "mobilenet_v2", bn_eps=1e-5, bn_momentum=0.1, dropout=0.5, padding="same"
    )
    norm = network.rows[0].norm
    assert (norm.eps, norm.momentum) == (1e-5, 0.1)
    assert network.rows[-1].dropout.p == 0.5


def test_unknown_name_gets_the_nearest_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown model 'mobilenetv3_large'.*mobilenet_v3_large"):
        create_model("mobilenetv3_large")


@pytest.mark.parametrize("width", [0, -1.0, float("nan")])
def test_width_must_be_above_zero(width: float) -> None:
    with pytest.raises(ValueError, match="width_mult must be above 0"):
        create_model("mobilenet_v3_large", width_mult=width)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mobilenet_v2", {"tail": "rf2"}, "mobilenet_v2 takes no option tail; it takes"),
        ("mobilenet_v3_large", {"tail": "short"}, "unknown tail 'short'"),
        ("mobilenet_v3_large", {"width_rule": "keras"}, "unknown width rule 'keras'"),
        ("mobilenet_v3_large", {"output_stride": 4}, "output_stride must be 8, 16 or 32, got 4"),
        ("mobilenet_v3_large", {"padding": "valid"}, "unknown padding 'valid'"),
        ("mobilenet_v3_large", {"num_classes": 0}, "num_classes must be at least 1, got 0"),
        ("mobilenet_v3_large", {"widht_mult": 1}, "takes no option widht_mult"),
    ],
)
def test_wrong_options_are_named(name: str, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create_model(name, **options)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 1, 64, 64), r"expected RGB images of shape \(N, 3, H, W\), got \(1, 1, 64, 64\)"),
        ((3, 64, 64), r"add the batch axis"),
        ((1, 3, 31, 64), "at least 32 pixels on both sides, got 31 x 64"),
    ],
)
@pytest.mark.parametrize("method", ["forward", "features"])
def test_wrong_images_are_named(shape: tuple, message: str, method: str) -> None:
    network = create_model("mobilenet_v3_small").eval()
    with pytest.raises(ValueError, match=message):
        getattr(network, method)(torch.zeros(shape))


def test_v3_variants_share_their_widths() -> None:
    for size in ("large", "small"):
        full, plain = (model_spec(f"mobilenet_v3_{size}{s}").rows for s in ("", "_minimalistic"))
        assert [getattr(r, "out", 0) for r in full] == [getattr(r, "out", 0) for r in plain]
        blocks = [row for row in plain if isinstance(row, BneckRow)]
        assert {(row.kernel, row.se, row.act) for row in blocks} == {(3, False, "relu")}


def test_head_channels_sets_the_feature_layer() -> None:
    rows = model_spec("mobilenet_v3_small", width_mult=0.5, head_channels=1280).rows
    assert rows[-2] == DenseRow(1280, HS)


def test_network_from_a_changed_table() -> None:
    """The table is data: drop a block, and the network follows."""
    rows = MOBILENET_V3_LARGE.rows
    shorter = replace(MOBILENET_V3_LARGE, rows=(*rows[:15], *rows[16:]), stages=())
    assert Network(shorter).eval()(images()).shape == (2, 1000)


def test_public_names_exist() -> None:
    for name in mnv3lib.__all__:
        assert hasattr(mnv3lib, name)


def test_removed_strides_keep_the_table_and_double_the_maps() -> None:
    options = {"width_mult": 0.35, "num_classes": 5}
    plain = create_model("mobilenet_v3_small", **options).eval()
    freed = create_model("mobilenet_v3_small", removed_strides=1, **options).eval()
    assert [r.stride for r in freed.spec.rows[:3]] == [1, 2, 2]
    assert freed.features(images(32))["C4"].shape == plain.features(images(64))["C5"].shape
    assert sum(p.numel() for p in freed.parameters()) == sum(p.numel() for p in plain.parameters())


@pytest.mark.parametrize("count", [-1, 6])
def test_no_more_strides_are_removed_than_there_are(count: int) -> None:
    with pytest.raises(ValueError, match=f"removed_strides must be 0 to 5 .* got {count}"):
        create_model("mobilenet_v3_small", removed_strides=count)


def test_options_of_the_ablations() -> None:
    relu = model_spec("mobilenet_v3_small", hard_swish_from="nowhere")
    assert {getattr(row, "act", None) for row in relu.rows} == {"relu", None}
    assert model_spec("mobilenet_v3_small", hard_swish_from=40) == model_spec("mobilenet_v3_small")
    smooth = model_spec("mobilenet_v3_small", hard_swish=False)
    acts = [getattr(row, "act", None) for row in smooth.rows]
    assert [act == "swish" for act in acts] == [
        getattr(row, "act", None) == "hard_swish" for row in MOBILENET_V3_SMALL.rows
    ]
    assert {*acts} == {"swish", "relu", None}
    plain = model_spec("mobilenet_v3_small", squeeze_excite=False)
    assert not any(row.se for row in plain.rows if isinstance(row, BneckRow))
    assert any(row.se for row in MOBILENET_V3_SMALL.rows if isinstance(row, BneckRow))


def test_drop_path_grows_with_depth_and_sits_on_shortcuts_only() -> None:
    network = create_model("mobilenet_v3_large", width_mult=0.35, drop_path=0.3)
    blocks = [row for row in network.rows if isinstance(row, InvertedResidual)]
    for index, block in enumerate(blocks):
        rate = 0.3 * index / len(blocks)
        assert hasattr(block, "drop_path") == block.use_residual
        assert not block.use_residual or block.drop_path.rate == rate
    plain = create_model("mobilenet_v3_large", width_mult=0.35)
    plain.load_state_dict(network.state_dict())
    x = images()
    torch.testing.assert_close(network.eval()(x), plain.eval()(x), rtol=0, atol=0)


def test_removed_strides_allow_smaller_images() -> None:
    network = create_model("mobilenet_v3_small", width_mult=0.35, removed_strides=1).eval()
    assert network.min_resolution == 16
    assert network(images(16)).shape == (2, 1000)
    assert mnv3lib.count(network, 16).resolution == 16
    with pytest.raises(ValueError, match="at least 16 pixels"):
        network(images(15))
