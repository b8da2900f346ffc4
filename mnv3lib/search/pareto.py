"""The Pareto front: networks that no other beats in both accuracy and latency (chapter 8).

A network *dominates* another if it is at least as accurate and at least as fast, and better in one
of the two. A reward picks one network for one exchange rate between the two; the front holds the
best for every rate, and the area below it, the *hypervolume*, rates a whole set of networks.
"""

import torch
from torch import Tensor

__all__ = ["hypervolume", "pareto_front"]


def pareto_front(accuracy: Tensor, latency_ms: Tensor) -> Tensor:
    """Finds the networks that none dominates.

    Args:
        accuracy: Accuracies, (N,).
        latency_ms: Latencies, (N,).

    Returns:
        Indices, int64, from the fastest to the slowest, so that accuracy rises too. Of networks
        that are equal in both, the first is taken.

    Raises:
        ValueError: Not one number of each kind for each network, or one that is not a number.

    Example:
        >>> pareto_front(torch.tensor([0.6, 0.7, 0.65]), torch.tensor([2.0, 3.0, 4.0]))
        tensor([0, 1])
    """
    _check(accuracy, latency_ms)
    # From fast to slow, of equally fast ones the more accurate first: sort by the minor key, then
    # stably by the major one.
    order = accuracy.argsort(descending=True, stable=True)
    order = order[latency_ms[order].argsort(stable=True)]
    best = accuracy[order].cummax(0).values
    # A network belongs to the front if it is more accurate than all faster ones.
    leads = torch.ones(len(order), dtype=torch.bool)
    leads[1:] = best[1:] > best[:-1]
    return order[leads]


def hypervolume(
    accuracy: Tensor, latency_ms: Tensor, *, max_latency_ms: float, min_accuracy: float = 0.0
) -> float:
    """The area of all combinations of accuracy and latency that some network dominates.

    Args:
        accuracy: Accuracies, (N,).
        latency_ms: Latencies, (N,).
        max_latency_ms: Where the area ends on the slow side; slower networks do not count.
        min_accuracy: Where it ends below; less accurate networks do not count.

    Returns:
        The area, in the product of the two units.

    Raises:
        ValueError: See :func:`pareto_front`.

    Example:
        >>> round(hypervolume(torch.tensor([0.5]), torch.tensor([3.0]), max_latency_ms=5), 3)
        1.0
    """
    front = pareto_front(accuracy, latency_ms)
    ends = torch.tensor([max_latency_ms], dtype=torch.float64)
    edges = torch.cat([latency_ms[front].double(), ends]).clamp(max=max_latency_ms)
    heights = (accuracy[front].double() - min_accuracy).clamp(min=0)
    return (edges.diff() * heights).sum().item()


def _check(accuracy: Tensor, latency_ms: Tensor) -> None:
    if accuracy.ndim != 1 or accuracy.shape != latency_ms.shape:
        raise ValueError(
            "need one accuracy and one latency for each network, got the shapes "
            f"{tuple(accuracy.shape)} and {tuple(latency_ms.shape)}"
        )
    for name, values in (("accuracy", accuracy), ("latency", latency_ms)):
        if values.isnan().any():
            raise ValueError(f"the {name} of network {int(values.isnan().nonzero()[0])} is NaN")
