"""Classification as the training loop's task: one label an image (chapter 7)."""

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from mnv3lib.data import CenterView, ImageDataset, RandomView, load_dataset
from mnv3lib.models import create_model
from mnv3lib.train.augment import Augment
from mnv3lib.train.metrics import ClassificationMetrics
from mnv3lib.train.recipe import Data, Recipe
from mnv3lib.train.sections import refuse_keys

__all__ = ["Classification"]


class Classification:
    """One label an image: cross-entropy, smoothed if the recipe says so.

    Args:
        recipe: The recipe.
        classes: Names of the classes.

    Raises:
        ValueError: A key of the recipe that means nothing for classification.

    Attributes:
        points: Metrics whose differences are told in percentage points.
    """

    points = ("top1",)

    def __init__(self, recipe: Recipe, classes: Sequence[str]) -> None:
        refuse_keys("data", recipe.data, "classification", refused={"scale"})
        self._model = recipe.model
        self._num_classes = len(classes)
        self._smoothing = recipe.train.label_smoothing
        self._augment = Augment(
            recipe.augment, mean=recipe.data.mean, std=recipe.data.std, num_classes=len(classes)
        )

    @staticmethod
    def load(data: Data, split: str, *, train: bool, seed: int, root: str | None) -> ImageDataset:
        """Loads a split with the views that the recipe asks for: random ones only in training."""
        view: CenterView | RandomView = _centre(data)
        if train and data.crop_area is not None:
            view = RandomView(
                data.resolution, area=data.crop_area, interpolation=data.interpolation
            )
        return load_dataset(data.name, split, root=root, view=view, seed=seed, **data.options)

    @staticmethod
    def look(data: Data, image: Image.Image) -> Tensor:
        """What an evaluation sees of an RGB image, uint8 (3, resolution, resolution)."""
        return _centre(data)(image)

    def build_network(self, generator: torch.Generator | None = None) -> nn.Module:
        """The recipe's network, ending in one logit a class."""
        return create_model(
            self._model.network,
            width_mult=self._model.width_mult,
            num_classes=self._num_classes,
            generator=generator,
            **self._model.options,
        )

    def prepare_training(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """images: uint8 (N, 3, H, W); labels: int64 (N,), probabilities (N, K) after mixing."""
        return self._augment.train(images, labels)

    def prepare_evaluation(self, images: Tensor) -> Tensor:
        """images: uint8 (N, 3, H, W). Returns float (N, 3, H, W)."""
        return self._augment.evaluate(images)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """logits: (N, K); targets: int64 (N,) or probabilities (N, K)."""
        return functional.cross_entropy(logits, targets, label_smoothing=self._smoothing)

    def metrics(self) -> ClassificationMetrics:
        """Top-1 and top-5, likelihood and calibration."""
        return ClassificationMetrics(self._num_classes)


def _centre(data: Data) -> CenterView:
    """The view of an evaluation: bicubic where training draws its interpolation (timm)."""
    interpolation = "bicubic" if data.interpolation == "random" else data.interpolation
    return CenterView(data.resolution, resize=data.eval_resize, interpolation=interpolation)
