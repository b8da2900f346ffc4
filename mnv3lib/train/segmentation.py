"""Segmentation as the training loop's task: a class for every pixel (chapter 11)."""

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from mnv3lib.data import load_dataset
from mnv3lib.data.images import image_tensor
from mnv3lib.data.mask_folder import VOID
from mnv3lib.data.mask_views import MaskView, RandomMaskView
from mnv3lib.data.viewed import Viewed
from mnv3lib.heads.segmenter import Segmenter, create_segmenter
from mnv3lib.train.joint_augment import JointAugment
from mnv3lib.train.recipe import Data, Recipe
from mnv3lib.train.sections import refuse_keys
from mnv3lib.train.segmentation_metrics import SegmentationMetrics
from mnv3lib.train.tasks import Task

__all__ = ["Segmentation"]


class Segmentation(Task):
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

    Attributes:
        points: Metrics whose differences are told in percentage points.
    """

    points = ("miou", "boundary_iou", "pixel_accuracy")

    def __init__(self, recipe: Recipe, classes: Sequence[str]) -> None:
        # `scale` takes the place of the part to look at.
        refused = {"crop_area", "interpolation", "spoiled"}
        refuse_keys("data", recipe.data, "segmentation", refused=refused)
        self._recipe, self._num_classes = recipe, len(classes)
        self._augment = JointAugment(recipe, classes)

    @staticmethod
    def load(data: Data, split: str, *, train: bool, seed: int, root: str | None) -> Viewed:
        """Loads a split with the views that the recipe asks for: random ones only in training."""
        whole = load_dataset(data.name, split, root=root, seed=seed, **data.options)
        if whole.task != "segmentation":
            raise ValueError(f"{data.name} is for {whole.task}: it has no masks to learn from")
        if not train:
            return Viewed(whole, _whole_image(data))
        fill = tuple(round(255 * mean) for mean in data.mean)
        return Viewed(whole, RandomMaskView(_size(data), data.scale, fill), seed=seed)

    @staticmethod
    def look(data: Data, image: Image.Image) -> Tensor:
        """What an evaluation sees of an RGB image, uint8 (3, H, W)."""
        pixels = image_tensor(image)
        return _whole_image(data)(pixels, torch.zeros_like(pixels[0]))[0]

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
        images, flips = self._augment.train(images)
        return images, torch.where(flips[:, None, None], masks.flip(-1), masks)

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
        """Mean IoU, boundary IoU and pixel accuracy."""
        return SegmentationMetrics(self._num_classes)


def _size(data: Data) -> tuple[int, int]:
    """Height and width of the images to train on."""
    size = data.resolution
    return (size, size) if isinstance(size, int) else tuple(size)


def _whole_image(data: Data) -> MaskView:
    return MaskView(data.eval_resize or _size(data))
