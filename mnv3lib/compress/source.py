"""What is exported: a network with its weights, and the images that it is meant for (chapter 12).

Weights come from a finished run of this project, whose recipe then says all the rest; from a
checkpoint of this library, torchvision or timm; or from a random generator, which is enough to
measure time.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mnv3lib.data.needs import needs_extra
from mnv3lib.heads.predictions import OneOutput
from mnv3lib.measure.image_size import Resolution, image_size, own_resolution
from mnv3lib.models import create_model, load_weights

if TYPE_CHECKING:
    from mnv3lib.train import Trained
    from mnv3lib.train.recipe import Data

__all__ = ["CalibrationImages", "Source", "load_images", "load_source"]

_BATCH, _COMPARED = 32, 16
_RUN_KEY = "mnv3lib"  # of the metadata in files of mnv3lib.train.checkpoint
_MEANINGS = {
    "classification": "logits of the classes",
    "detection": "for each anchor logits of background and classes, then tx, ty, tw, th",
    "segmentation": "logits of the classes on a map, to be resized to the image",
}
_VIEWS = {
    "classification": "shorter side to {resize} pixels, then the centre square, {filter}",
    "detection": "resized to {height} x {width} pixels, whatever its shape",
    "segmentation": "resized to {height} x {width} pixels, whatever its shape",
}


@dataclass(frozen=True)
class Source:
    """A network to export.

    Attributes:
        name: Its name.
        network: In evaluation mode, from images (N, 3, H, W) to one tensor.
        options: What it was built with besides its name.
        task: ``"classification"``, ``"detection"`` or ``"segmentation"``.
        data: The section of a recipe that says how images are prepared for it.
        weights: Where its weights come from, in words.
        trained: The finished run it is from, if it is.
    """

    name: str
    network: nn.Module = field(repr=False)
    options: dict[str, Any]
    task: str
    data: "Data" = field(repr=False)
    weights: str
    trained: "Trained | None" = field(default=None, repr=False)

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """Shape of one image as the network takes it."""
        return (1, 3, *image_size(self.data.resolution))

    @property
    def meaning(self) -> str:
        """What the numbers mean that come out, in words."""
        return _MEANINGS[self.task]

    @property
    def view(self) -> str:
        """How an image of any size becomes one for this network, in words."""
        height, width = self.input_shape[-2:]
        told: dict[str, Any] = {"height": height, "width": width}
        if self.task == "classification":
            from mnv3lib.train.classification import centre_view

            view = centre_view(self.data)
            told = {"resize": view.resize or height, "filter": view.interpolation}
        return _VIEWS[self.task].format(**told)


@dataclass(frozen=True)
class CalibrationImages:
    """Training images, prepared as for an evaluation.

    Attributes:
        data: Name of the data set.
        batches: To calibrate with, float32 (N, 3, H, W) each.
        others: To compare on, which were not calibrated with if the data set has that many,
            float32 (N, 3, H, W).
    """

    data: str
    batches: list[Tensor] = field(repr=False)
    others: Tensor = field(repr=False)

    @property
    def count(self) -> int:
        """How many images there are to calibrate with."""
        return sum(map(len, self.batches))


def load_source(
    name: str,
    weights: Path | None = None,
    *,
    resolution: Resolution | None = None,
    options: Mapping[str, Any] | None = None,
) -> Source:
    """Builds a network and fills it.

    Args:
        name: Name of the network, as in :func:`mnv3lib.list_models`.
        weights: ``weights.safetensors`` of a finished run, or a checkpoint that
            :func:`mnv3lib.load_weights` reads; random weights (seed 0) if not given.
        resolution: Side of the square image, or height and width, in pixels; the network's own if
            not given. A finished run knows it.
        options: Arguments of :func:`mnv3lib.create_model`. A finished run knows them.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Unknown name or option, weights that do not fit or are damaged, a run of another
            network, or a size or option beside the weights of a run.
    """
    options = dict(options or {})
    if weights is not None and _is_run(weights):
        told = [*options, *([] if resolution is None else ["resolution"])]
        if told:
            raise ValueError(f"{weights} is of a run, which knows its {', '.join(told)}: leave out")
        return _of_run(name, weights)
    with needs_extra("train"):
        from mnv3lib.train.recipe import Data
    if resolution is not None:
        height, width = image_size(resolution)
        if height != width:
            raise ValueError(f"classification takes square images, got {height} x {width} pixels")
        options["resolution"] = height
    network = create_model(name, generator=torch.Generator().manual_seed(0), **options).eval()
    options.pop("resolution", None)  # the shape of the input says it
    words = "random, seed 0: what it computes means nothing"
    if weights is not None:
        load_weights(network, weights)
        words = _named(weights)
    # ImageNet's mean and deviation are the defaults.
    data = Data(name="imagenet", resolution=own_resolution(network))
    return Source(name, network, options, "classification", data, words)


def load_images(
    source: Source, data: str, *, count: int = 256, root: str | None = None
) -> CalibrationImages:
    """Training images, seen as in an evaluation: what activations are calibrated with.

    Args:
        source: The network that they are for.
        data: Name of a data set, as ``mnv3 data list`` shows them.
        count: How many to calibrate with, chosen at random (seed 0) from those that a run may
            train on.
        root: Where the data lie; see :func:`mnv3lib.data.load_dataset`.

    Raises:
        FileNotFoundError: The data are not there.
        ValueError: Unknown data set, one for another task, or fewer than one image.
    """
    if count < 1:
        raise ValueError(f"calibration needs at least one image, got {count}")
    with needs_extra("train"):
        from mnv3lib.train.augment import Augment
        from mnv3lib.train.recipe import Augmentation
        from mnv3lib.train.task_kinds import TASKS
    from mnv3lib.data.loading import load_batches
    from mnv3lib.data.part import held_out_indices

    section = source.data
    if data != section.name:
        section = section.model_copy(update={"name": data, "options": {}, "held_out": None})
    split = section.train_split
    images = TASKS[source.task].load(section, split, train=False, seed=0, root=root)
    allowed = torch.arange(len(images))
    if section.held_out is not None:
        allowed, _ = held_out_indices(len(images), section.held_out)
    order = torch.randperm(len(allowed), generator=torch.Generator().manual_seed(0))
    chosen, rest = allowed[order[:count]], allowed[order[count:]]
    others = (rest if len(rest) else chosen)[:_COMPARED]
    batches = [part.tolist() for part in (*chosen.split(_BATCH), others)]
    prepare = Augment(Augmentation(), mean=section.mean, std=section.std, num_classes=1).evaluate
    *seen, compared = [prepare(batch) for batch, _ in load_batches(images, batches)]
    return CalibrationImages(data, seen, compared)


def _is_run(path: Path) -> bool:
    """Whether a file was written by a run of this project."""
    from safetensors import SafetensorError, safe_open

    if path.suffix != ".safetensors" or not path.is_file():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            return _RUN_KEY in (file.metadata() or {})
    except SafetensorError:
        return False


def _of_run(name: str, path: Path) -> Source:
    """The network of a finished run."""
    with needs_extra("train"):
        from mnv3lib.train import load_trained

    trained = load_trained(path)
    model = trained.recipe.model
    if model.name != name:
        raise ValueError(f"{path} holds the weights of {model.name}, not of {name}")
    task, data, network = trained.recipe.task, trained.recipe.data, trained.network
    if task == "detection":
        network = OneOutput(network)
    if task == "segmentation":  # a program takes images of one size only
        data = data.model_copy(update={"eval_resize": None})
    options = model.model_dump(mode="json", exclude={"name", "table"})
    return Source(name, network, options, task, data, _named(path), trained)


def _named(path: Path) -> str:
    """A file of weights, so that it can be recognised without its folder."""
    return f"{path.name}, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}"
