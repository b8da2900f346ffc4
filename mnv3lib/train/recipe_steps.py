"""The steps of recipes: the optimiser and the learning rate over the epochs (chapter 7)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mnv3lib.train.sections import NotNegative, Pair, Positive, Section, Share

__all__ = ["Optimizer", "Schedule"]


class Optimizer(Section):
    """The optimiser.

    Attributes:
        name: ``"rmsprop_tf"`` has epsilon inside the root and starts its average at one.
        lr: Learning rate before the schedule, for the whole global batch.
        momentum: Momentum of SGD and RMSProp.
        nesterov: Nesterov's form of momentum, for SGD.
        alpha: Decay of RMSProp's average of squares.
        betas: Decays of AdamW and LAMB.
        eps: Added to the denominator; the optimiser's own default if None.
        weight_decay: L2 penalty (SGD, RMSProp) or decoupled decay (AdamW, LAMB).
        decay_all: Also decay biases and batch norm.
        clip_norm: Largest norm of the gradient; None does not clip.
    """

    name: Literal["sgd", "rmsprop", "rmsprop_tf", "adamw", "lamb"] = "sgd"
    lr: Positive
    momentum: Share = 0.9
    nesterov: bool = False
    alpha: Share = 0.9
    betas: Pair = (0.9, 0.999)
    eps: Positive | None = None
    weight_decay: NotNegative = 0.0
    decay_all: bool = False
    clip_norm: Positive | None = None


class Schedule(Section):
    """The learning rate over the epochs.

    Attributes:
        name: ``"step"`` multiplies by `gamma` at the end of every `every` epochs,
            ``"milestones"`` at the end of the epochs of that list, ``"exponential"`` does so
            continuously, ``"cosine"`` falls to `final`.
        warmup_epochs: Epochs of a linear rise from `warmup_start` of the base rate.
        warmup_start: Share of the base rate at the first step.
        gamma: Factor of the decay.
        every: Epochs a decay step.
        milestones: Epochs after which the rate falls, in ascending order.
        final: Share of the base rate at the end of the cosine.
        noise: Share of all epochs between which the rate is multiplied by 1 + n, with n normal
            and below 0.67 in size, drawn once an epoch (timm's recipe); None for no noise.
    """

    name: Literal["constant", "cosine", "step", "milestones", "exponential"] = "cosine"
    warmup_epochs: NotNegative = 0.0
    warmup_start: Share = 0.0
    gamma: Share = 0.97
    every: Positive = 1.0
    milestones: Annotated[tuple[Positive, ...], Field(strict=False)] = ()
    final: Share = 0.0
    noise: Pair | None = None

    @model_validator(mode="after")
    def _check(self) -> "Schedule":
        if bool(self.milestones) != (self.name == "milestones"):
            raise ValueError(f"milestones belong to the schedule 'milestones', got {self.name!r}")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones must ascend, got {list(self.milestones)}")
        return self
