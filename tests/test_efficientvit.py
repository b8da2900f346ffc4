"""EfficientViT and MobileViT-XXS: counts to the unit, folding, keys of timm."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from mnv3lib import count, create_model, deploy, export_weights, list_models
from mnv3lib.measure.runtimes import compile_model
from mnv3lib.models import Network
from mnv3lib.models.attention_rows import SandwichRow
from mnv3lib.ops import NormLinear, RelativeBias, Sandwich, SelfAttention
from mnv3lib.train.optimizers import weight_decay_groups

PAPER = [f"efficientvit_m{number}" for number in range(6)]
MINI = list_models("efficientvit_mini*")


def randomised(name: str, **options: object) -> Network:
    """A network in whose residuals everything is heard, with statistics as after training."""
    generator = torch.Generator().manual_seed(0)
    network = create_model(name, generator=generator, **options)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(std=0.1, generator=generator)
                module.running_mean.normal_(std=0.1, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
            elif isinstance(module, RelativeBias):
                module.attention_biases.normal_(generator=generator)
    return network.eval()


def images(side: int, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("name", "params", "folded", "macs"),
    [
        ("efficientvit_m0", 2_349_436, 2_334_916, 79_193_600),
        ("efficientvit_m1", 2_980_560, 2_964_256, 167_051_840),
        ("efficientvit_m2", 4_187_554, 4_168_338, 201_035_712),
        ("efficientvit_m3", 6_900_722, 6_875_890, 262_662_208),
        ("efficientvit_m4", 8_804_228, 8_776_340, 299_308_544),
        ("efficientvit_m5", 12_473_772, 12_436_260, 521_583_104),
    ],
)
def test_counts_of_the_official_code(name: str, params: int, folded: int, macs: int) -> None:
    network = create_model(name)
    assert sum(p.numel() for p in network.parameters()) == params
    counted = count(network, batch_norm="folded")
    assert (counted.params, counted.macs) == (folded, macs)


def test_layer_walk_of_m0() -> None:
    walked = [(row.params, row.macs) for row in count(create_model("efficientvit_m0")).rows]
    convs, stage1, down1, stage2, down2, stage3, head = (
        walked[:4],
        walked[4],
        walked[5:8],
        walked[8:10],
        walked[10:13],
        walked[13:16],
        walked[17],
    )
    assert [sum(column) for column in zip(*convs, strict=True)] == [24_648, 13_547_520]
    assert stage1 == (44_548, 9_596_160)
    assert down1 == [(17_472, 3_324_160), (85_824, 4_962_560), (67_712, 3_267_712)]
    assert stage2 == 2 * [(162_692, 8_279_040)]
    assert down2 == [(67_712, 3_267_712), (302_592, 4_988_928), (150_720, 2_386_944)]
    assert stage3 == 3 * [(356_480, 5_700_608)]
    assert head == (193_384, 192_000)


STAGES = {
    "efficientvit_m1": (97_680, 166_082, 841_782, 1_681_632, 193_384),
    "efficientvit_m2": (97_680, 162_564, 1_239_558, 2_462_304, 225_448),
    "efficientvit_m3": (97_680, 162_692, 1_741_526, 4_577_184, 321_640),
    "efficientvit_m4": (97_680, 162_564, 1_922_056, 6_236_160, 385_768),
    "efficientvit_m5": (219_096, 359_267, 3_550_665, 7_958_976, 385_768),
}


@pytest.mark.parametrize(("name", "expected"), list(STAGES.items()))
def test_parameters_of_the_stages(name: str, expected: tuple[int, ...]) -> None:
    network = create_model(name)
    params = [sum(p.numel() for p in row.parameters()) for row in network.rows]
    first = next(i for i, row in enumerate(network.spec.rows) if isinstance(row, SandwichRow))
    second, third = (i - 1 for i, row in enumerate(network.spec.rows) if hasattr(row, "exp"))
    borders = [0, first, second, third, len(params) - 1, len(params)]
    found = [sum(params[a:b]) for a, b in pairwise(borders)]
    assert tuple(found) == expected


@pytest.mark.parametrize(
    ("name", "expected"), list(zip(PAPER, (780, 536, 586, 682, 780, 844), strict=True))
)
def test_attention_biases(name: str, expected: int) -> None:
    network = create_model(name)
    biases = [m for m in network.modules() if isinstance(m, RelativeBias)]
    assert sum(m.attention_biases.numel() for m in biases) == expected
    sides = [49 if len(m.attention_biases[0]) == 49 else 16 for m in biases]
    assert [tuple(m.index.shape) for m in biases] == [(side, side) for side in sides]
    assert sides[-1] == 16


def test_products_of_attention_in_m0() -> None:
    macs = count(create_model("efficientvit_m0")).operators["matmul"]
    first, second, third = (
        4 * 4 * 2 * 49**2 * 16,
        2 * 4 * 49**2 * (16 + 32),
        3 * 4 * 16**2 * (16 + 48),
    )
    assert macs == first + second + third == 2_347_904


class PixelsAttend(nn.Module):
    """Attention between all pixels of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = SelfAttention(3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x.flatten(2).transpose(1, 2))


