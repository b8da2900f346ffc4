"""From the loss section of a recipe to the loss of a batch, for classification.

A criterion is called with the outputs of a network and the targets. What it remembers from step to
step is in its buffers.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnv3lib.train.bias_loss import BiasLoss
from mnv3lib.train.last_map import Observed
from mnv3lib.train.recipe import Recipe
from mnv3lib.train.recipe_losses import BiasSection, CrossEntropySection, FocalSection

__all__ = ["Bias", "CrossEntropy", "Focal", "logits_of", "make_criterion"]


def logits_of(outputs: Tensor | Observed) -> Tensor:
    """The logits among the outputs of a network."""
    return outputs.logits if isinstance(outputs, Observed) else outputs


class CrossEntropy(nn.Module):
    """The mean cross-entropy, times a constant.

    Args:
        section: Section of the recipe.
        smoothing: Share of the target that is spread over all classes.
    """

    def __init__(self, section: CrossEntropySection, smoothing: float = 0.0) -> None:
        super().__init__()
        self._section, self._smoothing = section, smoothing

    def forward(self, outputs: Tensor | Observed, targets: Tensor) -> Tensor:
        """outputs: Logits (N, K), or more; targets: int64 (N,) or probabilities (N, K)."""
        return self._cross_entropy(outputs, targets) * self._section.scale

    def _cross_entropy(self, outputs: Tensor | Observed, targets: Tensor, **how: str) -> Tensor:
        smoothing = {"label_smoothing": self._smoothing}
        return functional.cross_entropy(logits_of(outputs), targets, **smoothing, **how)

    def end_step(self, gather: Callable[[Tensor], Tensor]) -> None:
        """Called after each step of the optimiser, to agree on what is remembered."""


class Focal(CrossEntropy):
    """Focal loss: each image's cross-entropy L times (1 - exp(-L)) to a power.

    For a label without smoothing, exp(-L) is the probability of the true class. Source: Lin et al.,
    arXiv 1708.02002, section 3.2, with classes that exclude each other.
    """

    def forward(self, outputs: Tensor | Observed, targets: Tensor) -> Tensor:
        """outputs: Logits (N, K), or more; targets: int64 (N,) or probabilities (N, K)."""
        losses = self._cross_entropy(outputs, targets, reduction="none")
        wrong = -torch.expm1(-losses)
        return (wrong.pow(self._section.gamma) * losses).mean() * self._section.scale


class Bias(CrossEntropy):
    """Bias loss over each image's cross-entropy.

    Args:
        section: Section of the recipe.
        smoothing: Share of the target that is spread over all classes.
    """

    def __init__(self, section: BiasSection, smoothing: float = 0.0) -> None:
        super().__init__(section, smoothing)
        self._bias = BiasLoss(
            section.normalisation,
            alpha=section.alpha,
            beta=section.beta,
            rearrange=_ORDERS[section.order],
        )

    def forward(self, outputs: Observed, targets: Tensor) -> Tensor:
        """outputs: Logits and last map; targets: int64 (N,) or probabilities (N, K).

        Raises:
            ValueError: Logits alone, as of a network that is no table of rows.
        """
        if not isinstance(outputs, Observed):
            raise ValueError(
                "bias loss needs the last feature map, which only networks of create_model show; "
                "train this one with loss.name = 'cross_entropy'"
            )
        losses = self._cross_entropy(outputs, targets, reduction="none")
        return self._bias(losses, outputs.last_map) * self._section.scale

    def end_step(self, gather: Callable[[Tensor], Tensor]) -> None:
        """Called after each step of the optimiser, to agree on what is remembered."""
        self._bias.remember(gather)


_ORDERS: dict[str, Callable[[Tensor], Tensor]] = {
    "own": lambda normalised: normalised,
    "shuffled": lambda normalised: normalised[torch.randperm(len(normalised))],
    "reversed": lambda normalised: 1 - normalised,
}
_CRITERIA: dict[type, type[CrossEntropy]] = {
    CrossEntropySection: CrossEntropy,
    FocalSection: Focal,
    BiasSection: Bias,
}


def make_criterion(recipe: Recipe) -> CrossEntropy:
    """The criterion of a recipe for classification."""
    return _CRITERIA[type(recipe.loss)](recipe.loss, recipe.train.label_smoothing)
