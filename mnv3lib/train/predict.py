"""Prediction: what a trained network says about one image (chapters 7, 10 and 11).

The image may have any size. The network sees it as images are seen in an evaluation, by the view of
the recipe, and the answer is in the image's own pixels again. Files are read by
:func:`mnv3lib.data.images.read_rgb`: grey images become RGB, transparency becomes white, and a
rotation that the camera noted beside the pixels is not applied, as in training.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from mnv3lib.data.images import read_rgb
from mnv3lib.heads.detections import Detections
from mnv3lib.train.predictions import (
    BoxPrediction,
    ClassPrediction,
    MaskPrediction,
    Prediction,
)
from mnv3lib.train.run import Trained, load_trained
from mnv3lib.train.task_kinds import TASKS

__all__ = ["Predictor", "load_predictor", "read_picture"]


class Predictor:
    """A trained network that can be asked about images; it stays on the device that it is on.

    Args:
        trained: See :func:`mnv3lib.train.load_trained`.

    Attributes:
        task: ``"classification"``, ``"detection"`` or ``"segmentation"``.
        classes: Names of the classes.

    Example:
        >>> predictor = load_predictor(Path("weights.safetensors"))  # doctest: +SKIP
        >>> predictor(read_picture(Path("photo.jpg"))).top(5)  # doctest: +SKIP
    """

    def __init__(self, trained: Trained) -> None:
        self.task = trained.recipe.task
        self.classes = trained.classes
        self._network = trained.network.eval()
        self._data = trained.recipe.data
        self._task = TASKS[self.task](trained.recipe, trained.classes)

    @torch.no_grad()
    def __call__(self, image: Image.Image) -> Prediction:
        """Predicts.

        Args:
            image: Of mode RGB and any size; see :func:`read_picture`.

        Returns:
            What the network's task is to say.

        Raises:
            ValueError: An image of another mode.
        """
        if image.mode != "RGB":
            raise ValueError(f"the image has mode {image.mode!r}, expected RGB; read_picture knows")
        device = next(self._network.parameters()).device
        seen = self._task.look(self._data, image)[None].to(device)
        inputs = self._task.prepare_evaluation(seen)
        outputs = self._network(inputs.contiguous(memory_format=torch.channels_last)).float()
        return _ANSWERS[self.task](self, outputs, image.size)

    def _classes(self, logits: Tensor, size: tuple[int, int]) -> ClassPrediction:
        return ClassPrediction(size, self.classes, logits[0].softmax(0).cpu())

    def _boxes(self, outputs: Any, size: tuple[int, int]) -> BoxPrediction:
        """Detections are in pixels of the square that the network saw."""
        (found,) = self._task.detect(outputs)
        scale = torch.tensor([*size, *size]) / self._data.resolution
        boxes = found.boxes.cpu() * scale
        there = Detections(boxes, found.scores.cpu(), found.labels.cpu())
        return BoxPrediction(size, self.classes, there)

    def _mask(self, logits: Tensor, size: tuple[int, int]) -> MaskPrediction:
        return MaskPrediction(size, self.classes, _label_map(logits[0], size[::-1]).cpu())


def load_predictor(path: Path) -> Predictor:
    """Reads ``weights.safetensors`` of a finished run.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: It is no such file, such as the checkpoint of an unfinished run, or it is
            damaged.
    """
    return Predictor(load_trained(path))


def read_picture(path: Path) -> Image.Image:
    """Reads an image file into an RGB image.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no image, cut short, or of a pixel format that is no picture.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no image {path}; expected a picture file, such as a JPEG or PNG")
    return read_rgb(path)


def _label_map(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """The best class of each pixel of an image, one class at a time: photographs are large.

    Args:
        logits: (K, h, w).
        size: Height and width of the image.

    Returns:
        uint8 (*size).
    """
    best = torch.full(size, -torch.inf, device=logits.device)
    labels = torch.zeros(size, dtype=torch.uint8, device=logits.device)
    for label, plane in enumerate(logits):
        plane = F.interpolate(plane[None, None], size, mode="bilinear", align_corners=False)[0, 0]
        labels[plane > best] = label
        best = torch.maximum(best, plane)
    return labels


_ANSWERS: dict[str, Callable[[Predictor, Any, tuple[int, int]], Prediction]] = {
    "classification": Predictor._classes,
    "detection": Predictor._boxes,
    "segmentation": Predictor._mask,
}
