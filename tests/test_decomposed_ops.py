"""Fused and Tucker blocks: their costs, their shortcuts, and the algebra behind their names."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mnv3lib import count, ops


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


# --- channels ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channels", "ratio", "expected"),
    [
        (16, 0.25, 8), (8, 0.25, 8), (32, 0.25, 8), (16, 0.75, 16), (32, 0.75, 24), (24, 0.25, 8),
        (160, 0.75, 120), (64, 0.25, 16), (12, 1, 16), (20, 1, 24), (40, 0.3, 16),
    ],
)  # fmt: skip
def test_rounding_of_mobiledets(channels, ratio, expected):
    assert ops.nearest_multiple(channels * ratio) == expected


def test_rounding_may_lose_more_than_a_tenth():
    assert (ops.nearest_multiple(18), ops.make_divisible(18)) == (16, 24)


@given(st.floats(0.1, 5000), st.integers(1, 32))
def test_rounding_is_the_nearest_multiple(value, divisor):
    rounded = ops.nearest_multiple(value, divisor)
    assert rounded % divisor == 0
    assert rounded >= divisor
    assert rounded == divisor or abs(rounded - value) <= divisor / 2 + 1e-6


@pytest.mark.parametrize(("value", "divisor"), [(0, 8), (-4, 8), (8, 0)])
def test_rounding_refuses(value, divisor):
    with pytest.raises(ValueError, match=r"at least 1|above 0"):
        ops.nearest_multiple(value, divisor)


# --- costs: 32 channels in and out, a map of 80 x 80 ---------------------------------------------

ECONOMICS = {
    "ibn_k3_e4": (lambda: ops.InvertedResidual(32, 128, 32), 9_920, 59_801_600),
    "ibn_k3_e8": (lambda: ops.InvertedResidual(32, 256, 32), 19_776, 119_603_200),
    "ibn_k5_e8": (lambda: ops.InvertedResidual(32, 256, 32, 5), 23_872, 145_817_600),
    "fused_e4": (lambda: ops.FusedInvertedResidual(32, 128, 32), 41_280, 262_144_000),
    "fused_e8": (lambda: ops.FusedInvertedResidual(32, 256, 32), 82_496, 524_288_000),
    "tucker_25_75": (lambda: ops.TuckerBlock(32, 8, 24, 32), 2_880, 17_612_800),
    "tucker_75_75": (lambda: ops.TuckerBlock(32, 24, 24, 32), 6_880, 43_008_000),
    "regular_3x3": (lambda: ops.ConvNormAct(32, 32, 3), 9_280, 58_982_400),
}


class From32Channels(nn.Module):
    """A block behind three channels repeated, which cost nothing."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(torch.cat([x] * 11, dim=1)[:, :32])


@pytest.mark.filterwarnings("ignore:not counted")
@pytest.mark.parametrize("name", ECONOMICS)
def test_block_economics(name):
    build, params, macs = ECONOMICS[name]
    counted = count(From32Channels(build()), 80)
    assert (counted.params, counted.macs) == (params, macs)


def test_an_inverted_residual_costs_what_one_regular_convolution_costs():
    ibn, regular = (ECONOMICS[name][2] for name in ("ibn_k3_e4", "regular_3x3"))
    assert ibn / regular == pytest.approx(1, abs=0.02)


# --- shapes and shortcuts ------------------------------------------------------------------------

BLOCKS = {
    "fused": lambda c_in, c_out, **options: ops.FusedInvertedResidual(c_in, 4, c_out, **options),
    "tucker": lambda c_in, c_out, **options: ops.TuckerBlock(c_in, 2, 3, c_out, **options),
}


@pytest.mark.parametrize("build", BLOCKS.values(), ids=BLOCKS)
@pytest.mark.parametrize("padding", ["symmetric", "same"])
@pytest.mark.parametrize("side", [6, 7])
def test_shapes(build, padding, side):
    block = build(2, 5, stride=2, padding=padding)
    assert block(torch.zeros(2, 2, side, side)).shape == (2, 5, -(-side // 2), -(-side // 2))


@pytest.mark.parametrize("build", BLOCKS.values(), ids=BLOCKS)
@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, True), ({"residual": True}, True), ({"residual": False}, False), ({"stride": 2}, False)],
)
def test_shortcuts(build, options, expected):
    block = build(2, 2, **options)
    assert block.use_residual is expected
    nn.init.zeros_(block.project.norm.weight)  # what is left is the shortcut
    x = torch.rand(1, 2, 4, 4)
    torch.testing.assert_close(block(x).sum(), x.sum() if expected else torch.zeros(()))


