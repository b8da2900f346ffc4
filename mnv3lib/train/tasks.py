"""Tasks: all that differs between classification, detection and segmentation.

A task knows how to build the network, how to prepare a batch, which loss to take and how to
measure. :mod:`mnv3lib.train.loop` knows none of that. Taught in chapter 7 (training).
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

__all__ = ["Metrics", "Task"]


class Metrics(Protocol):
    """Counts what a network gets right, batch by batch, on each process."""

    def update(self, outputs: Any, targets: Any) -> None:
        """Adds a batch."""

    def merge(self, other: "Metrics") -> None:
        """Adds what another process counted."""

    def compute(self) -> dict[str, float]:
        """The numbers by name."""

    def details(self) -> dict[str, list]:
        """What figures need beyond them, ready for JSON."""


class Task(Protocol):
    """A kind of problem; built from a recipe and the names of the classes.

    A task derives from this class and leaves :meth:`observed`, :meth:`end_step` and :meth:`memory`
    as they are, unless its loss looks into the network or remembers something.
    """

    def build_network(self, generator: torch.Generator | None = None) -> nn.Module:
        """Builds the network with fresh weights."""

    def prepare_training(self, images: Any, targets: Any) -> tuple[Tensor, Any]:
        """Augments a batch, drawing from the global generator, and makes it the network's input."""

    def prepare_evaluation(self, images: Any) -> Tensor:
        """Makes a batch the network's input."""

    def observed(self, network: nn.Module) -> nn.Module:
        """What is run in training and evaluation: the network, or one that shows more of it."""
        return network

    def loss(self, outputs: Any, targets: Any) -> Tensor:
        """Mean loss of a batch, a scalar."""

    def end_step(self, gather: Callable[[Tensor], Tensor]) -> None:
        """Ends a step of the optimiser; `gather` maps a scalar to those of all processes."""

    def memory(self) -> dict[str, Tensor]:
        """What the loss remembers from step to step, for checkpoints; to be changed in place."""
        return {}

    def metrics(self) -> Metrics:
        """Fresh metrics."""