def test_products_of_matrices_count_and_are_named() -> None:
    counted = count(PixelsAttend(), 32)
    products, linear = 2 * 1024 * 1024 * 3, 1024 * (3 * 9 + 3 * 3)
    assert counted.macs == products + linear
    assert counted.operators["softmax"] == 1024 * 1024
    assert "linear layers and products of attention;" in counted.convention
    with_softmax = count(PixelsAttend(), 32, activations=True)
    assert with_softmax.macs - counted.macs == 1024 * 1024 + counted.operators["multiply"]


@pytest.mark.parametrize(("resolution", "sides"), [(224, (14, 7, 4)), (256, (16, 8, 4))])
def test_sides_of_the_stages(resolution: int, sides: tuple[int, ...]) -> None:
    network = randomised("efficientvit_m0", resolution=resolution, num_classes=7)
    maps = network.features(images(resolution))
    assert tuple(maps[level].shape[-1] for level in ("C4", "C5", "C6")) == sides
    assert network(images(resolution)).shape == (1, 7)


def test_another_size_is_refused_and_the_way_out_named() -> None:
    network = create_model("efficientvit_mini")
    with pytest.raises(ValueError, match=r"48 x 48 pixels, got 64 x 64.*resolution=64"):
        network(images(64))


@pytest.mark.parametrize("name", [*PAPER, *MINI])
def test_folding_changes_nothing(name: str) -> None:
    network = randomised(name, num_classes=10)
    folded = deploy(network)
    x = images(network.resolution)
    with torch.no_grad():
        before = network(x)
        assert (folded(x) - before).abs().max() < 1e-5 * before.abs().max()
    norms = nn.BatchNorm1d | nn.BatchNorm2d
    assert not [m for m in folded.modules() if isinstance(m, norms)]


def test_a_fresh_network_starts_with_silent_blocks() -> None:
    network = create_model("efficientvit_mini").train()
    blocks = [m for m in network.rows if isinstance(m, Sandwich)]
    x = torch.randn(2, 32, 12, 12)
    assert torch.equal(blocks[0](x), x)
    assert len(blocks) == 1 + 2 + 3


def test_only_attention_biases_are_spared_of_weight_decay_beside_vectors() -> None:
    network = create_model("efficientvit_mini")
    _, others = weight_decay_groups(network, 0.025)
    ours = {id(p) for p in others["params"]}
    matrices = {name for name, p in network.named_parameters() if p.ndim >= 2 and id(p) in ours}
    assert matrices == {n for n, _ in network.named_parameters() if "attention_biases" in n}


def test_heads_with_full_input_need_their_number_of_times_the_weights() -> None:
    def qkv(name: str) -> int:
        modules = create_model(name).named_modules()
        return sum(m.weight.numel() for n, m in modules if n.endswith("qkv.conv"))

    assert qkv("efficientvit_mini_full") == 2 * qkv("efficientvit_mini")
    assert qkv("efficientvit_mini_split") == qkv("efficientvit_mini")


def test_the_small_version() -> None:
    assert count(create_model("efficientvit_mini", num_classes=10)).params == 573_120
    network = randomised("efficientvit_mini")
    assert [m.shape[-1] for m in network.features(images(48)).values()] == [24, 12, 6, 3]


def test_mobilevit_xxs() -> None:
    """Products: 2 P N^2 D for each layer, with P = 4 pixels of a patch and N patches."""
    counted = count(create_model("mobilevit_xxs"))
    products = sum(
        depth * 2 * 4 * side**4 * features
        for side, features, depth in ((16, 64, 2), (8, 80, 4), (4, 96, 3))
    )
    assert counted.resolution == 256
    assert counted.params == 1_272_024
    assert counted.operators["matmul"] == products == 78_184_448
    assert counted.macs == 329_179_648 + products


def test_rows_of_mobilevit_xxs() -> None:
    params = [row.params for row in count(create_model("mobilevit_xxs"), 64).rows]
    assert params == [
        *(464, 1_472, 1_744, 2_976, 2_976, 4_176, 135_712),
        *(12_128, 329_696, 20_256, 413_184, 26_240, 0, 321_000),
    ]