@pytest.mark.parametrize("build", BLOCKS.values(), ids=BLOCKS)
def test_no_shortcut_between_different_shapes(build):
    with pytest.raises(ValueError, match="no shortcut from 2 to 3 channels"):
        build(2, 3, residual=True)
    with pytest.raises(ValueError, match="stride 2"):
        build(2, 2, residual=True, stride=2)


@pytest.mark.parametrize("build", BLOCKS.values(), ids=BLOCKS)
def test_the_projection_is_linear(build):
    names = [name for name, _ in build(2, 3).project.named_children()]
    assert names == ["conv", "norm"]


@pytest.mark.parametrize("build", BLOCKS.values(), ids=BLOCKS)
def test_every_parameter_learns(build):
    block = build(2, 2)
    block(torch.randn(2, 2, 5, 5, generator=seeded())).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in block.parameters())


# --- algebra -------------------------------------------------------------------------------------


def linear(block: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
    """What the convolutions of a block do alone."""
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            x = module(x)
    return x


def test_a_tucker_block_without_activations_is_one_convolution():
    block = ops.TuckerBlock(6, 2, 3, 5).double()
    kernels = (block.compress.conv.weight, block.conv.conv.weight, block.project.conv.weight)
    whole = ops.tucker_kernel(ops.TuckerFactors(*kernels))
    assert whole.shape == (5, 6, 3, 3)
    x = drawn(2, 6, 7, 7)
    torch.testing.assert_close(linear(block, x), F.conv2d(x, whole, padding=1))


def test_an_inverted_residual_without_activations_is_one_convolution():
    block = ops.InvertedResidual(4, 12, 5).double()
    kernels = (block.expand.conv.weight, block.depthwise.conv.weight, block.project.conv.weight)
    whole = ops.cp_kernel(*kernels)
    x = drawn(2, 4, 7, 7)
    torch.testing.assert_close(linear(block, x), F.conv2d(x, whole, padding=1))


def test_a_fused_block_of_kernel_1_is_an_inverted_residual_with_an_idle_depthwise_one():
    fused, thin = ops.FusedInvertedResidual(4, 8, 5, 1), ops.InvertedResidual(4, 8, 5, 1)
    thin.expand.conv.weight = fused.fused.conv.weight
    thin.project.conv.weight = fused.project.conv.weight
    nn.init.ones_(thin.depthwise.conv.weight)
    x = torch.randn(2, 4, 3, 3, generator=seeded())
    torch.testing.assert_close(linear(fused, x), linear(thin, x))


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
def test_decomposition_at_the_kernels_own_ranks_is_exact(in_rank, out_rank, seed):
    compress, core = drawn(in_rank, 4, 1, 1, seed=seed), drawn(out_rank, in_rank, 3, 3, seed=seed)
    project = drawn(5, out_rank, 1, 1, seed=seed + 100)
    weight = ops.tucker_kernel(ops.TuckerFactors(compress, core, project))
    found = ops.tucker_decomposition(weight, in_rank, out_rank)
    assert [tuple(part.shape) for part in found] == [
        (in_rank, 4, 1, 1), (out_rank, in_rank, 3, 3), (5, out_rank, 1, 1)
    ]  # fmt: skip
    torch.testing.assert_close(ops.tucker_kernel(found), weight, atol=1e-6, rtol=1e-6)


def test_error_of_a_decomposition_falls_with_the_rank():
    weight = drawn(6, 6, 3, 3)
    errors = [
        (ops.tucker_kernel(ops.tucker_decomposition(weight, rank, rank)) - weight).norm().item()
        for rank in range(1, 7)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("in_rank", "out_rank"), [(0, 1), (1, 0), (4, 1), (1, 3)])
def test_decomposition_refuses_ranks(in_rank, out_rank):
    with pytest.raises(ValueError, match=r"ranks must be 1 to 3 \(in\) and 1 to 2 \(out\)"):
        ops.tucker_decomposition(torch.zeros(2, 3, 3, 3), in_rank, out_rank)


def test_decomposition_refuses_what_is_no_kernel():
    with pytest.raises(ValueError, match="four axes"):
        ops.tucker_decomposition(torch.zeros(2, 3), 1, 1)
    with pytest.raises(ValueError, match="do not follow"):
        ops.tucker_kernel(ops.TuckerFactors(*(torch.ones(2, 3, 1, 1) for _ in range(3))))
    with pytest.raises(ValueError, match="one middle width"):
        ops.cp_kernel(torch.ones(4, 2, 1, 1), torch.ones(4, 2, 3, 3), torch.ones(2, 4, 1, 1))
