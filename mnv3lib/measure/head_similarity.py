"""How alike the heads of an attention look: the observation behind cascaded group attention.

Each head answers, for every pixel, which pixels it looks at. Two heads whose answers agree do the
same work twice. EfficientViT's authors measured that in usual transformers by the cosine between
the heads' maps, and gave each head channels of its own against it (arXiv 2305.07027, section 2.1).
All weights are positive, so even two heads that look everywhere alike have a cosine of one, and
unrelated heads one well above zero. Two more numbers say how much of a cosine is of that kind: how
evenly a head looks around, and how the rest of its map correlates with that of other heads. Taught
in the chapter on EfficientViT.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "BlockSimilarity",
    "HasMaps",
    "correlated_head",
    "evenness",
    "head_similarity",
    "nearest_head",
]


@runtime_checkable
class HasMaps(Protocol):
    """An attention that can be asked what its heads look at."""

    def maps(self, x: Tensor) -> Tensor:
        """Attention, (N, h, T, T), for what the module is called with."""


@dataclass(frozen=True)
class BlockSimilarity:
    """How alike the heads of one attention are.

    Attributes:
        name: Path of the attention inside the network.
        heads: For each head, the cosine with the head that is nearest to it, from 0 to 1,
            averaged over the images.
        evenness: For each head, see :func:`evenness`; averaged over the images.
        correlation: For each head, see :func:`correlated_head`; averaged over the images.
    """

    name: str
    heads: tuple[float, ...]
    evenness: tuple[float, ...] = ()
    correlation: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        """The average over the heads."""
        return sum(self.heads) / len(self.heads)


def nearest_head(maps: Tensor) -> Tensor:
    """The cosine of each head's map with that of the head nearest to it.

    Args:
        maps: What the heads look at, (N, h, ...), with at least two heads.

    Returns:
        Cosines, (N, h).

    Raises:
        ValueError: Fewer than two heads.

    Example:
        >>> maps = torch.tensor([[[1.0, 0, 0], [3, 4, 0], [0, 1, 0]]])
        >>> nearest_head(maps)  # cosines: 0.6 between 1 and 2, 0.8 between 2 and 3, else 0
        tensor([[0.6000, 0.8000, 0.8000]])
    """
    heads = maps.shape[1]
    if heads < 2:
        raise ValueError(f"similarity needs at least 2 heads, got {heads}")
    directions = functional.normalize(maps.flatten(2), dim=2)  # (N, h, all weights)
    cosines = directions @ directions.transpose(1, 2)
    return cosines.masked_fill(torch.eye(heads, dtype=torch.bool), -1).amax(dim=2)


def correlated_head(maps: Tensor) -> Tensor:
    """As :func:`nearest_head`, for what is left of a map when its mean is taken away.

    That is the correlation of two maps: 0 for unrelated heads, however evenly they look around,
    and below 0 for heads that look where the other does not.

    Args:
        maps: What the heads look at, (N, h, ...), with at least two heads.

    Returns:
        Correlations, (N, h).

    Raises:
        ValueError: Fewer than two heads.

    Example:
        >>> maps = torch.tensor([[[0.5, 0.5, 0], [0.5, 0, 0.5]]])  # less 1/3: cosine -0.5
        >>> correlated_head(maps)
        tensor([[-0.5000, -0.5000]])
    """
    flat = maps.flatten(2)
    return nearest_head(flat - flat.mean(dim=2, keepdim=True))


def evenness(maps: Tensor) -> Tensor:
    r"""The cosine of each head's map with that of a head that looks everywhere alike.

    With evenness e and f of two heads, and r the correlation of their maps, the cosine of the maps
    is ``e * f + r * sqrt((1 - e * e) * (1 - f * f))``. So it may be large without any correlation.

    Args:
        maps: What the heads look at, (N, h, ...).

    Returns:
        Cosines, (N, h). A head that looks everywhere alike has 1, one that looks at a single one of
        T places 1 / sqrt(T).

    Example:
        >>> evenness(torch.tensor([[[0.25, 0.25, 0.25, 0.25], [0, 1, 0, 0]]]))
        tensor([[1.0000, 0.5000]])
    """
    flat = maps.flatten(2)
    return functional.normalize(flat, dim=2).sum(dim=2) / flat.shape[2] ** 0.5


_MEASURES = (nearest_head, evenness, correlated_head)


@torch.no_grad()
def head_similarity(network: nn.Module, batches: Sequence[Tensor]) -> list[BlockSimilarity]:
    """Measures how alike the heads of each attention in a network are, on images.

    The map of a head is everything that it looks at in one image, all windows together.

    Args:
        network: A network on the CPU; it is run in evaluation mode and its mode restored.
        batches: Normalised images, each (N, 3, H, W).

    Returns:
        One entry for each attention with at least two heads, in the order of the data flow.

    Raises:
        ValueError: No images, or a network without such an attention.
    """
    if not sum(len(images) for images in batches):
        raise ValueError("no images: give at least one batch with at least one image")
    sums: dict[str, Tensor] = {}
    with _in_evaluation_mode(network):
        for images in batches:
            for name, maps in _all_maps(network, images).items():
                found = torch.stack([measure(maps) for measure in _MEASURES])  # (3, N, h)
                sums[name] = sums.get(name, 0) + found.double().sum(dim=1)
    if not sums:
        raise ValueError(f"{type(network).__name__} has no attention with at least two heads")
    total = sum(len(images) for images in batches)
    return [
        BlockSimilarity(name, *(tuple(values) for values in (s / total).tolist()))
        for name, s in sums.items()
    ]


def _all_maps(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """What every attention looks at, (N, h, ...), with the windows of an image together."""
    found: dict[str, Tensor] = {}

    def note(name: str) -> object:
        def hook(module: HasMaps, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            maps = module.maps(*inputs)  # (N windows, h, T, T)
            if maps.shape[1] > 1:
                parts = maps.unflatten(0, (len(images), -1))
                found[name] = parts.transpose(1, 2).flatten(2)  # (N, h, all weights)

        return hook

    attentions = {n: m for n, m in network.named_modules() if isinstance(m, HasMaps)}
    hooks = [module.register_forward_hook(note(name)) for name, module in attentions.items()]
    try:
        network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return found


@contextmanager
def _in_evaluation_mode(network: nn.Module) -> Iterator[None]:
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)
