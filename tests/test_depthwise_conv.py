"""The depthwise convolution that leaves out what cannot change its result."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from mnv3lib.ops import ConvNormAct, DepthwiseConv2d


def gradients(forward, conv: nn.Conv2d, x: torch.Tensor) -> list[torch.Tensor]:
    """Output, gradient of the map and of the parameters, of a loss that weighs every place."""
    x = x.clone().requires_grad_()
    conv.zero_grad()
    out = forward(conv, x)
    (out * torch.linspace(-1, 1, out.numel()).reshape(out.shape)).sum().backward()
    return [out, x.grad, *(p.grad.clone() for p in conv.parameters())]


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    kernel=st.sampled_from([3, 5, 7]),
    stride=st.integers(1, 2),
    dilation=st.integers(1, 3),
    bias=st.booleans(),
)
def test_outputs_and_gradients_are_those_of_the_plain_one(
    height, width, kernel, stride, dilation, bias
):
    torch.manual_seed(0)
    geometry = {"stride": stride, "dilation": dilation, "padding": dilation * (kernel // 2)}
    conv = DepthwiseConv2d(4, 4, kernel, groups=4, bias=bias, **geometry).double()
    x = torch.randn(2, 4, height, width, dtype=torch.float64)
    ours = gradients(DepthwiseConv2d.forward, conv, x)
    plain = gradients(nn.Conv2d.forward, conv, x)
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one, other)


def test_taps_outside_of_the_map_are_cut_off_in_training(monkeypatch):
    kernels = []
    conv2d = functional.conv2d

    def watched(x, weight, *others):
        kernels.append(tuple(weight.shape))
        return conv2d(x, weight, *others)

    monkeypatch.setattr(functional, "conv2d", watched)
    unit = ConvNormAct(8, 8, 5, groups=8)
    for side in (1, 2, 4):
        unit(torch.randn(2, 8, side, side))
    unit.eval()(torch.randn(2, 8, 2, 2))
    # A map with a side of 2 meets three taps by three; in evaluation nothing is cut off.
    assert kernels == [(8, 1, 1, 1), (8, 1, 3, 3), (8, 1, 5, 5), (8, 1, 5, 5)]


def test_what_is_exported_is_the_plain_convolution():
    unit = ConvNormAct(8, 8, 5, groups=8).train()
    graph = torch.export.export(unit, (torch.randn(2, 8, 2, 2),)).graph
    assert not [node for node in graph.nodes if "pad" in node.name or "slice" in node.name]


@pytest.mark.parametrize(("groups", "kind"), [(8, DepthwiseConv2d), (1, nn.Conv2d)])
def test_units_choose_it_where_it_is_depthwise(groups, kind):
    assert type(ConvNormAct(8, 8, 3, groups=groups).conv) is kind
