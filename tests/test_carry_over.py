"""Weights for a shrunk network: the right slices, and the same function where nothing is lost."""

import pytest
import torch

from mnv3lib.models import Network, NetworkSpec, model_spec
from mnv3lib.models.rows import BneckRow, ConvRow, DenseRow, PoolRow
from mnv3lib.search.carry_over import carry_over, filter_norms
from mnv3lib.search.shrinking import keeps_structure, width_grid, width_groups, with_width

SPECS = {
    "v3": model_spec("mobilenet_v3_small", width_mult=0.5, num_classes=5, removed_strides=2),
    "mnasnet": model_spec("mnasnet_a1", width_mult=0.35, num_classes=5),
    "v1": model_spec("mobilenet_v1", width_mult=0.25, num_classes=5),
}
BLOCK = NetworkSpec(
    "block",
    (
        ConvRow(3, 2, "relu", 2),
        BneckRow(3, 4, 2, False, "relu"),
        ConvRow(1, 3, "relu"),
        PoolRow(),
        DenseRow(2),
    ),
    "made up",
)


def random_network(spec, seed=0):
    """A network in double precision whose tensors, statistics included, are all random."""
    generator = torch.Generator().manual_seed(seed)
    network = Network(spec, generator=generator).double().eval()
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.1)
            if tensor.ndim > 1:
                tensor.sub_(0.6)
    return network


def dead_channels(network, group, dead):
    """Makes some channels of a group exactly zero, wherever they come into being."""
    makers = {"exp": ("expand", "depthwise"), "out": ("project", "pointwise")}
    for index, column in group.cells:
        row = network.rows[index]
        parts = [getattr(row, name, None) for name in makers[column]]
        for part in [row] if hasattr(row, "conv") else filter(None, parts):
            for tensor in (
                part.conv.weight,
                part.norm.weight,
                part.norm.bias,
                part.norm.running_mean,
            ):
                tensor.data[dead] = 0
        if column == "out" and hasattr(network.rows[index + 1], "depthwise"):
            following = network.rows[index + 1]
            if getattr(following, "expand", None) is None:  # its norms would wake them again
                for tensor in (
                    following.depthwise.norm.bias,
                    following.depthwise.norm.running_mean,
                ):
                    tensor.data[dead] = 0


def dead_squeezed(network, smaller):
    """Makes squeezed channels zero where the smaller network has fewer of them."""
    for row, other in zip(network.rows, smaller.rows, strict=True):
        if getattr(row, "se", None) is not None:
            fewer = other.se.reduce.out_channels
            row.se.reduce.weight.data[fewer:] = 0
            row.se.reduce.bias.data[fewer:] = 0


def half(spec, group):
    """About half the width of a group, but no width that would equal one beside it."""
    widths = [w for w in width_grid(spec)[group.index] if w <= max(8, group.width // 2)]
    legal = [w for w in widths if keeps_structure(spec, with_width(spec, group, w))]
    return legal[0] if legal else None


# All kinds of blocks, with and without shortcut and squeeze-and-excite, in little time.
SOME = {"v3": 15, "mnasnet": 12, "v1": 3}
CASES = [
    pytest.param(name, group, half(SPECS[name], group), keep, id=f"{name}-{group.index}-{keep}")
    for name, most in SOME.items()
    for group in width_groups(SPECS[name])[:most]
    for keep in (("l2", "truncation") if group.index % 4 == 0 else ("l2",))
    if half(SPECS[name], group)
]


@pytest.mark.parametrize(("name", "group", "width", "keep"), CASES)
def test_without_dead_channels_the_function_is_the_same(name, group, width, keep):
    network = random_network(SPECS[name])
    order = torch.arange(group.width)
    if keep == "l2":  # the norms find the dead ones wherever they are
        order = torch.randperm(group.width, generator=torch.Generator().manual_seed(1))
    dead_channels(network, group, order[width:])
    dead_squeezed(network, carry_over(network, group, width))
    smaller = carry_over(network, group, width, keep)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        torch.testing.assert_close(smaller(x), network(x), rtol=1e-9, atol=1e-9)


def test_all_groups_are_tried():
    tried = {(case.values[0], case.values[1].kind) for case in CASES}
    kinds = [("v3", "expansion"), ("v3", "bottleneck"), ("mnasnet", "expansion")]
    assert tried == {*kinds, ("mnasnet", "bottleneck"), ("v1", "bottleneck")}


def test_norms_of_tied_layers_add_up_by_squares():
    network = Network(BLOCK)
    bottleneck, expansion = width_groups(BLOCK)
    state = network.state_dict()
    state["rows.0.conv.weight"].zero_()[:, 0, 0, 0] = torch.tensor([3.0, 1.0])
    state["rows.1.project.conv.weight"].zero_()[:, 1, 0, 0] = torch.tensor([4.0, 0.0])
    state["rows.1.expand.conv.weight"].copy_(torch.arange(8.0).reshape(4, 2, 1, 1))
    assert filter_norms(network, bottleneck).tolist() == [5.0, 1.0]
    squares = torch.tensor([0 + 1, 4 + 9, 16 + 25, 36 + 49])
    torch.testing.assert_close(filter_norms(network, expansion), squares.sqrt())


@pytest.mark.parametrize(("keep", "kept"), [("truncation", [0, 1]), ("l2", [1, 3])])
def test_every_tensor_of_a_block_is_cut(keep, kept):
    network = random_network(BLOCK)
    weight = network.rows[1].expand.conv.weight.data
    weight[:] = torch.tensor([1.0, 4, 2, 3]).reshape(4, 1, 1, 1)
    # Two of four channels would equal the input, so the input first shrinks to one.
    thin = carry_over(network, width_groups(BLOCK)[0], 1)
    (expansion,) = (g for g in width_groups(thin.spec) if g.kind == "expansion")
    smaller = carry_over(thin, expansion, 2, keep)
    old, new = thin.rows[1], smaller.rows[1]
    assert torch.equal(new.expand.conv.weight, old.expand.conv.weight[kept])
    assert torch.equal(new.depthwise.conv.weight, old.depthwise.conv.weight[kept])
    assert torch.equal(new.depthwise.norm.running_var, old.depthwise.norm.running_var[kept])
    assert torch.equal(new.project.conv.weight, old.project.conv.weight[:, kept])
    assert torch.equal(new.project.norm.bias, old.project.norm.bias)
    assert torch.equal(smaller.rows[4].linear.weight, thin.rows[4].linear.weight)


def test_of_equal_norms_the_first_stay():
    network = Network(BLOCK)
    network.rows[1].expand.conv.weight.data.fill_(1.0)
    smaller = carry_over(network, width_groups(BLOCK)[1], 3, "l2")
    old, new = network.rows[1].depthwise.conv.weight, smaller.rows[1].depthwise.conv.weight
    assert torch.equal(new, old[:3])


def test_the_network_before_and_the_random_state_are_left_alone():
    network = random_network(SPECS["v3"]).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    smaller = carry_over(network, width_groups(network.spec)[1], 16)
    assert torch.equal(torch.rand(1), expected)
    for tensor in smaller.state_dict().values():
        tensor.zero_()
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
    assert smaller.training
    assert all(p.requires_grad for p in smaller.parameters())


def test_unknown_rules_are_refused():
    with pytest.raises(ValueError, match="unknown rule 'random'; choose one of 'truncation', 'l2'"):
        carry_over(Network(BLOCK), width_groups(BLOCK)[1], 3, "random")
