"""The losses of recipes for classification: what a batch of logits is charged."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag, model_validator

from mnv3lib.train.sections import NotNegative, Positive, Section

__all__ = ["BiasSection", "CrossEntropySection", "FocalSection", "Loss"]


class CrossEntropySection(Section):
    """Cross-entropy; what is common to all losses.

    Attributes:
        name: Name of the loss.
        scale: Factor of the loss, and so of its gradient.
        watch: Measure in each evaluation what the variance of the last map says of an image, see
            :class:`mnv3lib.train.variance_metrics.VarianceMetrics`; bias loss always does.
    """

    name: Literal["cross_entropy"] = "cross_entropy"
    scale: Positive = 1.0
    watch: bool = False


class FocalSection(CrossEntropySection):
    """Cross-entropy that counts less for images that are predicted well.

    Attributes:
        gamma: Power of the probability of being wrong; 0 is cross-entropy.
    """

    name: Literal["focal"]
    gamma: NotNegative = 2.0


class BiasSection(CrossEntropySection):
    """Bias loss, see :mod:`mnv3lib.train.bias_loss`.

    Attributes:
        normalisation: ``"local"``, or ``"global"`` as in the published code.
        alpha: How fast the weight grows with the variance.
        beta: What is subtracted from it.
        order: Whose variance an image gets: its ``"own"``; for controls a ``"shuffled"`` one, that
            of another image of the batch, or ``"reversed"``, 1 less its own.
    """

    name: Literal["bias"]
    normalisation: Literal["local", "global"] = "local"
    alpha: Positive = 0.3
    beta: NotNegative = 0.3
    order: Literal["own", "shuffled", "reversed"] = "own"

    @model_validator(mode="after")
    def _check(self) -> "BiasSection":
        if self.order == "reversed" and self.normalisation != "local":
            raise ValueError(
                "order 'reversed' needs normalisation 'local': only there variances lie in [0, 1]"
            )
        if self.beta >= 1:
            raise ValueError(f"beta must be below 1, got {self.beta}: weights would be negative")
        return self


def _name(section: Any) -> str | None:
    """Which loss a section describes; one that names none is cross-entropy."""
    if isinstance(section, Mapping):
        return section.get("name", "cross_entropy")
    return getattr(section, "name", None)


Loss = Annotated[
    Annotated[CrossEntropySection, Tag("cross_entropy")]
    | Annotated[FocalSection, Tag("focal")]
    | Annotated[BiasSection, Tag("bias")],
    Discriminator(
        _name,
        custom_error_type="loss",
        custom_error_message="name must be cross_entropy, focal or bias",
    ),
]
