"""The detector: counts, maps, torchvision's weights, and the forms that it is deployed in."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from golden import golden_image, golden_state
from mnv3lib import count, create_model, deploy, export_weights, load_weights
from mnv3lib.heads.backbones import load_backbone
from mnv3lib.heads.predictions import OneOutput, Predictions
from mnv3lib.heads.ssdlite import SSDLite, create_ssdlite
from mnv3lib.heads.ssdlite_spec import SSDLiteSpec
from mnv3lib.models import WeightsError, model_spec
from mnv3lib.models.mobilenet_v2 import MOBILENET_V2
from mnv3lib.models.mobilenet_v3 import MOBILENET_V3_SMALL
from mnv3lib.models.taps import Tap

LARGE, SMALL = "mobilenet_v3_large", "mobilenet_v3_small"
COCO = 90  # label numbers; the background comes on top


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tiny(**options: object) -> SSDLite:
    """A detector that runs in milliseconds: V3-Small at a quarter of the width, 64 pixels."""
    options = {"num_classes": 3, "resolution": 64, "generator": seeded(), **options}
    return create_ssdlite(SMALL, width_mult=0.25, **options)


def parameters(model: nn.Module) -> tuple[int, int]:
    """Parameters without those of batch norm, and all."""
    total = sum(p.numel() for p in model.parameters())
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    return total - sum(2 * norm.num_features for norm in norms), total


# --- counts --------------------------------------------------------------------------------------

# name, options, classes, parameters without those of batch norm, all, MACs at 320
TABLE_6 = [
    (LARGE, {}, COCO, 4_966_591, 5_006_735, 613_143_104),
    (LARGE, {"tail": "dagger"}, COCO, 3_215_311, 3_248_255, 506_563_904),
    (SMALL, {}, COCO, 2_493_487, 2_518_271, 210_417_856),
    (SMALL, {"tail": "dagger"}, COCO, 1_765_279, 1_785_743, 162_303_424),
    ("mobilenet_v2", {}, COCO, 4_449_791, 4_500_543, 804_397_504),
]
TORCHVISION = [
    (LARGE, {"tail": "dagger", "anchors": "torchvision"}, COCO, 3_407_116, 3_440_060, 583_171_904),
    (LARGE, {"anchors": "torchvision"}, COCO, 5_158_396, 5_198_540, 689_751_104),
]


@pytest.mark.parametrize(("name", "options", "classes", "bare", "total", "macs"), TABLE_6)
def test_counts_of_table_6(name, options, classes, bare, total, macs):
    detector = create_ssdlite(name, num_classes=classes, **options)
    assert parameters(detector) == (bare, total)
    assert count(detector, 320).macs == macs


@pytest.mark.parametrize(("name", "options", "classes", "bare", "total", "macs"), TORCHVISION)
def test_counts_of_torchvision(name, options, classes, bare, total, macs):
    detector = create_ssdlite(name, num_classes=classes, **options)
    assert parameters(detector) == (bare, total)
    assert count(detector, 320).macs == macs


def test_mobilenet_v2_as_published_has_80_classes_and_the_background():
    detector = create_ssdlite("mobilenet_v2", num_classes=80)
    assert parameters(detector)[0] == 4_286_261  # 4.3 M


def test_mobilenet_v2_at_the_300_pixels_of_its_published_recipe():
    assert count(create_ssdlite("mobilenet_v2", num_classes=COCO), 300).macs == 749_503_856


@pytest.mark.parametrize(
    ("width_mult", "bare", "macs"), [(0.5, 1_536_527, 272_348_896), (0.35, 929_531, 166_713_786)]
)
def test_narrow_mobilenet_v2_of_table_6_scales_its_last_convolution(width_mult, bare, macs):
    """1.54 M and 0.27 B, 0.93 M and 0.16 B: there 1280 channels become 640 and 448."""
    rows = list(MOBILENET_V2.rows)
    rows[18] = replace(rows[18], scaling="always")
    table = replace(MOBILENET_V2, rows=tuple(rows))
    detector = create_ssdlite(table, num_classes=COCO, width_mult=width_mult)
    assert parameters(detector)[0] == bare
    assert count(detector, 320).macs == macs


def test_heads_on_mobilenet_v2():
    """The sheet of the papers counts 81 outputs, and no biases and no batch norm."""
    detector = create_ssdlite("mobilenet_v2", num_classes=80)
    heads = [*detector.class_heads, *detector.box_heads]
    weights = sum(p.numel() for head in heads for p in head.parameters() if p.ndim == 4)
    assert weights == 1_441_344


def test_heads_on_mobilenet_v3_and_what_dense_ones_would_cost():
    detector = create_ssdlite(LARGE, num_classes=COCO, tail="dagger")
    *_, class_heads, box_heads = count(detector, 320).rows
    assert class_heads.params + box_heads.params == 1_175_583
    assert class_heads.macs + box_heads.macs == 119_228_928
    spec = detector.spec
    outputs = [shapes * (COCO + 1 + 4) for shapes in spec.anchors.per_map]
    dense = [9 * c * n for c, n in zip(spec.map_channels, outputs, strict=True)]
    assert sum(dense) + sum(outputs) == 10_098_975
    cells = [size**2 for size in spec.map_sizes(320)]
    assert sum(d * c for d, c in zip(dense, cells, strict=True)) == 1_019_105_280


# --- maps and anchors ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resolution", "sizes"),
    [
        (320, [20, 10, 5, 3, 2, 1]),
        (300, [19, 10, 5, 3, 2, 1]),
        (256, [16, 8, 4, 2, 1, 1]),
        (128, [8, 4, 2, 1, 1, 1]),
    ],
)
def test_map_sizes(resolution, sizes):
    detector = tiny(padding="same").eval()
    assert detector.spec.map_sizes(resolution) == sizes
    with torch.no_grad():
        maps = detector.maps(torch.zeros(1, 3, resolution, resolution))
    assert [tuple(own.shape[2:]) for own in maps] == [(size, size) for size in sizes]
    assert [own.shape[1] for own in maps] == list(detector.spec.map_channels)


@pytest.mark.parametrize(
    ("name", "options", "taps", "channels"),
    [
        (LARGE, {}, (Tap(13, "expand"), Tap(16)), (672, 960)),
        (SMALL, {"tail": "dagger"}, (Tap(9, "expand"), Tap(12)), (288, 288)),
        ("mobilenet_v2", {}, (Tap(14, "expand"), Tap(18)), (576, 1280)),
        ("mobilenet_v1", {}, (Tap(11), Tap(13)), (512, 1024)),
        (SMALL, {"removed_strides": 1}, (Tap(9, "expand"), Tap(12)), (288, 576)),
    ],
)
def test_where_the_heads_look(name, options, taps, channels):
    spec = SSDLiteSpec(model_spec(name, **options), 2)
    assert spec.taps == taps
    assert spec.map_channels[:2] == channels


@pytest.mark.parametrize("resolution", [64, 97])
@pytest.mark.parametrize("anchors", ["tf", "torchvision"])
def test_an_answer_for_every_anchor_at_any_size(resolution, anchors):
    detector = tiny(anchors=anchors).eval()
    with torch.no_grad():
        outputs = detector(torch.zeros(2, 3, resolution, resolution))
    boxes = detector.anchors_for(resolution)
    assert outputs.class_logits.shape == (2, len(boxes), 4)
    assert outputs.box_codes.shape == (2, len(boxes), 4)


def test_anchors_move_with_the_network_and_are_not_saved():
    detector = tiny().double()
    assert detector.anchors.dtype == torch.float64
    assert torch.equal(detector.anchors, detector.anchors_for(64))
    assert "anchors" not in detector.state_dict()


def test_answers_are_in_the_order_of_the_anchors():
    """Heads whose outputs are only the bias: the n-th shape of a cell gets the n-th bias."""
    detector = tiny().eval()
    for head in detector.box_heads:
        nn.init.zeros_(head.predict.weight)
        head.predict.bias.data = torch.arange(len(head.predict.bias)).float()
    with torch.no_grad():
        codes = detector(torch.zeros(1, 3, 64, 64)).box_codes[0]
    assert codes[:4, 0].tolist() == [0, 4, 8, 0]  # three shapes on the first map
    assert codes[3 * 16 : 3 * 16 + 7, 0].tolist() == [0, 4, 8, 12, 16, 20, 0]
    assert codes[0].tolist() == [0, 1, 2, 3]


# --- weights -------------------------------------------------------------------------------------


def torchvision_twin(generator: torch.Generator | None = None) -> SSDLite:
    return create_ssdlite(
        LARGE, num_classes=COCO, anchors="torchvision", tail="dagger", generator=generator
    )


def test_outputs_equal_torchvision():
    detector = torchvision_twin().double().eval()
    state = export_weights(detector)
    assert len(state) == 476
    assert sum(v.numel() for v in state.values() if v.is_floating_point()) == 3_473_004
    load_weights(detector, golden_state(state))
    with torch.inference_mode():
        logits, codes = detector(golden_image(320))
    assert logits[0, 0, :3].tolist() == pytest.approx([-2.78283175, 2.80433715, -2.62311468])
    assert codes[0, 0, :3].tolist() == pytest.approx([-0.788349172, 0.156649112, 0.240960807])
    for found, mean, std in (
        (logits, -0.00187571855, 2.81635106),
        (codes, 0.064532924, 2.51835358),
    ):
        assert found.mean().item() == pytest.approx(mean, rel=1e-6)
        assert found.std().item() == pytest.approx(std, rel=1e-6)


def test_keys_of_torchvision():
    state = export_weights(torchvision_twin())
    shapes = {
        "backbone.features.0.0.0.weight": (16, 3, 3, 3),
        "backbone.features.0.4.block.2.fc1.weight": (24, 72, 1, 1),
        "backbone.features.0.13.0.weight": (672, 112, 1, 1),
        "backbone.features.0.13.1.running_mean": (672,),
        "backbone.features.1.0.1.0.weight": (672, 1, 5, 5),
        "backbone.features.1.0.2.fc2.bias": (672,),
        "backbone.features.1.0.3.0.weight": (80, 672, 1, 1),
        "backbone.features.1.2.block.0.0.weight": (480, 80, 1, 1),
        "backbone.features.1.3.1.bias": (480,),
        "backbone.extra.0.0.0.weight": (256, 480, 1, 1),
        "backbone.extra.3.1.0.weight": (64, 1, 3, 3),
        "head.classification_head.module_list.0.0.0.weight": (672, 1, 3, 3),
        "head.classification_head.module_list.5.1.weight": (546, 128, 1, 1),
        "head.regression_head.module_list.5.1.bias": (24,),
    }
    assert {key: tuple(state[key].shape) for key in shapes} == shapes


@pytest.mark.parametrize("layout", ["mnv3lib", "torchvision"])
def test_weights_out_and_in_again(layout):
    first, second = tiny(generator=seeded(1)), tiny(generator=seeded(2))
    load_weights(second, export_weights(first, layout))  # the layout is found by looking
    for key, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[key], value), key


def test_layouts_that_a_library_lacks():
    with pytest.raises(ValueError, match="timm has no key layout for SSDLite"):
        export_weights(tiny(), "timm")
    with pytest.raises(
        ValueError, match="torchvision has no key layout for SSDLite on mobilenet_v"
    ):
        export_weights(create_ssdlite("mobilenet_v1", num_classes=1, width_mult=0.25))


def test_weights_of_a_classifier():
    network = create_model(SMALL, width_mult=0.25, num_classes=7, generator=seeded(5))
    detector = tiny()
    load_backbone(detector, network)
    for key, value in detector.rows.state_dict().items():
        assert torch.equal(network.rows.state_dict()[key], value), key
    image = torch.randn(1, 3, 64, 64, generator=seeded(1))
    with torch.no_grad():
        c5 = detector.eval().maps(image)[1]
        torch.testing.assert_close(c5, network.eval().features(image)["C5"])


def test_weights_of_a_classifier_with_another_tail():
    detector = tiny(tail="dagger")
    before = detector.rows[9].project.conv.weight.clone()
    with pytest.raises(WeightsError, match=r"do not fit, the first at rows\.9\.project"):
        load_backbone(detector, create_model(SMALL, width_mult=0.25))
    assert torch.equal(detector.rows[9].project.conv.weight, before)


# --- initial state, gradients --------------------------------------------------------------------


def test_a_fresh_network_gives_each_class_the_prior():
    detector = tiny(prior=0.02).eval()
    with torch.no_grad():
        probabilities = detector(torch.zeros(1, 3, 64, 64)).class_logits.sigmoid()
    assert probabilities.median().item() == pytest.approx(0.02, rel=0.02)


def test_same_generator_same_weights_and_the_global_one_untouched():
    state = torch.get_rng_state()
    a, b = tiny(), tiny()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    deviation = create_ssdlite("mobilenet_v2", num_classes=9).class_heads[1].predict.weight.std()
    assert deviation.item() == pytest.approx(0.03, rel=0.02)


def test_norms_of_network_and_heads_follow_the_detectors_convention():
    norms = [m for m in tiny().modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.03)}


def test_every_parameter_has_a_gradient():
    detector = tiny()
    sum(part.square().mean() for part in detector(torch.randn(2, 3, 64, 64))).backward()
    without = [key for key, p in detector.named_parameters() if p.grad is None]
    assert without == []


# --- deployed forms ------------------------------------------------------------------------------


def trained_looking(detector: SSDLite) -> SSDLite:
    """Norms that are not the identity, so that folding them must be right."""
    load_weights(detector, golden_state(detector.state_dict()), "mnv3lib")
    return detector.eval()


def test_deployed_form_gives_the_same_answers():
    detector = trained_looking(tiny().double())
    deployed = deploy(detector)
    assert not [m for m in deployed.modules() if isinstance(m, nn.BatchNorm2d)]
    image = golden_image(64)
    with torch.no_grad():
        for ours, theirs in zip(detector(image), deployed(image), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_onnx_file_has_both_outputs():
    pytest.importorskip("onnxruntime", reason="needs the extra 'deploy'")
    from mnv3lib.measure.runtime_onnxruntime import export_onnx, open_session

    detector, image = trained_looking(tiny()).requires_grad_(False), golden_image(64).float()
    outputs = open_session(export_onnx(detector, image), threads=1).run(
        None, {"input": image.numpy()}
    )
    for ours, theirs in zip(detector(image), outputs, strict=True):
        torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=1e-3, atol=1e-3)


def test_runtimes_take_a_detector_that_returns_one_tensor():
    pytest.importorskip("onnxruntime", reason="needs the extra 'deploy'")
    from mnv3lib.measure.runtimes import compile_model

    detector, image = trained_looking(tiny()).requires_grad_(False), golden_image(64).float()
    # compared with eager there as well
    session = compile_model(OneOutput(detector), image, runtime="onnxruntime")
    for ours, theirs in zip(detector(image), Predictions.split(session.run(image)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 64, 96), "takes square images, got 64 x 96"),
        ((1, 1, 64, 64), r"expected RGB images of shape \(N, 3, H, W\), got \(1, 1, 64, 64\)"),
        ((1, 4, 64, 64), "expected RGB images"),
        ((3, 64, 64), "expected RGB images"),
        ((1, 3, 16, 16), "at least 32 pixels"),
    ],
)
def test_images_that_it_does_not_take(shape, message):
    with pytest.raises(ValueError, match=message):
        tiny()(torch.zeros(shape))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "num_classes must be at least 1, got 0"),
        ({"prior": 0.0}, "prior must be a probability"),
        ({"output_stride": 16}, "output_stride=16 takes the last one away"),
        ({"tail": "halved"}, "unknown tail 'halved'"),
        ({"anchors": "caffe"}, "unknown anchor layout 'caffe'"),
    ],
)
def test_detectors_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        tiny(**options)


def test_a_spec_whose_parts_do_not_fit():
    with pytest.raises(ValueError, match="anchors for 6 maps do not fit the network's two and 1"):
        SSDLiteSpec(MOBILENET_V3_SMALL, 3, extra_channels=(64,))
