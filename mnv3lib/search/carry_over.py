"""Weights for a shrunk network, from the network before (chapter 9).

A proposal starts from the weights that the search already has: of a group that shrinks, some
channels stay, and every tensor is cut to them along each axis that counts this group. Which stay
is open. MobileNetV3 says that it truncates (arXiv 1905.02244, final version, section 4.2), which we
read as the first ones; NetAdapt (arXiv 1804.03230) keeps the filters of largest L2 norm. Running
statistics of batch norm are carried like weights.

MobileNetV3 draws anew what is missing. Here nothing is: no width grows, and no shrinking adds a
layer (see :mod:`mnv3lib.search.shrinking`).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor

from mnv3lib.models import Network
from mnv3lib.models.rows import BneckRow, ConvRow, DenseRow, Row, SeparableRow
from mnv3lib.search.shrinking import Group, shrink

__all__ = ["Keep", "carry_over", "filter_norms"]

Keep = Literal["truncation", "l2"]
Kept = Mapping[tuple[int, str], Tensor]

# What the first axes of each part's tensors count: a column of the row, what enters the row
# ("in"), or the squeezed layer ("squeeze"). A depthwise filter has a single input channel.
_CONV = {"conv": ("out", "in"), "norm": ("out",)}
_DENSE = {"linear": ("out", "in")}
_SEPARABLE = {
    "depthwise.conv": ("in",),
    "depthwise.norm": ("in",),
    "pointwise.conv": ("out", "in"),
    "pointwise.norm": ("out",),
}
_BNECK = {
    "expand.conv": ("exp", "in"),
    "expand.norm": ("exp",),
    "depthwise.conv": ("exp",),
    "depthwise.norm": ("exp",),
    "se.reduce": ("squeeze", "exp"),
    "se.expand": ("exp", "squeeze"),
    "project.conv": ("out", "exp"),
    "project.norm": ("out",),
}
_AXES: dict[type[Row], dict[str, tuple[str, ...]]] = {
    ConvRow: _CONV,
    SeparableRow: _SEPARABLE,
    BneckRow: _BNECK,
    DenseRow: _DENSE,
}


@torch.no_grad()
def carry_over(network: Network, group: Group, width: int, keep: Keep = "truncation") -> Network:
    """Builds a network with one group shrunk, with the weights of the channels that stay.

    Args:
        network: The network before; it is left as it was.
        group: One of the groups of its table.
        width: The new width, in channels.
        keep: With ``"truncation"`` the first channels stay, with ``"l2"`` those whose filters
            have the largest norm, in their old order; of equal ones the first.

    Returns:
        The network of the shrunk table, on the same device and in the same mode and precision.

    Raises:
        ValueError: A rule of another name, or a width that the group cannot shrink to.
    """
    if keep not in _KEEP:
        raise ValueError(f"unknown rule {keep!r}; choose one of {', '.join(map(repr, _KEEP))}")
    spec = shrink(network.spec, group, width)
    state = network.state_dict()
    like = next(network.parameters())
    smaller = Network(spec, generator=torch.Generator()).to(like.device, like.dtype)
    sizes = {name: tensor.shape for name, tensor in smaller.state_dict().items()}
    kept = dict.fromkeys(group.cells, _KEEP[keep](filter_norms(network, group), width))
    kept |= _kept_squeezed(state, sizes, _KEEP[keep])
    carried = {name: _cut(name, tensor, network, kept) for name, tensor in state.items()}
    smaller.load_state_dict(carried)
    return smaller.train(network.training)


def filter_norms(network: Network, group: Group) -> Tensor:
    """The L2 norm of the filters that make each channel of a group.

    A bottleneck is made by several layers, whose outputs are added: its filters are those of all
    of them. A middle that merely follows has none of its own.

    Args:
        network: A network.
        group: One of the groups of its table.

    Returns:
        Norms, (width,).
    """
    state = network.state_dict()
    weights = (state[name] for name in _writers(network, group))
    return sum(weight.flatten(1).square().sum(1) for weight in weights).sqrt()


def _writers(network: Network, group: Group) -> Iterator[str]:
    """Names of the weights whose first axis makes the channels of a group."""
    writes = {"exp": ("expand.conv",), "out": ("conv", "pointwise.conv", "project.conv")}
    for index, column in group.cells:
        parts = _AXES[type(network.spec.rows[index])]
        for part in writes[column]:
            follows = part == "expand.conv" and network.rows[index].expand is None
            if part in parts and not follows:
                yield f"rows.{index}.{part}.weight"


def _first(norms: Tensor, count: int) -> Tensor:
    return torch.arange(count, device=norms.device)


def _largest(norms: Tensor, count: int) -> Tensor:
    order = norms.argsort(descending=True, stable=True)
    return order[:count].sort().values


_KEEP: dict[str, Callable[[Tensor, int], Tensor]] = {"truncation": _first, "l2": _largest}


def _kept_squeezed(
    state: Mapping[str, Tensor],
    sizes: Mapping[str, torch.Size],
    keep: Callable[[Tensor, int], Tensor],
) -> dict[tuple[int, str], Tensor]:
    """Which squeezed channels stay where squeeze-and-excite follows its block."""
    kept = {}
    for name, weight in state.items():
        if name.endswith(".se.reduce.weight") and len(weight) != sizes[name][0]:
            norms = weight.flatten(1).norm(dim=1)
            kept[int(name.split(".")[1]), "squeeze"] = keep(norms, sizes[name][0])
    return kept


def _cut(name: str, tensor: Tensor, network: Network, kept: Kept) -> Tensor:
    """One tensor, along each axis cut to the channels that stay."""
    _, at, *part, _ = name.split(".")
    index = int(at)
    axes = _AXES[type(network.spec.rows[index])][".".join(part)]
    if tensor.ndim == 0:  # batch norm's count of batches
        return tensor
    for axis, counts in enumerate(axes[: tensor.ndim]):
        stay = kept.get(_cell(index, counts, network))
        if stay is not None:
            tensor = tensor.index_select(axis, stay)
    return tensor


def _cell(index: int, counts: str, network: Network) -> tuple[int, str]:
    """Where the number stands that an axis counts: the input of a row is an output above it."""
    if counts != "in":
        return index, counts
    above = (i for i in range(index - 1, -1, -1) if hasattr(network.spec.rows[i], "out"))
    return next(above, -1), "out"
