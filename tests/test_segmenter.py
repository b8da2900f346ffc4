"""Segmentation heads: published counts, torchvision's outputs, sizes, and the paper's details."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from golden import golden_image, golden_state
from mnv3lib import count, create_model, deploy, export_weights, load_weights
from mnv3lib.heads.aspp import LRASPP, RASPP, strided_means
from mnv3lib.heads.backbones import load_backbone
from mnv3lib.heads.segmenter import SegmenterSpec, create_segmenter, feature_row, low_tap
from mnv3lib.models import model_spec
from mnv3lib.models.taps import Tap

LARGE, SMALL, V2 = "mobilenet_v3_large", "mobilenet_v3_small", "mobilenet_v2"
RF2 = {"tail": "rf2"}
# Table 7 of the paper: row, network, options, head, filters; our parameters and MACs (in G)
TABLE_7 = [
    (1, V2, {}, "r_aspp", 256, 2_113_043, "20.827"),
    (5, LARGE, {}, "r_aspp", 256, 3_600_963, "17.791"),
    (6, LARGE, RF2, "r_aspp", 256, 1_762_435, "10.830"),
    (7, LARGE, RF2, "lr_aspp", 256, 1_632_894, "9.951"),
    (8, LARGE, RF2, "lr_aspp", 128, 1_507_198, "9.368"),
    (11, SMALL, RF2, "lr_aspp", 128, 468_830, "2.729"),
]


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def macs(network, *size):
    """Multiply-adds of the convolutions; on the meta device, so without any arithmetic."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.to("meta").eval()(torch.empty(1, 3, *size, device="meta"))
    return counter.get_total_flops() // 2


@pytest.mark.parametrize(
    ("name", "options", "head", "filters", "params", "giga_macs"),
    [row[1:] for row in TABLE_7],
    ids=[f"row{row[0]}" for row in TABLE_7],
)
def test_table_7(name, options, head, filters, params, giga_macs):
    network = create_segmenter(name, num_classes=19, head=head, filters=filters, **options)
    assert parameters(network) == params
    assert f"{macs(network, 1024, 2048) / 1e9:.3f}" == giga_macs


@pytest.mark.parametrize(("name", "giga_macs"), [(LARGE, "7.447"), (SMALL, "1.925")])
def test_output_stride_32(name, giga_macs):
    network = create_segmenter(name, num_classes=19, output_stride=32, tail="rf2")
    assert f"{macs(network, 1024, 2048) / 1e9:.3f}" == giga_macs


def test_v2_with_21_classes():
    network = create_segmenter(V2, num_classes=21, head="r_aspp", filters=256)
    assert parameters(network) == 2_113_557


def test_torchvision_counts():
    network = create_segmenter(LARGE, num_classes=21, head="lr_aspp_torchvision")
    assert len(network.state_dict()) == 319
    assert parameters(network) == 3_221_538
    assert macs(network, 224, 224) == 379_281_312
    assert macs(network, 520, 520) == 2_086_219_688


def test_torchvision_golden_output():
    network = create_segmenter(LARGE, num_classes=21, head="lr_aspp_torchvision").double().eval()
    keys = export_weights(network, "torchvision")
    assert {"backbone.4.block.2.fc1.weight", "classifier.scale.1.weight"} <= keys.keys()
    load_weights(network, golden_state(keys))
    with torch.no_grad():
        out = network(golden_image(64))
    assert out.shape == (1, 21, 64, 64)
    assert out.flatten()[:3].tolist() == pytest.approx([0.15264925] * 3, abs=1e-8)
    assert out.mean().item() == pytest.approx(-0.0108701686, abs=1e-9)
    assert out.std().item() == pytest.approx(5.1106005, abs=1e-6)


@pytest.mark.parametrize("head", ["r_aspp", "lr_aspp"])
def test_only_torchvisions_form_has_its_keys(head):
    with pytest.raises(ValueError, match=f"torchvision has no key layout .* head '{head}'"):
        export_weights(create_segmenter(SMALL, num_classes=2, head=head), "torchvision")


def test_weights_of_a_classifier_fit_the_rows():
    network, classifier = create_segmenter(SMALL, num_classes=2), create_model(SMALL)
    head = network.head.local.conv.weight.clone()
    load_backbone(network, classifier)
    for name in ("rows.0.conv.weight", "rows.12.norm.running_mean"):
        assert torch.equal(network.state_dict()[name], classifier.state_dict()[name])
    assert torch.equal(network.head.local.conv.weight, head)


def test_counted_like_any_network():
    network = create_segmenter(SMALL, num_classes=5, width_mult=0.35)
    counted = count(network, (64, 96))
    assert counted.params == parameters(network)
    assert sum(row.macs for row in counted.rows) == counted.macs == macs(network, 64, 96)


def test_where_heads_look():
    """Block 6 of Large and of MobileNetV2, block 3 of Small, before squeeze-and-excite."""
    for name, row, channels, last in ((LARGE, 6, 120, 16), (SMALL, 3, 88, 12), (V2, 6, 192, 17)):
        spec = model_spec(name)
        assert low_tap(spec) == Tap(row, "depthwise")
        assert spec.rows[row].exp == channels
        assert feature_row(spec) == last
    assert low_tap(model_spec(LARGE), first=True) == Tap(4)
    assert feature_row(model_spec("mobilenet_v1")) == 13
    assert low_tap(model_spec("mobilenet_v1")) == Tap(5)


def test_no_map_of_stride_8():
    spec = model_spec(SMALL, removed_strides=3)
    with pytest.raises(ValueError, match="no map of stride 8 here; take low_level=False"):
        low_tap(spec)
    assert create_segmenter(SMALL, num_classes=2, removed_strides=3, low_level=False)


