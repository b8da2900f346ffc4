"""Segmentation as the training loop's task: a class for every pixel (chapter 11)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from mnv3lib.data import load_dataset
from mnv3lib.data.mask_folder import VOID
from mnv3lib.data.mask_views import MaskView, RandomMaskView
from mnv3lib.data.viewed import Viewed
from mnv3lib.heads.segmenter import Segmenter, create_segmenter
from mnv3lib.train.augment import Augment
from mnv3lib.train.recipe import Augmentation, Data, Recipe
from mnv3lib.train.sections import refuse_keys
from mnv3lib.train.segmentation_metrics import SegmentationMetrics

__all__ = ["Segmentation"]

_REFUSED = {
    "data": {"crop_area", "interpolation"},  # `scale` takes their place
    # The others would move or cover pixels without their labels.
    "augment": {*Augmentation.model_fields} - {"flip", "jitter"},
}


class Segmentation:
    """A class for every pixel: cross-entropy over the pixels that have one.

    Training looks at parts of ``data.resolution`` at random scales (``data.scale``, see
    :class:`mnv3lib.data.mask_views.RandomMaskView`). Evaluation resizes images to
    ``data.resolution``, or their shorter side to ``data.eval_resize``, and asks for a class of
    every pixel of the masks, whose size stays.

    Args:
        recipe: The recipe.
        classes: Names of the classes.

    Raises:
        ValueError: A key of the recipe that means nothing for segmentation.
    """

    def __init__(self, recipe: Recipe, classes: Sequence[str]) -> None:
        data, augment = recipe.data, recipe.augment
        for name, keys in _REFUSED.items():
            refuse_keys(name, getattr(recipe, name), "segmentation", refused=keys)
        self._recipe, self._num_classes = recipe, len(classes)
        self._augment = Augment(
            augment.model_copy(update={"flip": 0.0}),  # flips are done here, with the masks
            mean=data.mean,
            std=data.std,
            num_classes=len(classes),
        )

    @staticmethod
    def load(data: Data, split: str, *, train: bool, seed: int, root: str | None) -> Viewed:
        """Loads a split with the views that the recipe asks for: random ones only in training."""
        whole = load_dataset(data.name, split, root=root, seed=seed, **data.options)
        if whole.task != "segmentation":
            raise ValueError(f"{data.name} is for {whole.task}: it has no masks to learn from")
        size = data.resolution
        size = (size, size) if isinstance(size, int) else tuple(size)
        view: MaskView | RandomMaskView = MaskView(data.eval_resize or size)
        if train:
            fill = tuple(round(255 * mean) for mean in data.mean)
            view = RandomMaskView(size, data.scale, fill)
        return Viewed(whole, view, seed=seed)

    def build_network(self, generator: torch.Generator | None = None) -> Segmenter:
        """The recipe's network with the recipe's head."""
        model, head = self._recipe.model, self._recipe.head
        return create_segmenter(
            model.network,
            num_classes=self._num_classes,
            head=head.kind,
            filters=head.filters,
            low_level=head.low_level,
            width_mult=model.width_mult,
            generator=generator,
            **model.options,
        )

    def prepare_training(self, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """images: uint8 (N, 3, H, W); masks: uint8 (N, H, W). Flips some of both together."""
        flips = torch.rand(len(images)) < self._recipe.augment.flip
        flips = flips.to(images.device)[:, None, None]
        images = torch.where(flips[:, None], images.flip(-1), images)
        images, _ = self._augment.train(images, masks)
        return images, torch.where(flips, masks.flip(-1), masks)

    def prepare_evaluation(self, images: Tensor) -> Tensor:
        """images: uint8 (N, 3, H, W). Returns float (N, 3, H, W)."""
        return self._augment.evaluate(images)

    def loss(self, logits: Tensor, masks: Tensor) -> Tensor:
        """Mean over the pixels that have a class; 0 if none has.

        Args:
            logits: (N, K, H, W).
            masks: Classes or 255, (N, H, W).
        """
        total = functional.cross_entropy(
            logits,
            masks.long(),
            ignore_index=VOID,
            label_smoothing=self._recipe.train.label_smoothing,
            reduction="sum",
        )
        return total / (masks != VOID).sum().clamp(min=1)

    def metrics(self) -> SegmentationMetrics:
        """Mean IOU, boundary IOU and pixel accuracy."""
        return SegmentationMetrics(self._num_classes)
