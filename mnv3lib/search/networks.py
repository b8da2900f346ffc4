"""From a point of a space to a network (chapter 8).

Whatever a point chooses, the shapes agree: a layer has a shortcut only where its output has the
shape of its input (of its pooled input, for a pooled shortcut). A choice that finds no place has
no effect, so several points may be one network, and have one table.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch

from mnv3lib.models import Network, NetworkSpec
from mnv3lib.models.rows import BneckRow, ConvRow, Row
from mnv3lib.search.skips import SkipBneckRow, SkipConvRow
from mnv3lib.search.space import Space
from mnv3lib.search.stage import Point, Stage, StageOptions, expansion_of

__all__ = ["network_of", "spec_of", "stage_rows"]


def spec_of(space: Space, point: Point) -> NetworkSpec:
    """The table of a point.

    Points of inverted residuals with identity shortcuts, such as MnasNet-A1's, have the rows of
    :mod:`mnv3lib.models.rows` alone and can go wherever a table can; the others also have rows of
    :mod:`mnv3lib.search.skips`.

    Args:
        space: A space.
        point: One of its points.

    Returns:
        Stem, layers and head; ``with_classes`` changes the number of classes.

    Raises:
        ValueError: The point is not of this space.
    """
    space.indices(point)  # checks
    rows = list(space.stem)
    for options, stage in zip(space.stages, point, strict=True):
        rows += stage_rows(options, stage, rows[-1].out)
    return replace(
        space.base,
        family=space.name,
        source=f"a point of {space.name}",
        rows=(*rows, *space.head),
        stages=(),
    )


def network_of(
    space: Space, point: Point, *, num_classes: int = 1000, generator: torch.Generator | None = None
) -> Network:
    """Builds the network of a point, with fresh weights.

    Args:
        space: A space.
        point: One of its points.
        num_classes: Classes of the last layer.
        generator: Source of the initial weights; PyTorch's global one when not given.

    Raises:
        ValueError: The point is not of this space, or fewer than one class.
    """
    return Network(spec_of(space, point).with_classes(num_classes), generator=generator)


def stage_rows(options: StageOptions, stage: Stage, in_channels: int) -> Iterator[Row]:
    """Yields the rows of one stage.

    Args:
        options: What is fixed about the stage: stride and activation.
        stage: What is chosen.
        in_channels: Channels that the stage before hands over.
    """
    for index in range(stage.layers):
        yield _layer(stage, in_channels, options.stride if index == 0 else 1, options.act)
        in_channels = stage.filters


def _layer(stage: Stage, in_channels: int, stride: int, act: str) -> Row:
    same_channels = in_channels == stage.filters
    fits = {"none": True, "identity": same_channels and stride == 1, "pool": same_channels}
    skip = stage.skip if fits[stage.skip] else "none"
    expansion = expansion_of(stage.op)
    if expansion is None:
        row = ConvRow(stage.kernel, stage.filters, act, stride)
        has_more = stage.se or skip != "none"
        return SkipConvRow(**vars(row), se=stage.se, skip=skip) if has_more else row
    row = BneckRow(stage.kernel, expansion * in_channels, stage.filters, stage.se, act, stride)
    by_itself = "identity" if fits["identity"] else "none"  # what an inverted residual does
    return row if skip == by_itself else SkipBneckRow(**vars(row), skip=skip)
