"""Classification as the training loop's task: one label an image (chapter 7)."""

from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import Tensor, nn

from mnv3lib.data import CenterView, ImageDataset, RandomView, load_dataset
from mnv3lib.data.spoiled import Spoiled
from mnv3lib.models import Network, create_model
from mnv3lib.train.augment import Augment
from mnv3lib.train.criteria import make_criterion
from mnv3lib.train.last_map import Observed, WithLastMap
from mnv3lib.train.metrics import ClassificationMetrics
from mnv3lib.train.recipe import Data, Recipe
from mnv3lib.train.sections import refuse_keys
from mnv3lib.train.tasks import Task
from mnv3lib.train.variance_metrics import VarianceMetrics

__all__ = ["Classification", "centre_view"]


class Classification(Task):
    """One label an image: cross-entropy, smoothed if the recipe says so, or another loss.

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
        self._criterion = make_criterion(recipe)
        self._batch_size = recipe.train.batch_size // recipe.train.micro_batches
        self._watches = recipe.loss.watch or recipe.loss.name == "bias"
        self._augment = Augment(
            recipe.augment, mean=recipe.data.mean, std=recipe.data.std, num_classes=len(classes)
        )

    @staticmethod
    def load(data: Data, split: str, *, train: bool, seed: int, root: str | None) -> ImageDataset:
        """Loads a split with the views that the recipe asks for: random ones only in training."""
        view: CenterView | RandomView = centre_view(data)
        if train and data.crop_area is not None:
            view = RandomView(
                data.resolution, area=data.crop_area, interpolation=data.interpolation
            )
        whole = load_dataset(data.name, split, root=root, view=view, seed=seed, **data.options)
        return Spoiled(whole, data.spoiled) if train and data.spoiled else whole

    @staticmethod
    def look(data: Data, image: Image.Image) -> Tensor:
        """What an evaluation sees of an RGB image, uint8 (3, resolution, resolution)."""
        return centre_view(data)(image)

    def build_network(self, generator: torch.Generator | None = None) -> nn.Module:
        """The recipe's network, ending in one logit a class."""
        return create_model(
            self._model.network,
            width_mult=self._model.width_mult,
            num_classes=self._num_classes,
            generator=generator,
            **self._model.options,
        )

    def observed(self, network: nn.Module) -> nn.Module:
        """The network, which also shows its last map if the recipe looks at it and if it can."""
        shows = self._watches and isinstance(network, Network)
        return WithLastMap(network) if shows else network

    def prepare_training(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """images: uint8 (N, 3, H, W); labels: int64 (N,), probabilities (N, K) after mixing."""
        return self._augment.train(images, labels)

    def prepare_evaluation(self, images: Tensor) -> Tensor:
        """images: uint8 (N, 3, H, W). Returns float (N, 3, H, W)."""
        return self._augment.evaluate(images)

    def loss(self, outputs: Tensor | Observed, targets: Tensor) -> Tensor:
        """outputs: Logits (N, K), or more; targets: int64 (N,) or probabilities (N, K)."""
        return self._criterion(outputs, targets)

    def end_step(self, gather: Callable[[Tensor], Tensor]) -> None:
        """Lets the processes agree on what the loss remembers."""
        self._criterion.end_step(gather)

    def memory(self) -> dict[str, Tensor]:
        """What the loss remembers: the buffers of the criterion."""
        return dict(self._criterion.named_buffers())

    def metrics(self) -> ClassificationMetrics:
        """Top-1 and top-5, likelihood and calibration; and what the last map says, if watched."""
        if self._watches:
            return VarianceMetrics(self._num_classes, batch_size=self._batch_size)
        return ClassificationMetrics(self._num_classes)


def centre_view(data: Data) -> CenterView:
    """The view of an evaluation: bicubic where training draws its interpolation (timm)."""
    interpolation = "bicubic" if data.interpolation == "random" else data.interpolation
    return CenterView(data.resolution, resize=data.eval_resize, interpolation=interpolation)
