"""Bias loss: images whose last feature map varies more count for more in the cross-entropy.

The weight of an image follows the variance of its last map, over all channels and positions
together. Variances are first brought to [0, 1] over the batch:

============  =========================================  ==========================
..            ``"local"``                                ``"global"`` (their code)
============  =========================================  ==========================
subtracted    smallest variance of the batch             smallest since training began
divided by    largest less smallest of the batch         the same
range         [0, 1]                                     0 and above, also over 1
============  =========================================  ==========================

Two cases break the published code and are made safe here. Where all variances of a batch are equal,
for instance with a single image, it divides zero by zero; here every image then counts as the
smallest. And ``"global"`` divides what earlier batches left by the range of this one, which may be
tiny; here no normalised variance exceeds :data:`LARGEST`.

Source: Abrahamyan et al., "Bias Loss for Mobile Neural Networks", arXiv 2107.11170 (ICCV 2021), and
the code published with it. Taught in chapter 14.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

__all__ = [
    "LARGEST",
    "BiasLoss",
    "Normalisation",
    "bias_weight",
    "bias_weight_at_first",
    "feature_variance",
    "normalise_variances",
]

Normalisation = Literal["local", "global"]

LARGEST = 10.0  # of a normalised variance; its weight is 19.8 with the paper's alpha and beta
_EQUAL = 1e-6  # a smaller range, as a share of the largest variance, is rounding


def feature_variance(features: Tensor) -> Tensor:
    """The variance of each image's activations (the paper's equation 1), without a gradient.

    Args:
        features: Maps (N, C, H, W), or anything else whose first axis counts images.

    Returns:
        Unbiased variances over all but the first axis, in at least single precision, (N,).

    Raises:
        ValueError: Fewer than two activations an image, which have no variance.

    Example:
        >>> feature_variance(torch.tensor([[0.0, 2.0], [0.0, 4.0]]))
        tensor([2., 8.])
    """
    if features.shape[1:].numel() < 2:
        raise ValueError(
            f"features must hold at least 2 activations an image, got {tuple(features.shape)}; "
            "take the map before pooling"
        )
    flat = features.detach().flatten(1)
    if flat.dtype in (torch.float16, torch.bfloat16):
        flat = flat.float()
    return flat.var(dim=1)


def normalise_variances(variances: Tensor, smallest: Tensor | None = None) -> Tensor:
    """Brings the variances of a batch to a common scale.

    Args:
        variances: See :func:`feature_variance`, (N,).
        smallest: What is subtracted if it is below the batch's own smallest variance, a scalar;
            None for the batch's own.

    Returns:
        At least 0 and at most :data:`LARGEST`, (N,); 0 everywhere if all variances are equal but
        for rounding.
    """
    low, high = variances.aminmax()
    extent = high - low
    if smallest is not None:
        low = torch.minimum(low, smallest.to(low))
    equal = extent <= _EQUAL * high
    scaled = (variances - low) / torch.where(equal, 1.0, extent)
    return torch.where(equal, 0.0, scaled).clamp(max=LARGEST)


def bias_weight(normalised: Tensor, *, alpha: float = 0.3, beta: float = 0.3) -> Tensor:
    """Weights of images: ``exp(alpha * v) - beta``; 0.7 and more as published.

    Args:
        normalised: See :func:`normalise_variances`, any shape.
        alpha: How fast the weight grows.
        beta: What is subtracted.

    Example:
        >>> bias_weight(torch.tensor([0.0, 0.2, 0.6, 1.0]))
        tensor([0.7000, 0.7618, 0.8972, 1.0499])
    """
    return torch.exp(alpha * normalised) - beta


def bias_weight_at_first(normalised: Tensor, *, alpha: float = 0.3, beta: float = 0.3) -> Tensor:
    """What the published code computed until September 2022: ``exp(beta * v) - 1 + alpha``.

    The formula is not the paper's, but with alpha and beta of 0.3 its weights are the paper's less
    0.4. The checkpoints published before were trained with it, as far as dates can tell.
    """
    return torch.exp(beta * normalised) - 1 + alpha


class BiasLoss(nn.Module):
    """The mean over images of weight times cross-entropy.

    The mean is not divided by the weights' sum: most weights are below 1, so the loss also acts as
    a smaller learning rate. Compare it with cross-entropy times a constant.

    Args:
        normalisation: ``"local"`` depends on the batch alone. ``"global"``, the default of the
            published code, also on the smallest variance of all batches before.
        alpha: See :func:`bias_weight`.
        beta: See :func:`bias_weight`.
        rearrange: Changes the normalised variances of a batch, (N,) to (N,), for controls: after a
            shuffle the weights are distributed as before and know nothing of the images.

    Attributes:
        smallest: Smallest variance that :meth:`remember` was told of, a scalar; infinite at first.
            It is a buffer, so it is part of the state that a checkpoint holds.
    """

    def __init__(
        self,
        normalisation: Normalisation = "local",
        *,
        alpha: float = 0.3,
        beta: float = 0.3,
        rearrange: Callable[[Tensor], Tensor] = lambda normalised: normalised,
    ) -> None:
        super().__init__()
        if normalisation not in ("local", "global"):
            raise ValueError(f"unknown normalisation {normalisation!r}; choose 'local' or 'global'")
        self.normalisation, self.alpha, self.beta = normalisation, alpha, beta
        self._rearrange = rearrange
        self.register_buffer("smallest", torch.tensor(math.inf))
        self._seen = torch.tensor(math.inf)  # since the last call of remember

    def forward(self, losses: Tensor, features: Tensor) -> Tensor:
        """Weighs the losses of a batch.

        Args:
            losses: Cross-entropy of each image, (N,).
            features: Last map of each image, (N, C, H, W); no gradient flows into it.

        Returns:
            The loss, a scalar.
        """
        return (self.weights(features) * losses).mean()

    @torch.no_grad()
    def weights(self, features: Tensor) -> Tensor:
        """The weights of a batch, (N,); notes its smallest variance for :meth:`remember`."""
        variances = feature_variance(features)
        self._seen = torch.minimum(self._seen.to(variances), variances.min())
        before = self.smallest if self.normalisation == "global" else None
        normalised = self._rearrange(normalise_variances(variances, before))
        return bias_weight(normalised, alpha=self.alpha, beta=self.beta)

    @torch.no_grad()
    def remember(self, gather: Callable[[Tensor], Tensor] = lambda lowest: lowest) -> None:
        """Ends a step: the batches since the last call join the smallest variance of all.

        Not within a step, so that its micro-batches may be computed in any order and on several
        processes. With one batch a step that is the published code.

        Args:
            gather: From a scalar of this process to those of all.
        """
        lowest = gather(self._seen).min()
        self.smallest.copy_(torch.minimum(self.smallest.to(lowest), lowest))
