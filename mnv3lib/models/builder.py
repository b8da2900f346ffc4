"""From a table to a network: one module per row, in the table's order (chapter 5).

What a single row becomes is in :mod:`mnv3lib.models.row_modules`.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from mnv3lib.models.image_check import check_images
from mnv3lib.models.initial_weights import initialise
from mnv3lib.models.row_modules import Place, row_module
from mnv3lib.models.rows import NetworkSpec, PoolRow, Row
from mnv3lib.models.running import Rows, run_rows

__all__ = ["Network", "build_row"]

_USUAL = 224  # the side, in pixels, of a network's images unless its table names another


def build_row(
    row: Row,
    in_channels: int,
    spec: NetworkSpec,
    *,
    stride: int | None = None,
    dilation: int = 1,
    side: int | None = None,
    earlier_channels: int | None = None,
) -> nn.Module:
    """Builds the module of one row, by its kind.

    Args:
        row: A line of a table.
        in_channels: Channels (or features) that enter it.
        spec: Conventions of the network around it.
        stride: Replaces the row's own stride.
        dilation: Dilation of the row's kernel.
        side: Side of the map that enters it, in pixels, where a row has to know it.
        earlier_channels: Channels of the earlier row that it reads as well, if it does.

    Returns:
        A module from (N, in_channels, H, W), or (N, in_channels) behind pooling.

    Raises:
        ValueError: A kind of row that is not known, or conventions that it cannot follow.
    """
    stride = getattr(row, "stride", 1) if stride is None else stride
    return row_module(row, Place(in_channels, spec, stride, dilation, side, earlier_channels))


class Network(nn.Module):
    """A network that mirrors its table: ``rows[i]`` is line *i*.

    Args:
        spec: The table and its conventions.
        generator: Source of the initial weights; PyTorch's global one when not given.

    Attributes:
        spec: The table this network was built from.
        feature_channels: Channels of the maps that :meth:`features` returns.
        min_resolution: Product of all strides, as of smaller images less than a pixel would
            remain; the only size of a network that is built for one.
        resolution: Side in pixels of the images that it is made for.

    Raises:
        ValueError: ``spec.output_stride`` is not 8, 16, 32 or the table's own, or a row cannot
            follow the conventions.
    """

    def __init__(self, spec: NetworkSpec, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.spec = spec
        self.rows = Rows()
        self.feature_channels: dict[str, int] = {}
        total_stride = math.prod(getattr(row, "stride", 1) for row in spec.rows)
        _check_output_stride(spec, total_stride)
        self.resolution = spec.resolution or _USUAL
        self.min_resolution = total_stride if spec.any_size else self.resolution
        self._levels: list[str | None] = []
        with torch.device("meta"):  # weights are drawn once, below, not also by each layer
            for row, place, nominal_stride in _places(spec):
                self.rows.append(row_module(row, place))
                self._note_level(nominal_stride, getattr(row, "out", place.in_channels))
        self.to_empty(device="cpu")
        initialise(self, generator, rule=spec.initial)

    def _note_level(self, nominal_stride: int, channels: int) -> None:
        is_map = len(self._levels) < len(self.spec.map_rows)
        level = f"C{nominal_stride.bit_length() - 1}" if is_map and nominal_stride > 1 else None
        self._levels.append(level)
        if level is not None:
            self.feature_channels[level] = channels

    def forward(self, x: Tensor) -> Tensor:
        """Classifies images.

        Args:
            x: Images, (N, 3, H, W), both sides at least :attr:`min_resolution` pixels; exactly
                :attr:`resolution` pixels in a network that is built for one size.

        Returns:
            Logits, (N, classes).

        Raises:
            ValueError: Not a batch of RGB images, too small, or not of the only size.
        """
        self.check_images(x)
        return self.rows(x)

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """The last map at each resolution, before pooling.

        Args:
            x: Images, as :meth:`forward` takes them.

        Returns:
            ``{"C1": ..., "C5": ...}``; level k has stride 2^k, or the output stride if that is
            smaller. Channels are in :attr:`feature_channels`.

        Raises:
            ValueError: As for :meth:`forward`.
        """
        self.check_images(x)
        outputs = run_rows(self.rows[: len(self.spec.map_rows)], x)
        named = zip(self._levels, outputs, strict=False)
        return {level: y for level, y in named if level is not None}

    def check_images(self, x: Tensor) -> None:
        """Raises a ValueError unless x is a batch of images that this network takes.

        Args:
            x: What is to be images, (N, 3, H, W).
        """
        only = None if self.spec.any_size else self.resolution
        check_images(x, self.min_resolution, only=only)


def _check_output_stride(spec: NetworkSpec, total_stride: int) -> None:
    known = (8, 16, 32) if total_stride <= 32 else (8, 16, 32, total_stride)
    if spec.output_stride not in known:
        *others, last = known
        listed = ", ".join(map(str, others))
        raise ValueError(f"output_stride must be {listed} or {last}, got {spec.output_stride}")


def _places(spec: NetworkSpec) -> Iterator[tuple[Row, Place, int]]:
    """Yields each row, where it is built, and the product of the table's strides so far."""
    outs = [3]  # channels of the image and after each row
    side = None if spec.any_size else spec.resolution
    nominal_stride, dilation = 1, 1
    for index, row in enumerate(spec.rows):
        stride = getattr(row, "stride", 1)
        nominal_stride *= stride
        keeps_size = nominal_stride > spec.output_stride
        used = 1 if keeps_size else stride
        yield (
            row,
            Place(outs[-1], spec, used, dilation, side, _earlier_channels(row, index, outs)),
            nominal_stride,
        )
        if keeps_size:  # slim's rule: the block that loses its stride is not yet dilated
            dilation *= stride
        outs.append(getattr(row, "out", outs[-1]))
        if side is not None:
            side = 1 if isinstance(row, PoolRow) else -(-side // used)


def _earlier_channels(row: Row, index: int, outs: list[int]) -> int | None:
    source = getattr(row, "source", None)
    if source is None:
        return None
    if not 0 <= source < index:
        raise ValueError(f"row {index} reads row {source}, which is not above it")
    return outs[source + 1]