def test_last_strided_block_keeps_its_size_and_the_next_is_dilated():
    rows = create_segmenter(LARGE, num_classes=2).rows
    convs = [rows[i].depthwise.conv for i in (12, 13, 14, 15)]
    assert [conv.stride[0] for conv in convs] == [1, 1, 1, 1]
    assert [conv.dilation[0] for conv in convs] == [1, 1, 2, 2]
    theirs = create_segmenter(LARGE, num_classes=2, head="lr_aspp_torchvision").rows
    convs = [theirs[i].depthwise.conv for i in (12, 13, 14, 15)]
    assert [conv.dilation[0] for conv in convs] == [1, 2, 2, 2]


def test_strided_means_at_full_size():
    """Four windows of 49 x 49 from columns 0, 20, 40, 60; the rows below are not seen."""
    x = torch.arange(128.0).expand(1, 1, 64, 128).clone()
    x[:, :, 49:] = 1e6
    assert strided_means(x).tolist() == [[[[24.0, 44.0, 64.0, 84.0]]]]


def test_strided_means_are_clipped_on_small_maps():
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert strided_means(x).tolist() == [[[[2.5]]]]
    assert strided_means(torch.ones(1, 1, 32, 64)).shape == (1, 1, 1, 1)
    assert strided_means(torch.ones(1, 1, 32, 69)).shape == (1, 1, 1, 2)
    assert strided_means(torch.ones(1, 1, 32, 64), 32).shape == (1, 1, 2, 8)


def test_lr_aspp_by_hand():
    """One channel, all weights one: local 1 and 3, gate hsigmoid(2) = 5/6, low map times one."""
    head = LRASPP(1, 1, filters=1, low_channels=1).eval()
    for parameter in head.parameters():
        torch.nn.init.ones_(parameter)
    for bias in (head.local.norm.bias, head.gate.bias, head.classify.bias, head.classify_low.bias):
        torch.nn.init.zeros_(bias)
    head.local.norm.eps = 0.0
    x = torch.tensor([[[[1.0, 3.0]]]])
    low = torch.tensor([[[[10.0, 20.0]]]])
    assert head(x, low).flatten().tolist() == pytest.approx([10 + 5 / 6, 20 + 15 / 6])


def test_r_aspp_sees_the_whole_image():
    head = RASPP(4, 3, filters=8).eval()
    x = torch.randn(1, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[..., -1, -1] += 1
    before, after = head(x), head(changed)
    assert (before - after)[..., 0, 0].abs().max() > 0
    assert before.shape == (1, 3, 5, 6)


@settings(max_examples=8)
@given(
    height=st.integers(32, 90), width=st.integers(32, 90), head=st.sampled_from(["r_aspp", "lr"])
)
def test_any_size_gives_logits_of_that_size(height, width, head):
    network = NETWORKS[head]
    with torch.no_grad():
        assert network(torch.zeros(1, 3, height, width)).shape == (1, 5, height, width)


NETWORKS = {
    "r_aspp": create_segmenter(SMALL, num_classes=5, head="r_aspp", width_mult=0.35).eval(),
    "lr": create_segmenter(SMALL, num_classes=5, width_mult=0.35).eval(),
}


def test_same_generator_same_weights():
    one, other = (
        create_segmenter(SMALL, num_classes=5, generator=torch.Generator().manual_seed(3))
        for _ in range(2)
    )
    other = other.state_dict()
    assert all(torch.equal(value, other[key]) for key, value in one.state_dict().items())
    assert one.head.classify.weight.std().item() == pytest.approx(0.01, rel=0.2)


def test_deployed_network_gives_the_same():
    network = create_segmenter(SMALL, num_classes=5, generator=torch.Generator().manual_seed(0))
    images = torch.randn(1, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    expected = network.eval()(images)
    assert torch.allclose(deploy(network)(images), expected, atol=1e-5)


def test_every_weight_takes_a_gradient():
    for head in ("r_aspp", "lr_aspp", "lr_aspp_torchvision"):
        network = create_segmenter(SMALL, num_classes=3, head=head, width_mult=0.35)
        logits = network(torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
        F.cross_entropy(logits, torch.ones(2, 64, 64, dtype=torch.int64)).backward()
        assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": "aspp"}, "unknown head 'aspp'; choose one of r_aspp, lr_aspp"),
        ({"filters": 0}, "at least 1, got 2 and 0"),
        ({"head": "lr_aspp_torchvision", "low_level": False}, "always has its low-level map"),
        ({"tail": "half"}, "unknown tail 'half'"),
    ],
)
def test_bad_requests(options, message):
    with pytest.raises(ValueError, match=message):
        create_segmenter(SMALL, num_classes=2, **options)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 1, 64, 64), r"RGB images of shape \(N, 3, H, W\), got \(1, 1, 64, 64\)"),
        ((1, 4, 64, 64), r"RGB images of shape \(N, 3, H, W\), got \(1, 4, 64, 64\)"),
        ((1, 3, 31, 64), "at least 32 pixels on both sides, got 31 x 64"),
    ],
)
def test_images_of_another_kind(shape, message):
    with pytest.raises(ValueError, match=message):
        NETWORKS["lr"](torch.zeros(shape))


def test_spec_is_what_was_asked_for():
    network = create_segmenter(SMALL, num_classes=2, filters=16, low_level=False)
    table = model_spec(SMALL, output_stride=16)
    assert network.spec == SegmenterSpec(table, 2, "lr_aspp", 16, low_level=False)
    assert network.head.classify_low is None
