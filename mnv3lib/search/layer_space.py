"""A search space in which every layer chooses its kind for itself.

MnasNet's space (:mod:`mnv3lib.search.space`) chooses once a stage. Here a block of layers chooses
its width once, and each layer what it is: an inverted residual, a fused one, a Tucker block, or,
after the first, nothing at all. That is the space of ProxylessNAS, TuNAS and MobileDets; of B
blocks and L layers it has about S^L points, so only a search that learns from single layers gets
far in it.

As in MobileDets' networks, only the first layer of a block changes width and size, and adds
nothing; each further layer adds its input, so that leaving it out is the identity. Taught in the
chapter on MobileDets.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from mnv3lib.models import NetworkSpec
from mnv3lib.models.layer_kinds import LayerBlock, LayerKind, LayerPlace, unroll_blocks
from mnv3lib.search.choices import Choice, ChoiceSpace

__all__ = ["BlockOptions", "LayerSpace", "SearchedLayer"]

Blocks = tuple[LayerBlock, ...]


@dataclass(frozen=True)
class BlockOptions:
    """What a block may choose.

    Attributes:
        filters: Options of its output channels.
        stride: Stride of the first layer.
        first: Options of the first layer.
        others: Options of each further layer; None leaves it out.
        layers: Number of layers, the first included.

    Raises:
        ValueError: No option of something, an option twice, or no layer.
    """

    filters: tuple[int, ...]
    stride: int
    first: tuple[LayerKind, ...]
    others: tuple[LayerKind | None, ...] = ()
    layers: int = 1

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise ValueError(f"a block needs at least one layer, got {self.layers}")
        needed = ("filters", "first", "others") if self.layers > 1 else ("filters", "first")
        for name in needed:
            options = getattr(self, name)
            if not options or len(set(options)) < len(options):
                raise ValueError(f"{name} needs different options, at least one; got {options}")


@dataclass(frozen=True)
class SearchedLayer:
    """One layer of a space, and which choices decide it.

    Attributes:
        block: Its block.
        options: What it may be; None leaves it out.
        choice: Index of its own choice in a code.
        widths_in: Options of the channels that enter it.
        choice_in: Index of the choice of those; None where they are fixed, in the first block.
        widths_out: Options of its output channels.
        choice_out: Index of the choice of those.
        place: Its stride, activation and shortcut.
        side_share: Product of the strides above it.
    """

    block: int
    options: tuple[LayerKind | None, ...]
    choice: int
    widths_in: tuple[int, ...]
    choice_in: int | None
    widths_out: tuple[int, ...]
    choice_out: int
    place: LayerPlace
    side_share: int


@dataclass(frozen=True)
class LayerSpace(ChoiceSpace):
    """All networks that differ in widths of blocks and kinds of layers.

    A point is a tuple of :class:`mnv3lib.models.layer_kinds.LayerBlock`; where a layer is left
    out it holds None, and layers that are missing at the end of a block count as left out.

    Attributes:
        name: Name of the space.
        source: Where it comes from.
        base: The network whose conventions, first and last rows all points share.
        kept_top: How many rows of ``base`` come before the blocks.
        kept_bottom: How many rows of ``base`` come after them.
        blocks: Options, block by block.
        act: Activation of every layer.
        se: Whether inverted residuals have squeeze-and-excite.
    """

    name: str
    source: str
    base: NetworkSpec
    kept_top: int
    kept_bottom: int
    blocks: tuple[BlockOptions, ...]
    act: str = "relu6"
    se: bool = False

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """For each block its filters, then its layers."""
        return tuple(
            choice
            for index, block in enumerate(self.blocks)
            for choice in (
                Choice(index, "filters", block.filters),
                Choice(index, "layer 0", block.first),
                *(Choice(index, f"layer {n}", block.others) for n in range(1, block.layers)),
            )
        )

    def spec(self, point: Blocks) -> NetworkSpec:
        """The table of a point.

        Raises:
            ValueError: The point is not of this space.
        """
        self.indices(point)  # checks
        top, bottom = self.base.rows[: self.kept_top], self.base.rows[-self.kept_bottom :]
        rows = unroll_blocks(top[-1].out, point, act=self.act, se=self.se)
        names = {"family": self.name, "source": f"a point of {self.name}", "stages": ()}
        return replace(self.base, rows=(*top, *rows, *bottom), **names)

    @cached_property
    def layers(self) -> tuple[SearchedLayer, ...]:
        """All layers that a point may have, top to bottom."""
        return tuple(self._searched_layers())

    def _searched_layers(self) -> Iterator[SearchedLayer]:
        top = self.base.rows[: self.kept_top]
        share = 1
        for row in top:
            share *= getattr(row, "stride", 1)
        widths, choice_in, choice = (top[-1].out,), None, 0
        for index, block in enumerate(self.blocks):
            choice_out = choice
            for number in range(block.layers):
                first = number == 0
                options = block.first if first else block.others
                stride = block.stride if first else 1
                place = LayerPlace(self.act, self.se, stride, residual=not first)
                inputs = widths, choice_in
                choice += 1
                yield SearchedLayer(
                    index, options, choice, *inputs, block.filters, choice_out, place, share
                )
                share *= stride
                widths, choice_in = block.filters, choice_out
            choice += 1

    def _assembled(self, options: list[Any]) -> Blocks:
        rest = iter(options)
        point = []
        for block in self.blocks:
            filters = next(rest)
            layers = tuple(next(rest) for _ in range(block.layers))
            point.append(LayerBlock(filters, block.stride, layers))
        return tuple(point)

    def _taken(self, point: Blocks) -> list[Any]:
        if len(point) != len(self.blocks):
            raise ValueError(
                f"a point of {self.name} has {len(self.blocks)} blocks, got {len(point)}"
            )
        taken: list[Any] = []
        for index, (options, block) in enumerate(zip(self.blocks, point, strict=True)):
            missing = options.layers - len(block.layers)
            if missing < 0 or block.stride != options.stride or not block.layers:
                raise ValueError(
                    f"block {index} of {self.name} has stride {options.stride} and 1 to "
                    f"{options.layers} layers, got stride {block.stride} and {len(block.layers)}"
                )
            taken += [block.filters, *block.layers, *[None] * missing]
        return taken
