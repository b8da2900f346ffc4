"""Recipes: everything that decides how a network is trained, as typed sections.

A recipe is a TOML file with the sections of :class:`Recipe` (see
:mod:`mnv3lib.train.recipe_files`). Keys that are not given keep the defaults below. Taught in
chapter 7 (training).
"""

from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field, model_validator

from mnv3lib.models import NetworkSpec
from mnv3lib.models.tables import from_table
from mnv3lib.train.recipe_heads import DetectionHead, SegmentationHead
from mnv3lib.train.recipe_losses import CrossEntropySection, Loss
from mnv3lib.train.recipe_steps import Optimizer, Schedule
from mnv3lib.train.sections import (
    Count,
    NotNegative,
    Pair,
    Positive,
    Section,
    Share,
    Size,
    Triple,
)

__all__ = [
    "Augmentation",
    "Data",
    "Model",
    "Optimizer",
    "Recipe",
    "Schedule",
    "Training",
]


class Model(Section):
    """The network: arguments of :func:`mnv3lib.models.registry.create_model`.

    Attributes:
        name: Name of the network; with a table, what to call it.
        width_mult: Width multiplier.
        table: A network without a registered name, see :func:`mnv3lib.models.tables.to_table`.

    Any further key is an option of that network, such as ``removed_strides`` or ``drop_path``.
    """

    model_config = ConfigDict(extra="allow")
    name: str
    width_mult: Positive = 1.0
    table: dict[str, Any] | None = None

    @property
    def network(self) -> str | NetworkSpec:
        """What :func:`mnv3lib.models.registry.create_model` builds: the table, else the name."""
        return self.name if self.table is None else from_table(self.table)

    @property
    def options(self) -> dict[str, Any]:
        """The further keys."""
        return dict(self.model_extra or {})


class Data(Section):
    """The images.

    Attributes:
        name: Data set, see :func:`mnv3lib.data.load_dataset`.
        train_split: Split to train on.
        eval_split: Split to evaluate on.
        resolution: Side of the square images, in pixels; for segmentation height and width.
        eval_resize: Shorter side before the centre crop, in pixels; the resolution if None. For
            segmentation the shorter side of the whole image, which keeps its shape.
        crop_area: Share of the area that Inception's random resized crop takes; None for data
            sets in memory, whose images have one size.
        scale: For segmentation, smallest and largest factor that training images are resized by
            before a part of the resolution is cut out; None resizes them to the resolution.
        interpolation: ``"bilinear"``, ``"bicubic"``, or ``"random"`` of the two.
        subset: Train on that many images only, chosen once for all seeds.
        held_out: Take that many images from the training split, once for all seeds, and evaluate
            on these instead of on `eval_split`: what is chosen by looking at the results, as
            networks are in a search, must not be chosen on the test images.
        spoiled: For classification, share of the training images to blur beyond recognition, see
            :mod:`mnv3lib.data.spoiled`.
        mean: Mean of each channel of images in [0, 1], subtracted.
        std: Standard deviation of each channel, divided by.
        workers: Processes that load images; 0 loads in the training process.
        options: Further arguments of the data set.
    """

    name: str
    train_split: str = "train"
    eval_split: str = "test"
    resolution: Count | Size
    eval_resize: Count | None = None
    crop_area: Pair | None = None
    scale: Pair | None = None
    interpolation: Literal["bilinear", "bicubic", "random"] = "bilinear"
    subset: Count | None = None
    held_out: Count | None = None
    spoiled: Share = 0.0
    mean: Triple = (0.485, 0.456, 0.406)
    std: Triple = (0.229, 0.224, 0.225)
    workers: Annotated[int, Field(ge=0)] = 0
    options: dict[str, Any] = Field(default_factory=dict)


