"""A linear model of latency: every layer adds its own, whatever the other layers are.

MobileDets' search predicts latency by a linear regression whose features are, for each layer, the
products of three choices, one-hot each: the channels that enter, the channels that leave, and the
kind of layer. A feature is 1 if the layer is exactly that, so a weight is the latency of such a
layer there, and a network costs the sum over its layers plus a constant. Nothing is measured layer
by layer: the weights come from whole networks, some hundreds or thousands of them.

Features are redundant: those of one layer add up to 1. Of all the weights that fit equally well the
smallest are taken (the minimum-norm solution), and layers never seen cost what is average. Source:
arXiv 2004.14525, section 5, and TuNAS's code. Taught in the chapter on MobileDets.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mnv3lib.search.encoding import check_codes
from mnv3lib.search.layer_space import LayerSpace, SearchedLayer

__all__ = ["LayerCost", "LinearLatency", "determination", "layer_features"]

LayerCost = Callable[[SearchedLayer, int, int, object], float]
"""What a layer costs from itself, its channels in and out, and its kind (None: left out)."""


def layer_features(space: LayerSpace, codes: Tensor) -> Tensor:
    """Which exact layers each point has.

    Args:
        space: A space of L layers.
        codes: Codes, int64 (N, D).

    Returns:
        For each layer the index of its only feature that is 1, int64 (N, L); those of the first
        layer are numbered first.

    Raises:
        ValueError: The codes are not of the space.
    """
    check_codes(space, codes)
    columns, start = [], 0
    for layer in space.layers:
        index = _width_pair(layer, codes) * len(layer.options) + codes[:, layer.choice]
        columns.append(start + index)
        start += _cells(layer)
    return torch.stack(columns, dim=1)


@dataclass(frozen=True, eq=False)
class LinearLatency:
    """Latency as a sum over layers.

    Attributes:
        space: The space.
        constant: What every point costs: first and last rows.
        weights: What each exact layer adds, float64 (F,), numbered as in :func:`layer_features`.
    """

    space: LayerSpace
    constant: float
    weights: Tensor = field(repr=False)

    @classmethod
    def fit(cls, space: LayerSpace, codes: Tensor, latency: Tensor) -> "LinearLatency":
        """Learns from whole networks.

        Args:
            space: The space.
            codes: Points, int64 (N, D); a few times as many as there are features, to be good.
            latency: Their latencies, float64 (N,).

        Raises:
            ValueError: Codes of another space, or not one finite latency for each.
        """
        if latency.shape != (len(codes),) or not len(codes) or not latency.isfinite().all():
            raise ValueError(
                f"{len(codes)} points need one finite latency each, got {tuple(latency.shape)}"
            )
        features = _design(space, layer_features(space, codes))
        mean = latency.mean()
        means = features.mean(0)
        solver = torch.linalg.lstsq(
            features - means, (latency - mean)[:, None], driver="gelsd", rcond=1e-10
        )
        weights = solver.solution[:, 0]
        return cls(space, (mean - means @ weights).item(), weights)

    @classmethod
    def of_layers(cls, space: LayerSpace, cost: LayerCost, constant: float) -> "LinearLatency":
        """A model whose layers are known, as those of a simulated device or of a table are.

        Args:
            space: The space.
            cost: What each layer costs.
            constant: What every point costs besides.
        """
        weights = [
            cost(layer, c_in, c_out, kind)
            for layer in space.layers
            for c_in, c_out in _width_pairs(layer)
            for kind in layer.options
        ]
        return cls(space, constant, torch.tensor(weights, dtype=torch.float64))

    def __call__(self, codes: Tensor) -> Tensor:
        """Latencies of points, int64 (N, D): float64 (N,).

        Raises:
            ValueError: The codes are not of the space.
        """
        return self.constant + self.weights[layer_features(self.space, codes)].sum(1)


def determination(predicted: Tensor, measured: Tensor) -> float:
    """R^2, the share of the variance that is predicted: 1 is perfect, 0 no better than the mean.

    Args:
        predicted: (N,).
        measured: (N,), not all equal.

    Raises:
        ValueError: Other shapes, or measurements without variance.
    """
    if predicted.shape != measured.shape or not measured.numel():
        raise ValueError(
            f"need as many predictions as measurements, got {tuple(predicted.shape)} and "
            f"{tuple(measured.shape)}"
        )
    variance = (measured - measured.mean()).square().sum().item()
    if math.isclose(variance, 0.0, abs_tol=1e-300):
        raise ValueError("the measurements are all equal: there is no variance to predict")
    return 1 - (measured - predicted).square().sum().item() / variance


def _width_pairs(layer: SearchedLayer) -> list[tuple[int, int]]:
    """Channels in and out; further layers of a block have the same on both sides."""
    if layer.choice_in == layer.choice_out:
        return [(width, width) for width in layer.widths_out]
    return [(c_in, c_out) for c_in in layer.widths_in for c_out in layer.widths_out]


def _width_pair(layer: SearchedLayer, codes: Tensor) -> Tensor:
    """Index into the pairs, int64 (N,)."""
    c_out = codes[:, layer.choice_out]
    if layer.choice_in is None or layer.choice_in == layer.choice_out:
        return c_out
    return codes[:, layer.choice_in] * len(layer.widths_out) + c_out


def _cells(layer: SearchedLayer) -> int:
    return len(_width_pairs(layer)) * len(layer.options)


def _design(space: LayerSpace, features: Tensor) -> Tensor:
    """Features as zeros and ones, float64 (N, F)."""
    matrix = torch.zeros(len(features), sum(map(_cells, space.layers)), dtype=torch.float64)
    return matrix.scatter_(1, features, 1.0)
