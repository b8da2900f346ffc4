"""Activation memory: how many bytes of feature maps a row needs at its worst moment.

MobileNetV2 argues that thin bottlenecks bound the memory of inference (arXiv 1801.04381,
section 5.1). This module measures what a layer-by-layer runtime holds. Taught in chapter 2.
"""

import copy
from collections.abc import Callable

import torch
from torch import nn

from mnv3lib.measure.counting import row_modules
from mnv3lib.measure.image_size import check_resolution, own_resolution
from mnv3lib.models.builder import Network
from mnv3lib.models.deploy import deploy
from mnv3lib.models.running import earlier_rows, run_rows
from mnv3lib.ops import ResidualBlock

__all__ = ["activation_memory"]

_IN_PLACE = (nn.ReLU, nn.ReLU6, nn.SiLU)


def activation_memory(
    model: nn.Module, resolution: int | None = None, *, bytes_per_element: int = 4
) -> dict[str, int]:
    """Peak bytes of activations in each row, for one square RGB image.

    Counted for the deployed form (batch norm folded), one layer after the other: the input and
    the output of a layer, the input of the block as long as a shortcut will need it, and an
    earlier row's output as long as a row further down will read it. An
    activation function works in place. Weights are not counted.

    Args:
        model: The network; it is left as it was.
        resolution: Side of the image in pixels, at least 32; the network's own if not given.
        bytes_per_element: 4 for float32, 2 for float16, 1 for int8.

    Returns:
        Bytes by row name; their maximum is the peak of the network.

    Raises:
        ValueError: A resolution below 32.
    """
    resolution = own_resolution(model) if resolution is None else resolution
    check_resolution(resolution)
    ghost = copy.deepcopy(deploy(model)).to("meta")
    peaks: dict[str, int] = {}
    for name, row in row_modules(ghost).items():
        _watch(name, row, peaks)
    with torch.no_grad():
        ghost(torch.zeros(1, 3, resolution, resolution, device="meta"))
    for name, elements in _kept_for_later(ghost, resolution).items():
        peaks[name] += elements
    return {name: peak * bytes_per_element for name, peak in peaks.items()}


def _kept_for_later(ghost: nn.Module, resolution: int) -> dict[str, int]:
    """Elements of earlier maps that wait, while a row runs, for a row further down."""
    if not isinstance(ghost, Network):
        return {}
    with torch.no_grad():
        image = torch.zeros(1, 3, resolution, resolution, device="meta")
        sizes = [y.numel() for y in run_rows(ghost.rows, image)]
    last_reader: dict[int, int] = {}
    for reader, source in earlier_rows(ghost.rows).items():
        last_reader[source] = max(reader, last_reader.get(source, 0))
    return {
        f"rows.{index}": sum(
            # The row right behind a map has it as its input anyway.
            sizes[source]
            for source, last in last_reader.items()
            if source + 1 < index <= last
        )
        for index in range(len(sizes))
    }


def _watch(name: str, row: nn.Module, peaks: dict[str, int]) -> None:
    """Notes the largest working set among the row's layers, in elements."""
    held = {"shortcut": 0}

    def enter(_: nn.Module, inputs: tuple) -> None:
        needs_shortcut = isinstance(row, ResidualBlock) and row.use_residual
        held["shortcut"] = inputs[0].numel() if needs_shortcut else 0

    def note(first: bool) -> Callable[..., None]:
        def hook(layer: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
            works_in_place = isinstance(layer, _IN_PLACE) or getattr(layer, "inplace", False)
            elements = output.numel() + (0 if works_in_place else inputs[0].numel())
            # The first layer's input is the shortcut itself: one copy serves both.
            elements += 0 if first else held["shortcut"]
            peaks[name] = max(peaks.get(name, 0), elements)

        return hook

    row.register_forward_pre_hook(enter)
    leaves = [module for module in row.modules() if not list(module.children())]
    for index, leaf in enumerate(leaves):
        leaf.register_forward_hook(note(first=index == 0))