@pytest.mark.parametrize("name", ["efficientvit_m0", "mobilevit_xxs"])
def test_no_width_multiplier(name: str) -> None:
    with pytest.raises(ValueError, match=r"Row cannot be scaled by width_mult=0\.5"):
        create_model(name, width_mult=0.5)


def test_sandwiches_know_no_stochastic_depth() -> None:
    with pytest.raises(ValueError, match=r"drop_path=0\.1: efficientvit has no residual block"):
        create_model("efficientvit_mini", drop_path=0.1)


@pytest.mark.parametrize(("name", "side"), [("efficientvit_mini", 48), ("mobilevit_xxs", 64)])
def test_onnxruntime_computes_the_same(name: str, side: int) -> None:
    network = randomised(name, resolution=side, num_classes=10)
    session = compile_model(deploy(network), images(side, batch=2), runtime="onnxruntime")
    x = images(side, batch=2) + 1
    torch.testing.assert_close(session.run(x), network(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("options", [{"output_stride": 32}, {"output_stride": 8}])
def test_strides_stay(options: dict) -> None:
    with pytest.raises(ValueError, match="cannot trade its stride for dilation"):
        create_model("efficientvit_m0", **options)


TIMM = {
    "efficientvit_m0": {
        "patch_embed.conv1.conv.weight": (8, 3, 3, 3),
        "patch_embed.conv4.bn.running_mean": (64,),
        "stages.0.blocks.0.dw0.m.conv.weight": (64, 1, 3, 3),
        "stages.0.blocks.0.ffn0.m.pw1.conv.weight": (128, 64, 1, 1),
        "stages.0.blocks.0.mixer.m.attn.attention_biases": (4, 49),
        "stages.0.blocks.0.mixer.m.attn.qkvs.3.conv.weight": (48, 16, 1, 1),
        "stages.0.blocks.0.mixer.m.attn.dws.0.bn.bias": (16,),
        "stages.0.blocks.0.mixer.m.attn.proj.1.conv.weight": (64, 64, 1, 1),
        "stages.1.downsample.res1.0.m.conv.weight": (64, 1, 3, 3),
        "stages.1.downsample.res1.1.m.pw2.bn.weight": (64,),
        "stages.1.downsample.patchmerge.conv1.conv.weight": (256, 64, 1, 1),
        "stages.1.downsample.patchmerge.conv2.conv.weight": (256, 1, 3, 3),
        "stages.1.downsample.patchmerge.se.fc1.weight": (64, 256, 1, 1),
        "stages.1.downsample.patchmerge.conv3.bn.weight": (128,),
        "stages.1.downsample.res2.0.m.conv.weight": (128, 1, 3, 3),
        "stages.2.blocks.2.ffn1.m.pw2.conv.weight": (192, 384, 1, 1),
        "head.bn.running_var": (192,),
        "head.linear.weight": (1000, 192),
    },
    "mobilevit_xxs": {
        "stem.conv.weight": (16, 3, 3, 3),
        "stages.0.0.conv1_1x1.conv.weight": (32, 16, 1, 1),
        "stages.1.2.conv3_1x1.bn.weight": (24,),
        "stages.2.0.conv2_kxk.conv.weight": (48, 1, 3, 3),
        "stages.2.1.conv_kxk.conv.weight": (48, 48, 3, 3),
        "stages.2.1.conv_1x1.weight": (64, 48, 1, 1),
        "stages.3.1.transformer.3.attn.qkv.weight": (240, 80),
        "stages.3.1.transformer.0.norm2.bias": (80,),
        "stages.4.1.transformer.2.mlp.fc2.weight": (96, 192),
        "stages.4.1.norm.weight": (96,),
        "stages.4.1.conv_proj.conv.weight": (80, 96, 1, 1),
        "stages.4.1.conv_fusion.conv.weight": (80, 160, 3, 3),
        "final_conv.conv.weight": (320, 80, 1, 1),
        "head.fc.weight": (1000, 320),
    },
}


@pytest.mark.parametrize(("name", "keys"), list(TIMM.items()))
def test_keys_of_timm(name: str, keys: dict[str, tuple[int, ...]]) -> None:
    network = create_model(name)
    state = export_weights(network, "timm")
    assert len(state) == len(network.state_dict())
    assert {key: tuple(state[key].shape) for key in keys} == keys


def test_the_classifier_may_have_dropout() -> None:
    head = create_model("efficientvit_mini", dropout=0.3).rows[-1]
    assert isinstance(head, NormLinear)
    assert head.dropout.p == 0.3
    assert create_model("efficientvit_mini").rows[-1].dropout is None
