"""Trained networks of a space as a benchmark: searches in seconds, on real accuracies (chapter 8).

A few hundred networks of the space were trained and recorded (:mod:`mnv3lib.search.record_benchmark`),
and so were the latencies of all its rows (:mod:`mnv3lib.search.record_latency`). A surrogate
spreads the accuracies over the whole space, the table does so with the latencies; a search that
asks for a thousand networks takes less than a second, and can be repeated with many seeds.
"""  # noqa: E501  a module's name does not break

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from mnv3lib.measure.latency_table import LatencyTable
from mnv3lib.runs import find_run
from mnv3lib.search.encoding import from_ranks
from mnv3lib.search.history import Evaluation
from mnv3lib.search.space import Space
from mnv3lib.search.spaces import find_space
from mnv3lib.search.surrogate import Surrogate, cross_validate
from mnv3lib.search.table_latency import AdditiveCost, table_latency

__all__ = ["Benchmark", "RecordedLatency", "load_benchmark", "load_latency"]


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


class RecordedLatency(NamedTuple):
    """Latencies of a whole space, from a recorded table, and how they were measured.

    Attributes:
        space: The space.
        latency: From codes to milliseconds.
        resolution: Side of the square image in pixels.
        classes: Classes of the networks.
        runtime: Name of the runtime.
        threads: Threads it used.
    """

    space: Space
    latency: AdditiveCost
    resolution: int
    classes: int
    runtime: str
    threads: int


def load_latency(name: str = "search-latency") -> RecordedLatency:
    """Reads the latencies of a space from a recorded run.

    Args:
        name: A run by :mod:`mnv3lib.search.record_latency`: its name, or the path of a JSON file.

    Raises:
        FileNotFoundError: The run is not there.
        MissingRowsError: Its table lacks a row that a network of the space has.
    """
    run = find_run(name)
    space, table = find_space(run.config["space"]), LatencyTable.from_dict(run.metrics["table"])
    resolution, classes = run.config["resolution"], run.config["classes"]
    latency = table_latency(space, table, resolution, num_classes=classes)
    return RecordedLatency(space, latency, resolution, classes, table.runtime, table.threads)


def load_benchmark(
    trained: str = "search-benchmark", latencies: str | RecordedLatency = "search-latency"
) -> Benchmark:
    """Reads a benchmark from two recorded runs, each by its name or the path of a JSON file.

    Args:
        trained: The run of the trained networks.
        latencies: The run of the latency table, or what :func:`load_latency` made of it.

    Raises:
        FileNotFoundError: A run is not there.
        ValueError: The runs are about different spaces, or the table lacks rows.
    """
    networks = find_run(trained)
    recorded = load_latency(latencies) if isinstance(latencies, str) else latencies
    space = recorded.space
    if networks.config["space"] != space.name:
        raise ValueError(
            f"{trained} is about the space {networks.config['space']}, the latencies about "
            f"{space.name}"
        )
    return Benchmark(
        space,
        codes=from_ranks(space, torch.tensor(networks.metrics["ranks"])),
        accuracies=torch.tensor(networks.metrics["top1"], dtype=torch.float64),
        latency=recorded.latency,
    )
