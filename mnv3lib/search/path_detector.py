"""A detector that is many: each layer holds every kind it may be, and runs the one that is chosen.

A search with shared weights trains this instead of thousands of detectors. A point of a space is a
path through it, and its quality is that of the path, with weights that other paths have trained as
well. Widths are not shared here: the space must offer one width a block.

Batch norm has no running statistics in it, since they would be those of no path; it normalises by
the batch, in evaluation too, as TuNAS does. Taught in the chapter on MobileDets.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mnv3lib.heads.ssdlite import SSDLite
from mnv3lib.heads.ssdlite_spec import SSDLiteSpec
from mnv3lib.models.builder import build_row
from mnv3lib.models.initial_weights import initialise
from mnv3lib.models.layer_kinds import LayerBlock
from mnv3lib.search.encoding import check_codes
from mnv3lib.search.layer_space import LayerSpace, SearchedLayer

__all__ = ["ChosenLayer", "choose_path", "largest_point", "path_detector"]


class ChosenLayer(nn.Module):
    """One out of several layers.

    Args:
        options: Layers from the same channels to the same channels.

    Attributes:
        options: The layers.
        chosen: Which one runs.
    """

    def __init__(self, options: Sequence[nn.Module]) -> None:
        super().__init__()
        self.options = nn.ModuleList(options)
        self.chosen = 0

    def forward(self, x: Tensor) -> Tensor:
        """x: Feature map, (N, C, H, W). Returns what the chosen layer returns."""
        return self.options[self.chosen](x)


def largest_point(space: LayerSpace) -> tuple[LayerBlock, ...]:
    """A point that has all layers, of the first kind each; its table has a row for each layer.

    Raises:
        ValueError: A block of the space may choose its width.
    """
    for index, block in enumerate(space.blocks):
        if len(block.filters) > 1:
            raise ValueError(
                f"block {index} of {space.name} may choose among the widths {block.filters}, which "
                "no shared weights can follow; take a space of one width a block"
            )
    return space.point([0] * len(space.sizes))


def path_detector(
    space: LayerSpace, spec: SSDLiteSpec, *, generator: torch.Generator | None = None
) -> SSDLite:
    """Builds the detector that holds all points of a space.

    Args:
        space: A space of one width a block.
        spec: The detector of :func:`largest_point`.
        generator: Source of the initial weights.

    Raises:
        ValueError: A block may choose its width, or the detector is of another table.
    """
    wanted = space.spec(largest_point(space)).rows[: -space.kept_bottom]
    if spec.backbone.rows[: -space.kept_bottom] != wanted:
        raise ValueError(f"the detector is not that of the largest point of {space.name}")
    detector = SSDLite(spec, generator=generator)
    for index, layer in enumerate(space.layers, start=space.kept_top):
        detector.rows[index] = _chosen_layer(layer, spec, generator)
    for module in detector.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats = False
            module.running_mean = module.running_var = module.num_batches_tracked = None
    return detector


def choose_path(detector: SSDLite, space: LayerSpace, code: Tensor) -> None:
    """Lets the detector be that of a point from now on.

    Args:
        detector: One of :func:`path_detector`.
        space: Its space.
        code: A code, int64 (D,).

    Raises:
        ValueError: The code is not of the space.
    """
    check_codes(space, code[None])
    for index, layer in enumerate(space.layers, start=space.kept_top):
        detector.rows[index].chosen = int(code[layer.choice])


def _chosen_layer(
    layer: SearchedLayer, spec: SSDLiteSpec, generator: torch.Generator | None
) -> ChosenLayer:
    (c_in,), (c_out,) = layer.widths_in, layer.widths_out
    options = []
    for kind in layer.options:
        if kind is None:
            options.append(nn.Identity())
            continue
        with torch.device("meta"):  # weights are drawn once, below
            built = build_row(kind.row(c_in, c_out, layer.place), c_in, spec.backbone)
        built.to_empty(device="cpu")
        initialise(built, generator, rule=spec.backbone.initial)
        options.append(built)
    return ChosenLayer(options)
