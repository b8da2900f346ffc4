"""One cell of a comparison of spaces: find a network on a device, train it, measure it.

Two ways of finding are compared. A *search* is that of :mod:`mnv3lib.search.one_shot_detection`. A
*draw* takes the first random point whose latency is near the target: what a space is worth without
any search in it. What is found is trained from scratch in both, by the same recipe.

A cell is independent of all others and travels to workers, see :mod:`mnv3lib.executors`. Shown in
the chapter on MobileDets.
"""

from collections import Counter
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from mnv3lib.measure import count
from mnv3lib.search.absolute_reward import AbsoluteReward
from mnv3lib.search.encoding import decode, sample_codes
from mnv3lib.search.layer_space import LayerSpace
from mnv3lib.search.linear_latency import LinearLatency
from mnv3lib.search.one_shot_detection import OneShotSettings, search_one_shot, with_network
from mnv3lib.search.simulated_device import DEVICES, device_latency
from mnv3lib.train.recipe import Recipe
from mnv3lib.train.run import load_images, train

__all__ = ["LayerCell", "draw_near", "find", "kinds_of", "median_latency", "run_cell"]

_DRAWN = 1000  # points whose median latency is a target, or among which one near it is looked for
_LAST = 0.1  # share of a search whose paths tell what it came to
_METRICS = ("map", "map50")


class LayerCell(NamedTuple):
    """What is found and trained, as a worker gets it.

    Attributes:
        space: Where it is found.
        device: Name of one of :data:`mnv3lib.search.simulated_device.DEVICES`.
        way: ``"search"`` or ``"draw"``.
        reward: What a search looks for; its target is that of a draw, too.
        recipe: How what is found is trained.
        held_out: Training images that judge paths of a search instead of training them.
        settings: How a search goes.
        seed: Decides all that is random.
        root: Where the data lie; None for `MNV3_DATA`.
    """

    space: LayerSpace
    device: str
    way: Literal["search", "draw"]
    reward: AbsoluteReward
    recipe: Recipe
    held_out: int
    settings: OneShotSettings
    seed: int
    root: str | None = None

    @property
    def latency(self) -> LinearLatency:
        """Latencies on the device, of images as large as the recipe's."""
        return device_latency(self.space, DEVICES[self.device], self.recipe.data.resolution)


def median_latency(space: LayerSpace, latency: LinearLatency) -> float:
    """The median latency of points drawn from a space."""
    codes = sample_codes(space, _DRAWN, torch.Generator().manual_seed(0))
    return latency(codes).median().item()


def draw_near(
    space: LayerSpace, latency: LinearLatency, target: float, seed: int, *, within: float = 0.05
) -> Tensor:
    """Draws points until one is near the target.

    Args:
        space: The space.
        latency: Latencies of its points.
        target: The latency aimed at.
        seed: Decides what is drawn.
        within: How near, as a share of the target.

    Returns:
        Its code, int64 (D,).

    Raises:
        ValueError: None of a thousand points is.
    """
    codes = sample_codes(space, _DRAWN, torch.Generator().manual_seed(seed))
    near = ((latency(codes) / target - 1).abs() <= within).nonzero()
    if not len(near):
        raise ValueError(
            f"none of {_DRAWN} points of {space.name} is within {within:.0%} of a latency of "
            f"{target:g}; their median is {median_latency(space, latency):g}"
        )
    return codes[near[0, 0]]


def kinds_of(space: LayerSpace, code: Tensor) -> list[list[str]]:
    """The kinds of a point's layers, block by block, in words.

    Args:
        space: The space.
        code: A code, int64 (D,).

    Returns:
        Such as ``"inverted 3 4"``: the kind, then the values of its fields; or ``"left out"``.
    """
    (point,) = decode(space, code[None])
    return [[_in_words(kind) for kind in block.layers] for block in point]


def run_cell(cell: LayerCell) -> dict[str, Any]:
    """Finds a network and trains it, ready for JSON.

    Returns:
        ``found`` (code, layers, latency over target; of a search also how it went) and
        ``trained`` (average precision on the test split, parameters and multiply-adds).

    Raises:
        ValueError: A number out of range; see :func:`draw_near` and
            :func:`mnv3lib.search.one_shot_detection.search_one_shot`.
        FileNotFoundError: The data are not there.
    """
    found = find(cell)
    return {"found": found, "trained": _train(cell, found["code"])}


def find(cell: LayerCell) -> dict[str, Any]:
    """Finds a network; see :func:`run_cell`."""
    code, more = _WAYS[cell.way](cell)
    kinds = kinds_of(cell.space, code)
    return {
        "code": code.tolist(),
        "kinds": kinds,
        "mix": dict(Counter(_first_word(kind) for block in kinds for kind in block)),
        "over_target": cell.latency(code[None]).item() / cell.reward.target,
        **more,
    }


def _search(cell: LayerCell) -> tuple[Tensor, dict[str, Any]]:
    data = cell.recipe.data.model_copy(update={"held_out": cell.held_out})
    recipe = cell.recipe.model_copy(update={"data": data})
    found = search_one_shot(
        cell.space,
        cell.latency,
        cell.reward,
        recipe,
        load_images(recipe, seed=cell.seed, root=cell.root),
        seed=cell.seed,
        settings=cell.settings,
    )
    last = max(1, int(_LAST * len(found.latency)))
    went = {
        "last_over_target": (found.latency[-last:].mean() / cell.reward.target).item(),
        "first_quality": found.quality[:last].mean().item(),
        "last_quality": found.quality[-last:].mean().item(),
        "probabilities": [[round(p, 4) for p in row.tolist()] for row in found.probabilities],
    }
    return found.code, went


def _draw(cell: LayerCell) -> tuple[Tensor, dict[str, Any]]:
    return draw_near(cell.space, cell.latency, cell.reward.target, cell.seed), {}


_WAYS = {"search": _search, "draw": _draw}


def _train(cell: LayerCell, code: list[int]) -> dict[str, Any]:
    """The detector of a point, trained from scratch and measured on the test split."""
    recipe = with_network(cell.recipe, cell.space.spec(cell.space.point(code)))
    trained = train(recipe, seed=cell.seed, root=cell.root)
    counted = count(trained.network, recipe.data.resolution)
    costs = {"macs": counted.macs, "params": counted.params}
    return {**{name: trained.metrics[name] for name in _METRICS}, **costs}


def _in_words(kind: object) -> str:
    if kind is None:
        return "left out"
    values = " ".join(f"{value:g}" for value in vars(kind).values())
    return f"{type(kind).__name__.lower()} {values}"


def _first_word(kind: str) -> str:
    return kind if kind == "left out" else kind.split()[0]
