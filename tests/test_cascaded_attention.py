"""Windows, relative biases, cascaded attention and the sandwich, against hand-made cases."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mnv3lib.ops import (
    CascadedGroupAttention,
    InteractedFeedForward,
    NormLinear,
    RelativeBias,
    Sandwich,
    WindowAttention,
    distance_index,
    from_windows,
    to_windows,
)


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_windows_of_four_pixels_by_hand() -> None:
    board = torch.arange(16.0).reshape(1, 1, 4, 4)
    windows = to_windows(board, 4, window=2)
    assert windows[:, 0].tolist() == [
        [[0, 1], [4, 5]],
        [[2, 3], [6, 7]],
        [[8, 9], [12, 13]],
        [[10, 11], [14, 15]],
    ]


def test_the_last_windows_are_filled_up_with_zeros() -> None:
    windows = to_windows(torch.ones(1, 1, 3, 3), 3, window=2)
    assert windows[:, 0].sum(dim=(1, 2)).tolist() == [4, 2, 2, 1]


@pytest.mark.parametrize(("side", "count"), [(14, 4), (12, 4)])
def test_there_and_back_at_the_sides_of_the_paper(side: int, count: int) -> None:
    maps = numbers(2, 3, side, side)
    windows = to_windows(maps, side, window=7)
    assert windows.shape == (2 * count, 3, 7, 7)
    assert torch.equal(from_windows(windows, side, window=7), maps)


@given(side=st.integers(1, 9), window=st.integers(1, 9))
def test_there_and_back_is_the_identity(side: int, window: int) -> None:
    maps = numbers(2, 3, side, side)
    assert torch.equal(from_windows(to_windows(maps, side, window), side, window), maps)


def test_a_window_has_a_side() -> None:
    with pytest.raises(ValueError, match="window must be at least 1 pixel, got 0"):
        to_windows(numbers(1, 1, 2, 2), 2, window=0)


@given(side=st.integers(1, 5))
def test_distances_are_numbered_as_they_appear(side: int) -> None:
    seen: dict[tuple[int, int], int] = {}
    pixels = [(y, x) for y in range(side) for x in range(side)]
    expected = [
        [seen.setdefault((abs(y - v), abs(x - u)), len(seen)) for v, u in pixels] for y, x in pixels
    ]
    assert distance_index(side).tolist() == expected


def test_a_bias_for_each_head_and_distance() -> None:
    bias = RelativeBias(2, 2)
    nn.init._no_grad_normal_(bias.attention_biases, 0, 1)
    first, second = bias().detach()
    assert first.shape == (4, 4)
    assert first[0, 3] == first[1, 2] == bias.attention_biases[0, 3]
    assert second[0, 1] == second[3, 2] == bias.attention_biases[1, 1]
    table = bias().detach()
    bias.fold()
    assert torch.equal(bias(), table)
    assert parameters(bias) == 8
    assert list(bias.state_dict()) == ["attention_biases"]


def uniform_attention(**options: object) -> CascadedGroupAttention:
    """Two heads on four channels whose queries are zero: each pixel takes the mean of all."""
    attention = CascadedGroupAttention(4, 2, 2, kernels=(3, 3), key_channels=1, **options).eval()
    with torch.no_grad():
        for head in attention.heads:
            head.query.norm.weight.zero_()
    return attention


def test_without_queries_each_pixel_takes_the_mean() -> None:
    attention = uniform_attention()
    torch.testing.assert_close(attention.maps(numbers(3, 4, 2, 2)), torch.full((3, 2, 4, 4), 0.25))


def _outputs(feed: str) -> list[float]:
    """What two such heads return when their values are the sum of what they read."""
    attention = uniform_attention(feed=feed)
    with torch.no_grad():
        for head in attention.heads:
            head.qkv.norm.eps = 0.0
            head.qkv.conv.weight[2:] = 1.0
        outputs, _ = attention._attend(
            torch.tensor([1.0, 2, 4, 8]).view(1, 4, 1, 1).expand(1, 4, 2, 2)
        )
    return [output[0, :, 0, 0].tolist() for output in outputs]


def test_the_cascade_by_hand() -> None:
    assert _outputs("split") == [[3, 3], [12, 12]]
    assert _outputs("cascade") == [[3, 3], [(4 + 3) + (8 + 3)] * 2]
    assert _outputs("full") == [[15, 15], [15, 15]]


def test_rows_of_attention_sum_to_one() -> None:
    attention = CascadedGroupAttention(8, 2, 3).eval()
    torch.testing.assert_close(attention.maps(numbers(2, 8, 3, 3)).sum(-1), torch.ones(2, 2, 9))


def test_one_head_attends_as_pytorch_does() -> None:
    attention = CascadedGroupAttention(6, 1, 3, kernels=(1,), key_channels=4).eval()
    nn.init._no_grad_normal_(attention.bias.attention_biases, 0, 1)
    x = numbers(2, 6, 3, 3)
    (output,), _ = attention._attend(x)
    head = attention.heads[0]
    q, k, v = head.qkv(x).split(head.sizes, dim=1)
    tokens = [part.flatten(2).transpose(1, 2) for part in (head.query(q), k, v)]
    expected = nn.functional.scaled_dot_product_attention(*tokens, attn_mask=attention.bias()[0])
    torch.testing.assert_close(output, expected.transpose(1, 2).reshape(2, 6, 3, 3))


@given(heads=st.integers(1, 4), part=st.sampled_from([8, 16, 48]))
def test_projections_are_as_many_times_smaller_as_there_are_heads(heads: int, part: int) -> None:
    channels = heads * part

    def weights(feed: str) -> int:
        attention = CascadedGroupAttention(channels, heads, 2, feed=feed)
        return sum(head.qkv.conv.weight.numel() for head in attention.heads)

    assert weights("cascade") == weights("split") == channels * (2 * 16 + part)
    assert weights("full") == heads * weights("cascade")


def test_components_of_m0() -> None:
    """64 channels: numbers of the official code."""
    assert parameters(CascadedGroupAttention(64, 4, 7)) == 9_604
    pair = InteractedFeedForward(64)
    assert parameters(pair.interact) == 704
    assert parameters(pair.mix) == 16_768
    assert parameters(Sandwich(64, 4, 14)) == 44_548
    assert parameters(NormLinear(192, 1000)) == 193_384


@given(
    heads=st.integers(1, 4),
    part=st.sampled_from([8, 24]),
    side=st.integers(1, 4),
    kernels=st.tuples(*[st.sampled_from([3, 5, 7])] * 4),
)
def test_closed_forms(heads: int, part: int, side: int, kernels: tuple[int, ...]) -> None:
    c = heads * part
    assert parameters(InteractedFeedForward(c)) == 11 * c + 4 * c * c + 6 * c
    each = [part * (32 + part) + 2 * (32 + part) + 16 * k * k + 32 for k in kernels[:heads]]
    attention = CascadedGroupAttention(c, heads, side, kernels=kernels)
    assert parameters(attention) == sum(each) + c * c + 2 * c + heads * side * side


def test_a_window_no_larger_than_the_map() -> None:
    assert WindowAttention(8, 2, 4).attention.bias.side == 4
    assert WindowAttention(8, 2, 14).attention.bias.side == 7
    assert WindowAttention(8, 2, 14).attention.bias.index.shape == (49, 49)


def test_windows_attend_each_for_itself() -> None:
    attention = WindowAttention(4, 2, 4, window=2).eval()
    nn.init.ones_(attention.attention.project.norm.weight)
    x = numbers(1, 4, 4, 4)
    changed = x.clone()
    changed[..., 0, 0] += 1
    same = (attention(x) == attention(changed)).all(dim=1)[0]
    assert not same[:2, :2].any()
    assert same[2:].all()
    assert same[:, 2:].all()


def test_a_fresh_sandwich_returns_its_input() -> None:
    x = numbers(2, 16, 4, 4)
    assert torch.equal(Sandwich(16, 2, 4).train()(x), x)


def test_beside_a_subsampling_block_the_interaction_is_heard_at_once() -> None:
    x = numbers(2, 16, 4, 4)
    assert torch.equal(InteractedFeedForward(16)(x), x)
    assert not torch.equal(InteractedFeedForward(16, silent=False)(x), x)


def test_a_norm_folds_into_the_layer_behind_it() -> None:
    layer = NormLinear(3, 2).eval()
    with torch.no_grad():
        layer.norm.weight.copy_(torch.tensor([1.0, 2.0, 3.0]))
        layer.norm.bias.copy_(torch.tensor([0.0, 1.0, -1.0]))
        layer.norm.running_mean.copy_(torch.tensor([5.0, 0.0, 1.0]))
        layer.norm.running_var.copy_(torch.tensor([4.0, 1.0, 9.0]))
        layer.linear.weight.copy_(torch.tensor([[1.0, 1.0, 1.0], [0.0, 2.0, -1.0]]))
    x = numbers(4, 3)
    before, folded = layer(x), copy.deepcopy(layer)
    folded.fold()
    folded.fold()  # nothing is left to fold
    torch.testing.assert_close(folded(x), before)
    torch.testing.assert_close(
        folded.linear.weight, torch.tensor([[0.5, 2.0, 1.0], [0.0, 4.0, -1.0]]), rtol=1e-4, atol=0
    )
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm1d)]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((10, 4, 7), {}, "4 heads cannot share 10 channels evenly"),
        ((10, 5, 7), {}, r"5 heads need as many kernels, got \(5, 5, 5, 5\)"),
        ((8, 2, 7), {"feed": "sum"}, r"unknown feed 'sum'; choose one of \['cascade'"),
    ],
)
def test_what_attention_refuses(arguments: tuple, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CascadedGroupAttention(*arguments, **options)


def test_a_map_of_another_size_is_named() -> None:
    with pytest.raises(ValueError, match="built for maps of 4 x 4 pixels, got 5 x 4"):
        WindowAttention(8, 2, 4)(numbers(1, 8, 5, 4))
