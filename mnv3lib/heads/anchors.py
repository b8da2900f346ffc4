"""Anchors: the boxes that a detector starts from (chapter 10).

Each cell of each map owns a few boxes of fixed shapes around its centre; the coarser the map, the
larger they are. Two layouts are in use and are not interchangeable:

================== ================================ =============================
..                 ``"tf"``                         ``"torchvision"``
================== ================================ =============================
first map          3 shapes, one of half the scale  6
other maps         6                                6
shapes of a map    1, 2, 1/2, 3, 1/3, 1 (larger)    1, 1 (larger), 2, 1/2, 3, 1/3
wider than image   stay so                          cut to the image's size
at 320 pixels      2034                             3234
================== ================================ =============================

Sources: the object detection code of tensorflow/models (multiple_grid_anchor_generator) and
pytorch/vision (anchor_utils). Scale s_k of map k runs linearly from the first to the last of
``scales``; 'larger' is the geometric mean of s_k and s_(k+1), the one after the last being 1.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

__all__ = ["AnchorKind", "AnchorLayout", "Shape"]

AnchorKind = Literal["tf", "torchvision"]
Shape = tuple[float, float]  # width and height as shares of the image's side


def _shape(scale: float, ratio: float) -> Shape:
    """The box of area scale^2 whose width is `ratio` times its height."""
    return scale * math.sqrt(ratio), scale / math.sqrt(ratio)


def _tf_shapes(scales: list[float], index: int) -> list[Shape]:
    scale = scales[index]
    if index == 0:  # "reduce_boxes_in_lowest_layer"; the code says 0.1, half of its usual 0.2
        return [_shape(scale / 2, 1), _shape(scale, 2), _shape(scale, 0.5)]
    larger = math.sqrt(scale * scales[index + 1])
    ratios = (1, 2, 0.5, 3, 0.3333)  # 0.3333, not 1/3, is what the code says
    return [*(_shape(scale, ratio) for ratio in ratios), _shape(larger, 1)]


def _torchvision_shapes(scales: list[float], index: int) -> list[Shape]:
    scale = scales[index]
    larger = math.sqrt(scale * scales[index + 1])
    shapes = [(scale, scale), (larger, larger)]
    for ratio in (2, 3):
        width, height = _shape(scale, ratio)
        shapes += [(width, height), (height, width)]
    return [(min(width, 1.0), min(height, 1.0)) for width, height in shapes]


_SHAPES: dict[str, Callable[[list[float], int], list[Shape]]] = {
    "tf": _tf_shapes,
    "torchvision": _torchvision_shapes,
}


@dataclass(frozen=True)
class AnchorLayout:
    """Which shapes the anchors of each map have.

    Attributes:
        kind: ``"tf"`` or ``"torchvision"``.
        scales: Scale of the first and of the last map, as shares of the image's side. Small
            objects need a smaller first one than the usual 0.2.
        num_maps: Number of feature maps.

    Raises:
        ValueError: Unknown kind, or scales that do not rise from above 0 to at most 1.
    """

    kind: AnchorKind = "tf"
    scales: tuple[float, float] = (0.2, 0.95)
    num_maps: int = 6

    def __post_init__(self) -> None:
        if self.kind not in _SHAPES:
            raise ValueError(f"unknown anchor layout {self.kind!r}; choose one of {list(_SHAPES)}")
        smallest, largest = self.scales
        if not 0 < smallest <= largest <= 1:
            raise ValueError(
                f"scales must rise from above 0 to at most 1, got {self.scales}; "
                "they are shares of the image's side, such as (0.2, 0.95)"
            )

    @property
    def shapes(self) -> tuple[list[Shape], ...]:
        """Width and height of the anchors of each map, as shares of the image's side."""
        smallest, largest = self.scales
        step = (largest - smallest) / max(1, self.num_maps - 1)
        scales = [*(smallest + step * index for index in range(self.num_maps)), 1.0]
        return tuple(_SHAPES[self.kind](scales, index) for index in range(self.num_maps))

    @property
    def per_map(self) -> tuple[int, ...]:
        """Anchors at each cell, map by map."""
        return tuple(len(shapes) for shapes in self.shapes)

    def anchors(self, map_sizes: Sequence[int], image_size: int) -> Tensor:
        """All anchors of a square image.

        Args:
            map_sizes: Cells along a side, map by map.
            image_size: Side of the image in pixels.

        Returns:
            Corners in pixels, (A, 4), which may leave the image. Shapes vary fastest, then x,
            then y, then the map; the heads' outputs come in the same order.

        Raises:
            ValueError: Another number of maps than the layout has.

        Example:
            >>> AnchorLayout("tf").anchors([20, 10, 5, 3, 2, 1], 320).shape
            torch.Size([2034, 4])
        """
        if len(map_sizes) != self.num_maps:
            raise ValueError(f"the layout is for {self.num_maps} maps, got sizes {map_sizes}")
        grids = [_grid(size, shapes) for size, shapes in zip(map_sizes, self.shapes, strict=True)]
        return torch.cat(grids) * image_size


def _grid(size: int, shapes: list[Shape]) -> Tensor:
    """Anchors of one map as shares of the image's side, (size * size * shapes, 4)."""
    centres = (torch.arange(size) + 0.5) / size
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    centre = torch.stack([x, y], dim=-1)[:, :, None]  # (size, size, 1, 2)
    half = torch.tensor(shapes) / 2  # (shapes, 2)
    return torch.cat([centre - half, centre + half], dim=-1).flatten(0, 2)
