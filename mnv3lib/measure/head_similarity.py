"""How alike the heads of an attention look: the observation behind cascaded group attention.

Each head answers, for every pixel, which pixels it looks at. Two heads whose answers agree do the
same work twice. EfficientViT's authors measured that in usual transformers by the cosine between
the heads' maps, and gave each head channels of its own against it (arXiv 2305.07027, section 2.1).
All weights are positive, so even two heads that look everywhere alike have a cosine of one, and
unrelated heads one well above zero: compare networks, not numbers. Taught in the chapter on
EfficientViT.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["BlockSimilarity", "HasMaps", "head_similarity", "nearest_head"]


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
    """

    name: str
    heads: tuple[float, ...]

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
                sums[name] = sums.get(name, 0) + nearest_head(maps).double().sum(dim=0)
    if not sums:
        raise ValueError(f"{type(network).__name__} has no attention with at least two heads")
    total = sum(len(images) for images in batches)
    return [BlockSimilarity(name, tuple((s / total).tolist())) for name, s in sums.items()]


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
