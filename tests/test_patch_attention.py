"""MobileViT's block against PyTorch's own attention and layers, and against small cases."""

import pytest
import torch
from torch import nn

from mnv3lib.ops import PatchAttentionBlock, SelfAttention, TransformerLayer


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_self_attention_is_pytorchs() -> None:
    ours, theirs = SelfAttention(8, 2), nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.in_proj_weight.data.copy_(ours.qkv.weight.data)
    theirs.in_proj_bias.data.copy_(ours.qkv.bias.data)
    theirs.out_proj.load_state_dict(ours.project.state_dict())
    x = numbers(3, 5, 8)
    expected, maps = theirs(x, x, x, average_attn_weights=False)
    torch.testing.assert_close(ours(x), expected)
    torch.testing.assert_close(ours.maps(x), maps)


def test_a_transformer_layer_adds_twice() -> None:
    layer = TransformerLayer(4, 2, 8)
    nn.init.zeros_(layer.attention.project.weight)
    nn.init.zeros_(layer.attention.project.bias)
    nn.init.zeros_(layer.mix.project.weight)
    nn.init.ones_(layer.mix.project.bias)
    x = numbers(2, 3, 4)
    torch.testing.assert_close(layer(x), x + 1)


def block() -> PatchAttentionBlock:
    """A block whose layers do nothing but normalise."""
    made = PatchAttentionBlock(3, 4, 1, heads=1).eval()
    made.layers, made.norm = nn.Identity(), nn.Identity()
    return made


@pytest.mark.parametrize(("height", "width"), [(4, 4), (2, 6)])
def test_patches_there_and_back(height: int, width: int) -> None:
    y = numbers(2, 4, height, width)
    assert torch.equal(block()._over_patches(y, height // 2, width // 2), y)


def test_attention_runs_over_the_same_pixel_of_all_patches() -> None:
    """In a map whose pixels are numbered, each sequence holds one pixel of each patch."""
    made, seen = block(), []
    made.layers = nn.Identity()
    made.layers.register_forward_hook(lambda module, given, output: seen.append(given[0]))
    made._over_patches(torch.arange(16.0).reshape(1, 1, 4, 4), 2, 2)
    assert seen[0][..., 0].tolist() == [
        [0, 2, 8, 10],
        [1, 3, 9, 11],
        [4, 6, 12, 14],
        [5, 7, 13, 15],
    ]


@pytest.mark.parametrize("side", [1, 3, 4])
def test_any_side_goes(side: int) -> None:
    assert PatchAttentionBlock(8, 16, 1)(numbers(2, 8, side, side)).shape == (2, 8, side, side)


@pytest.mark.parametrize(
    ("channels", "features", "depth", "expected"),
    [(48, 64, 2, 135_712), (64, 80, 4, 329_696), (80, 96, 3, 413_184)],
)
def test_parameters_of_mobilevit_xxs(
    channels: int, features: int, depth: int, expected: int
) -> None:
    made = PatchAttentionBlock(channels, features, depth)
    assert sum(p.numel() for p in made.parameters()) == expected


def test_heads_share_evenly() -> None:
    with pytest.raises(ValueError, match="4 heads cannot share 10 features evenly"):
        SelfAttention(10, 4)
