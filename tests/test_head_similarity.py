"""How alike heads look, on maps made by hand and on small networks."""

import pytest
import torch
from torch import nn

from mnv3lib.measure.head_similarity import (
    BlockSimilarity,
    correlated_head,
    evenness,
    head_similarity,
    nearest_head,
)
from mnv3lib.ops import CascadedGroupAttention, SelfAttention, WindowAttention


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_the_nearest_head_by_hand() -> None:
    maps = torch.tensor([[[1.0, 0, 0], [3, 4, 0], [0, 1, 0]]])
    torch.testing.assert_close(nearest_head(maps), torch.tensor([[0.6, 0.8, 0.8]]))


def test_one_head_has_no_neighbour() -> None:
    with pytest.raises(ValueError, match="similarity needs at least 2 heads, got 1"):
        nearest_head(numbers(1, 1, 4, 4))


def test_what_an_even_look_adds_to_a_cosine() -> None:
    """Of two heads, for any maps: cosine = e f + r sqrt((1 - e e) (1 - f f))."""
    maps = numbers(6, 2, 4, 4).mul(2).softmax(dim=-1)
    e, f = evenness(maps).unbind(1)
    r = correlated_head(maps)[:, 0]
    composed = e * f + r * ((1 - e * e) * (1 - f * f)).sqrt()
    torch.testing.assert_close(nearest_head(maps)[:, 1], composed)


def test_unrelated_heads_of_single_looks() -> None:
    """Each looks at one of two pixels: alike at one place, different at the other."""
    maps = torch.tensor([[[1.0, 0, 1, 0], [1, 0, 0, 1]]])
    torch.testing.assert_close(nearest_head(maps), torch.full((1, 2), 0.5))
    torch.testing.assert_close(evenness(maps), torch.full((1, 2), 0.5**0.5))
    torch.testing.assert_close(correlated_head(maps), torch.zeros(1, 2))


def test_heads_with_equal_weights_look_alike() -> None:
    attention = CascadedGroupAttention(8, 2, 3, feed="full")
    attention.heads[1].load_state_dict(attention.heads[0].state_dict())
    (block,) = head_similarity(nn.Sequential(attention), [numbers(4, 8, 3, 3)])
    assert block.name == "0"
    assert block.heads == pytest.approx((1, 1))
    assert block.mean == pytest.approx(1)
    assert block.correlation == pytest.approx((1, 1), abs=1e-5)
    assert all(0 < value < 1 for value in block.evenness)


def opposite() -> CascadedGroupAttention:
    """Two heads in a window of two pixels: one looks at its own place only, one at the other."""
    attention = CascadedGroupAttention(2, 2, 2, kernels=(1, 1), key_channels=1)
    with torch.no_grad():
        for head in attention.heads:
            head.query.norm.weight.zero_()
        attention.bias.attention_biases[0, 0] = 100.0
        attention.bias.attention_biases[1, 3] = 100.0
    return attention


def test_heads_that_look_at_different_places_are_unlike() -> None:
    (block,) = head_similarity(nn.Sequential(opposite()), [numbers(3, 2, 2, 2)])
    assert block.heads == pytest.approx((0, 0), abs=1e-6)


def test_windows_of_an_image_belong_together() -> None:
    attention = WindowAttention(8, 2, 6, window=3)
    images = numbers(5, 8, 6, 6)
    (whole,) = head_similarity(nn.Sequential(attention), [images])
    (parts,) = head_similarity(nn.Sequential(attention), [images[:2], images[2:]])
    assert whole.heads == pytest.approx(parts.heads)
    assert all(0 < value <= 1 for value in whole.heads)


def test_usual_attention_can_be_asked_too() -> None:
    (block,) = head_similarity(nn.Sequential(SelfAttention(8, 4)), [numbers(2, 5, 8)])
    assert len(block.heads) == 4


def test_the_network_stays_as_it_was() -> None:
    network = nn.Sequential(CascadedGroupAttention(8, 2, 3)).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    head_similarity(network, [numbers(2, 8, 3, 3)])
    assert network.training
    assert not network[0]._forward_hooks
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_what_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="no images"):
        head_similarity(nn.Sequential(CascadedGroupAttention(8, 2, 3)), [])
    with pytest.raises(ValueError, match="Sequential has no attention with at least two heads"):
        head_similarity(nn.Sequential(nn.ReLU()), [numbers(1, 3, 4, 4)])
    assert BlockSimilarity("a", (0.5, 1.0)).mean == 0.75
