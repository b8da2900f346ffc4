"""Trained networks of a space as a benchmark: searches in seconds, on real accuracies (chapter 8).

A few hundred networks of the space were trained and recorded (:mod:`mnv3lib.search.record_benchmark`),
and so were the latencies of all its rows (:mod:`mnv3lib.search.record_latency`). A surrogate
spreads the accuracies over the whole space, the table does so with the latencies; a search that
asks for a thousand networks takes less than a second, and can be repeated with many seeds.
"""  # noqa: E501  a module's name does not break

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from mnv3lib.measure.latency_table import LatencyTable
from mnv3lib.runs import read_run
from mnv3lib.search.encoding import from_ranks
from mnv3lib.search.history import Evaluation
from mnv3lib.search.space import Space
from mnv3lib.search.spaces import find_space
from mnv3lib.search.surrogate import Surrogate, cross_validate
from mnv3lib.search.table_latency import AdditiveCost, table_latency

__all__ = ["Benchmark", "load_benchmark"]


@dataclass(frozen=True, eq=False)
class Benchmark:
    """Networks of a space that were trained, and what is known of all others.

    Attributes:
        space: The space.
        codes: The trained networks, int64 (M, D).
        accuracies: Their accuracies as shares, float64 (M, S), a column a seed.
        latency: Latencies of the whole space in milliseconds.
    """

    space: Space
    codes: Tensor
    accuracies: Tensor = field(repr=False)
    latency: AdditiveCost = field(repr=False)

    def __call__(self, codes: Tensor) -> Evaluation:
        """Accuracy by the surrogate and latency by the table; an evaluator for any point.

        Args:
            codes: int64 (N, D).

        Raises:
            ValueError: The codes are not of the space.
        """
        return Evaluation(self.surrogate(codes).clamp(0, 1), self.latency(codes))

    @cached_property
    def surrogate(self) -> Surrogate:
        """Predicts the mean accuracy over seeds, from all trained networks."""
        return Surrogate.fit(self.space, self.codes, self.accuracies.mean(1))

    @cached_property
    def every(self) -> Tensor:
        """All points of the space, int64 (cardinality, D)."""
        return from_ranks(self.space, torch.arange(self.space.cardinality))

    @property
    def seed_deviation(self) -> float:
        """Standard deviation of one training over seeds, pooled over the networks."""
        return self.accuracies.var(1).mean().sqrt().item()

    def predicted(self, *, folds: int = 10, seed: int = 0) -> Tensor:
        """The accuracy of each trained network by surrogates that have not seen it, float64 (M,).

        Args:
            folds: Parts that are left out in turn.
            seed: Decides which network is in which part.
        """
        generator = torch.Generator().manual_seed(seed)
        means = self.accuracies.mean(1)
        return cross_validate(self.space, self.codes, means, folds=folds, generator=generator)


def load_benchmark(
    trained: str = "search-benchmark", latencies: str = "search-latency"
) -> Benchmark:
    """Reads a benchmark from two recorded runs.

    Args:
        trained: The run of the trained networks.
        latencies: The run of the latency table.

    Raises:
        FileNotFoundError: A run is not there.
        ValueError: The runs are about different spaces, or the table lacks rows.
    """
    networks, table = read_run(trained), read_run(latencies)
    names = networks.config["space"], table.config["space"]
    if names[0] != names[1]:
        raise ValueError(f"{trained} is about the space {names[0]}, {latencies} about {names[1]}")
    space = find_space(names[0])
    return Benchmark(
        space,
        codes=from_ranks(space, torch.tensor(networks.metrics["ranks"])),
        accuracies=torch.tensor(networks.metrics["top1"], dtype=torch.float64),
        latency=table_latency(
            space,
            LatencyTable.from_dict(table.metrics["table"]),
            table.config["resolution"],
            num_classes=table.config["classes"],
        ),
    )
