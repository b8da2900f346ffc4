"""Detection as the training loop's task: boxes and their classes (chapter 10)."""

from collections.abc import Sequence
from functools import cached_property

import torch
from PIL import Image
from torch import Tensor

from mnv3lib.data import load_dataset
from mnv3lib.data.box_batch import BoxTargets, collate_boxes
from mnv3lib.data.box_views import BoxView, RandomBoxView
from mnv3lib.data.images import image_tensor
from mnv3lib.data.viewed import Viewed
from mnv3lib.heads.detection_loss import detection_loss
from mnv3lib.heads.detections import Detections, detect
from mnv3lib.heads.predictions import Predictions
from mnv3lib.heads.ssdlite import SSDLite
from mnv3lib.heads.ssdlite_spec import SSDLiteSpec, detector_spec
from mnv3lib.train.detection_metrics import DetectionMetrics
from mnv3lib.train.joint_augment import JointAugment
from mnv3lib.train.recipe import Data, Recipe
from mnv3lib.train.sections import refuse_keys
from mnv3lib.train.tasks import Task

__all__ = ["Detection"]

_REFUSED = {
    "data": {"eval_resize", "interpolation", "scale", "spoiled"},
    "train": {"label_smoothing"},
}


class Detection(Task):
    """Boxes and their classes: SSDLite, its losses, COCO's average precision.

    Images are stretched to a square. Where the recipe has ``data.crop_area``, training looks at
    random parts of them, see :class:`mnv3lib.data.box_views.RandomBoxView`.

    Args:
        recipe: The recipe.
        classes: Names of the classes, without background.

    Raises:
        ValueError: A key of the recipe that means nothing for detection.

    Attributes:
        points: Metrics whose differences are told in percentage points.
    """

    points = ("map", "map50", "map75", "ar100")

    def __init__(self, recipe: Recipe, classes: Sequence[str]) -> None:
        for name, keys in _REFUSED.items():
            refuse_keys(name, getattr(recipe, name), "detection", refused=keys)
        self._recipe, self._classes = recipe, tuple(classes)
        self._augment = JointAugment(recipe, classes)

    @staticmethod
    def load(data: Data, split: str, *, train: bool, seed: int, root: str | None) -> Viewed:
        """Loads a split with the views that the recipe asks for: random ones only in training."""
        whole = load_dataset(data.name, split, root=root, seed=seed, **data.options)
        if whole.task != "detection":
            raise ValueError(f"{data.name} is for {whole.task}: it has no boxes to learn from")
        view: BoxView | RandomBoxView = BoxView(data.resolution)
        if train and data.crop_area is not None:
            view = RandomBoxView(data.resolution, area=data.crop_area)
        return Viewed(whole, view, seed=seed, collate_targets=collate_boxes)

    @staticmethod
    def look(data: Data, image: Image.Image) -> Tensor:
        """What an evaluation sees of an RGB image, uint8 (3, resolution, resolution)."""
        nothing = {"boxes": torch.zeros(0, 4), "image_id": 0}
        return BoxView(data.resolution)(image_tensor(image), nothing)[0]

    def build_network(self, generator: torch.Generator | None = None) -> SSDLite:
        """The recipe's network with the recipe's head."""
        return SSDLite(self._spec, generator=generator)

    @cached_property
    def _spec(self) -> SSDLiteSpec:
        model, head = self._recipe.model, self._recipe.head
        return detector_spec(
            model.network,
            num_classes=len(self._classes),
            resolution=self._recipe.data.resolution,
            anchors=head.anchors,
            scales=head.scales,
            extra_channels=head.extra_channels,
            prior=head.prior,
            width_mult=model.width_mult,
            **model.options,
        )

    @cached_property
    def anchors(self) -> Tensor:
        """Anchors of the recipe's network at the recipe's resolution, (A, 4)."""
        return self._spec.anchors_for(self._recipe.data.resolution)

    def prepare_training(self, images: Tensor, targets: BoxTargets) -> tuple[Tensor, BoxTargets]:
        """images: uint8 (N, 3, H, W). Flips some of them together with their boxes."""
        images, flips = self._augment.train(images)
        return images, targets.flipped(flips, images.shape[-1])

    def prepare_evaluation(self, images: Tensor) -> Tensor:
        """images: uint8 (N, 3, H, W). Returns float (N, 3, H, W)."""
        return self._augment.evaluate(images)

    def loss(self, outputs: Predictions, targets: BoxTargets) -> Tensor:
        """Loss of the classes plus loss of the boxes; crowds count as background."""
        objects = [targets.objects(number) for number in range(len(targets))]
        boxes, labels = zip(*objects, strict=True)
        anchors = self.anchors.to(outputs.box_codes.device)
        return sum(detection_loss(outputs, boxes, labels, anchors, self._recipe.head.loss))

    def detect(self, outputs: Predictions) -> list[Detections]:
        """Detections of each image in pixels of the square that the network saw."""
        head = self._recipe.head
        return detect(
            outputs,
            self.anchors.to(outputs.box_codes.device),
            self._recipe.data.resolution,
            kind=head.loss,
            score_threshold=head.score_threshold,
            nms_iou=head.nms_iou,
            max_detections=head.max_detections,
        )

    def metrics(self) -> DetectionMetrics:
        """COCO's average precision, in pixels of the original images."""
        return DetectionMetrics(self._classes, self.detect, self._recipe.data.resolution)