class Augmentation(Section):
    """What is done to a training batch, in this order, by kornia.

    Attributes:
        flip: Probability of a horizontal flip.
        pad_crop: Padding in pixels before a random crop of the old size; 0 leaves it out.
        policy: Learned or random policy of colour and shape changes.
        policy_ops: Changes an image, for ``"rand_augment"``.
        policy_magnitude: Strength in [0, 30], for ``"rand_augment"``.
        jitter: Strength of colour jitter (brightness, contrast, saturation).
        erase: Probability of erasing a rectangle.
        mixup: Alpha of mixup's beta distribution; 0 leaves it out.
        cutmix: Alpha of cutmix; with both, each batch draws one of the two.
    """

    flip: Share = 0.0
    pad_crop: Annotated[int, Field(ge=0)] = 0
    policy: Literal["none", "rand_augment", "auto_augment", "trivial_augment"] = "none"
    policy_ops: Count = 2
    policy_magnitude: Annotated[int, Field(ge=0, le=30)] = 9
    jitter: NotNegative = 0.0
    erase: Share = 0.0
    mixup: NotNegative = 0.0
    cutmix: NotNegative = 0.0


class Training(Section):
    """The loop.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images an optimiser step, over all processes.
        micro_batches: Parts of a batch; processes share them, one process takes them in turn.
        label_smoothing: Share of the target that is spread over all classes.
        ema_decay: Decay of the average of the weights that is evaluated; None for no average.
        precision: ``"fp32"``, or autocast to ``"bf16"`` or ``"fp16"``.
        channels_last: Memory layout of images and weights.
        eval_every: Epochs between evaluations; the last epoch is always evaluated.
        eval_batch_size: Images at a time in an evaluation; what fits into memory, it does not
            change the result beyond rounding.
        checkpoint_steps: Optimiser steps between checkpoints; one is also written each epoch.
    """

    epochs: Count
    batch_size: Count
    micro_batches: Count = 1
    label_smoothing: Share = 0.0
    ema_decay: Share | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    channels_last: bool = True
    eval_every: Count = 1
    eval_batch_size: Count = 256
    checkpoint_steps: Count = 500


_HEADS = {"detection": DetectionHead, "segmentation": SegmentationHead}
Head = Annotated[DetectionHead | SegmentationHead, Field(discriminator="kind")]


class Recipe(Section):
    """A whole recipe.

    Attributes:
        source: Where it comes from, and what differs from there.
        task: The kind of problem, see :mod:`mnv3lib.train.tasks`.
        expected: Metrics that it is documented to reach, by name.
        head: What stands on the network, for detection and segmentation.
        loss: What is minimised, for classification; the other tasks have their own.
    """

    source: str
    task: Literal["classification", "detection", "segmentation"] = "classification"
    expected: dict[str, float] = Field(default_factory=dict)
    model: Model
    head: Head | None = None
    data: Data
    augment: Augmentation = Augmentation()
    optimizer: Optimizer
    schedule: Schedule = Schedule()
    loss: Loss = CrossEntropySection()
    train: Training

    @model_validator(mode="after")
    def _check(self) -> "Recipe":
        if self.task != "segmentation" and not isinstance(self.data.resolution, int):
            raise ValueError(
                f"data.resolution is {self.data.resolution}: {self.task} takes square images, so "
                "give one number"
            )
        if self.task != "classification" and self.loss != CrossEntropySection():
            raise ValueError(f"loss: {self.task} has its own; leave the section out")
        wanted = _HEADS.get(self.task)
        if wanted is None and self.head is not None:
            raise ValueError(f"head: a network for {self.task} has none; leave the section out")
        if wanted is not None and not isinstance(self.head, wanted):
            kinds = ", ".join(get_args(wanted.model_fields["kind"].annotation))
            raise ValueError(f"head.kind must be one of {kinds} for {self.task}")
        return self

    def decisive(self) -> dict[str, Any]:
        """What decides the result, ready for JSON: all but `source` and `expected`."""
        return self.model_dump(mode="json", exclude={"source", "expected"})
