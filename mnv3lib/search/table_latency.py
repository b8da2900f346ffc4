"""Costs that add up over rows, for many encoded points at once (chapter 8).

A latency table predicts a network as the sum of its rows. A row depends on the choices of its own
stage and on the channels that the stage before hands over, and on nothing else: its place fixes
the size of its map. So the rows of a stage are summed once for each such combination, and a
prediction is a look-up a stage and a sum, without building any network.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from tqdm import tqdm

from mnv3lib.measure.latency_table import LatencyTable, deployed_rows
from mnv3lib.models import Network
from mnv3lib.search.encoding import check_codes
from mnv3lib.search.networks import network_of
from mnv3lib.search.space import Space
from mnv3lib.search.stage import CHOICES, Point

__all__ = ["AdditiveCost", "RowCosts", "additive_cost", "covering_points", "table_latency"]

RowCosts = Callable[[Network], Sequence[float]]

_FILTERS, _LAYERS = CHOICES.index("filters"), CHOICES.index("layers")


@dataclass(frozen=True, eq=False)
class AdditiveCost:
    """The cost of any point of a space, from sums of rows.

    Attributes:
        space: The space.
        cells: Sums of rows, float64, those of all stages behind one another; the last part are
            the sums of stem and head.
        starts: Where the cells of each stage begin, int64 (B + 1,).
        places: What a step of each choice adds to the cell of each stage, int64 (D, B + 1).
    """

    space: Space
    cells: Tensor = field(repr=False)
    starts: Tensor = field(repr=False)
    places: Tensor = field(repr=False)

    def __call__(self, codes: Tensor) -> Tensor:
        """The costs of encoded points.

        Args:
            codes: Codes, int64 (N, D), of :func:`mnv3lib.search.encode` or ``sample_codes``.

        Returns:
            Costs, float64 (N,).

        Raises:
            ValueError: The codes are not of the space.
        """
        check_codes(self.space, codes)
        return self.cells[codes @ self.places + self.starts].sum(1)  # (N, B + 1) -> (N,)


def covering_points(space: Space) -> list[Point]:
    """Points that between them have every row of every network of a space.

    Measure the rows of these, and the table lacks none.
    """
    return [space.point(indices) for indices, _ in _covering(space)]


def additive_cost(space: Space, row_costs: RowCosts, *, num_classes: int = 1000) -> AdditiveCost:
    """Sums rows into cells.

    Args:
        space: A space.
        row_costs: Gives the cost of each row of a network; it is asked about the networks of
            :func:`covering_points`.
        num_classes: Classes of the networks.

    Returns:
        The cost of all points.
    """
    cells: list[dict[int, Sequence[float]]] = [{} for _ in range(len(space.stages) + 1)]
    covering = list(_covering(space))
    for indices, covered in tqdm(covering, "summing rows", delay=2, disable=None, leave=False):
        point = space.point(indices)
        network = network_of(space, point, num_classes=num_classes)
        sums = _stage_sums(space, point, row_costs(network))
        for stage, cell in covered.items():
            cells[stage][cell] = sums[stage]
    flat = [[cost for _, sums in sorted(part.items()) for cost in sums] for part in cells]
    sizes = torch.tensor([len(part) for part in flat])
    return AdditiveCost(
        space,
        cells=torch.tensor([cost for part in flat for cost in part], dtype=torch.float64),
        starts=sizes.cumsum(0) - sizes,
        places=_places(space),
    )


def table_latency(
    space: Space, table: LatencyTable, resolution: int, *, num_classes: int = 1000
) -> AdditiveCost:
    """Latencies in milliseconds, as ``table.predict`` gives them, for all points of a space.

    Args:
        space: A space.
        table: Times of rows; those of :func:`covering_points` are enough.
        resolution: Side of the square image in pixels.
        num_classes: Classes of the networks.

    Raises:
        MissingRowsError: The table lacks a row that some point has; the message names it.
        ValueError: A resolution below 32.
    """

    def row_costs(network: Network) -> list[float]:
        rows = deployed_rows(network, resolution)
        whole_ms = table.predict_rows(rows)
        rows_ms = [table.row_ms(row) for row in rows]
        ends_ms = whole_ms - sum(rows_ms)  # handing over image and logits: the same for all points
        return [rows_ms[0] + ends_ms, *rows_ms[1:]]

    return additive_cost(space, row_costs, num_classes=num_classes)


def _covering(space: Space) -> Iterator[tuple[list[int], dict[int, int]]]:
    """Yields indices of points, and which cell of which stages each point shows.

    A cell fixes its stage and the filters of the stage before, so that every second stage can
    show a cell of its own at a time. Depth stays at its largest: shorter stages are its beginning.
    """
    width, count = len(CHOICES), len(space.stages)
    cells = [list(_stage_cells(space, stage)) for stage in range(count + 1)]
    for parity in (0, 1):
        shown = range(parity, count + 1, 2)
        for turn in range(max(len(cells[stage]) for stage in shown)):
            indices = [0] * len(space.sizes)
            for stage, options in enumerate(space.stages):
                indices[stage * width + _LAYERS] = options.layers.index(max(options.layers))
            covered = {stage: turn % len(cells[stage]) for stage in shown}
            for stage, cell in covered.items():
                filters_before, *own = cells[stage][cell]
                if stage > 0:
                    indices[(stage - 1) * width + _FILTERS] = filters_before
                indices[stage * width : stage * width + len(own)] = own
            yield indices, covered


def _stage_cells(space: Space, stage: int) -> Iterator[tuple[int, ...]]:
    """Filters of the stage before, and all choices of the stage but its layers, in order."""
    width = len(CHOICES)
    before = len(space.stages[stage - 1].filters) if stage > 0 else 1
    own = space.sizes[stage * width : stage * width + _LAYERS]  # the head has none
    return itertools.product(range(before), *map(range, own))


def _stage_sums(space: Space, point: Point, costs: Sequence[float]) -> list[list[float]]:
    """For each stage, the cost of its first n layers for each option n; last, stem and head."""
    at = space.kept_top
    sums = []
    for options, stage in zip(space.stages, point, strict=True):
        running = list(itertools.accumulate(costs[at : at + stage.layers]))
        sums.append([running[layers - 1] for layers in options.layers])
        at += stage.layers
    return [*sums, [sum(costs[: space.kept_top]) + sum(costs[at:])]]


def _places(space: Space) -> Tensor:
    """What a step of each choice adds to the index of each stage's cell, int64 (D, B + 1)."""
    width, count = len(CHOICES), len(space.stages)
    places = torch.zeros(len(space.sizes), count + 1, dtype=torch.int64)
    for stage in range(count + 1):
        own = space.sizes[stage * width : (stage + 1) * width]
        for at in range(len(own)):
            places[stage * width + at, stage] = math.prod(own[at + 1 :])
        if stage > 0:
            places[(stage - 1) * width + _FILTERS, stage] = math.prod(own)
    return places
