"""Real weights on real photographs: what a wrong padding or resolution costs.

MobileNetV2 with weights that were trained in TensorFlow classifies one photograph of every fourth
ImageNet class, each time with one convention changed. Nothing fails when a convention is wrong;
only the share of right answers tells. Most of the photographs are training images: the shares
compare settings and are no ImageNet accuracy. The checkpoint's batch norm was folded before it
was published (variance 1 everywhere), so the wrong epsilon hardly shows in it.

Chapter 5 (the two networks) shows the recorded run, which this command makes in some minutes:

    python -m mnv3lib.ledger.pretrained_check --out data/runs/pretrained-mobilenet-v2.json

It reads ``imagenet-sample/`` in the folder that the environment variable ``MNV3_DATA`` names.
"""

import argparse
import csv
import os
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from mnv3lib.models import create_model, load_weights
from mnv3lib.models.weights import read_checkpoint
from mnv3lib.ops import Padding
from mnv3lib.runs import RecordedRun, write_run

__all__ = [
    "SETTINGS",
    "Setting",
    "classify",
    "compare_settings",
    "data_folder",
    "main",
    "read_photographs",
    "record",
]

_MODULE = "mnv3lib.ledger.pretrained_check"
DATA_VARIABLE = "MNV3_DATA"
WEIGHTS = Path("weights", "mobilenet_v2_imagenet.safetensors")  # beside the data folder
EVERY = 4  # one photograph in four, from the first row of labels.csv on
_BATCH = 25


@dataclass(frozen=True)
class Setting:
    """The conventions that no checkpoint stores.

    Attributes:
        name: Key of the setting's results.
        padding: ``"same"`` (as trained) or ``"symmetric"``.
        bn_eps: Epsilon of batch norm; trained with 1e-3.
        resolution: Side of the centre crop in pixels; trained at 224.
    """

    name: str
    padding: Padding = "same"
    bn_eps: float = 1e-3
    resolution: int = 224


SETTINGS = (
    Setting("as_trained"),
    Setting("symmetric", padding="symmetric"),
    Setting("small_epsilon", bn_eps=1e-5),
    Setting("at_225", resolution=225),
    Setting("symmetric_at_225", padding="symmetric", resolution=225),
)


def data_folder() -> Path:
    """The folder that the environment variable names.

    Raises:
        FileNotFoundError: The variable is not set.
    """
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        raise FileNotFoundError(
            f"{DATA_VARIABLE} is not set; let it name the folder that holds imagenet-sample/ "
            "(data/README.md tells where it comes from)"
        )
    return Path(folder)


def read_photographs(folder: Path, resolution: int) -> tuple[Tensor, Tensor]:
    """Reads every fourth photograph of the sample: centre crop, no resize.

    Args:
        folder: Holds ``labels.csv`` (columns index, wnid, name) and ``images/<wnid>.jpg``.
        resolution: Side of the crop in pixels.

    Returns:
        Images, (N, 3, resolution, resolution), RGB scaled to [-1, 1]; and class indices, (N,).

    Raises:
        FileNotFoundError: The folder has no ``labels.csv``, or an image is missing.
        ValueError: An image is smaller than the crop.
    """
    labels = folder / "labels.csv"
    if not labels.is_file():
        raise FileNotFoundError(f"no labels.csv in {folder.name}/; is {DATA_VARIABLE} right?")
    with labels.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[::EVERY]
    paths = [folder / "images" / f"{row['wnid']}.jpg" for row in rows]
    images = torch.stack([_centre_crop(path, resolution) for path in paths])
    return images, torch.tensor([int(row["index"]) for row in rows])


def _centre_crop(path: Path, side: int) -> Tensor:
    from PIL import Image  # comes with matplotlib

    with Image.open(path) as image:
        left, top = (image.width - side) // 2, (image.height - side) // 2
        if min(left, top) < 0:
            raise ValueError(f"{path.name} is {image.size}, smaller than a crop of {side} pixels")
        crop = image.convert("RGB").crop((left, top, left + side, top + side))
    pixels = torch.frombuffer(bytearray(crop.tobytes()), dtype=torch.uint8)
    return pixels.view(side, side, 3).permute(2, 0, 1) / 127.5 - 1


@torch.inference_mode()
def classify(images: Tensor, weights: dict[str, Tensor], setting: Setting) -> Tensor:
    """Classifies images with MobileNetV2 under a setting.

    Args:
        images: RGB in [-1, 1], (N, 3, H, W).
        weights: The checkpoint's tensors by name.
        setting: Conventions to build the network with.

    Returns:
        Predicted classes, (N,).
    """
    model = create_model("mobilenet_v2", padding=setting.padding, bn_eps=setting.bn_eps)
    load_weights(model, weights).eval()
    return torch.cat([model(batch).argmax(1) for batch in images.split(_BATCH)])


def compare_settings(
    folder: Path, weights: Path, settings: tuple[Setting, ...] = SETTINGS
) -> dict[str, dict[str, Any]]:
    """Counts right answers under each setting.

    Args:
        folder: The photographs, see :func:`read_photographs`.
        weights: A checkpoint of MobileNetV2, in any layout that ``load_weights`` knows.
        settings: What to compare; the first is the one that the others are compared with.

    Returns:
        By setting's name: its conventions; ``images``; ``correct``; and ``changed``, the answers
        that differ from those of the first setting.

    Raises:
        FileNotFoundError: Photographs or checkpoint are missing.
    """
    state = read_checkpoint(weights)
    results: dict[str, dict[str, Any]] = {}
    reference: Tensor | None = None
    for setting in tqdm(settings, "settings", disable=None, leave=False):
        images, labels = read_photographs(folder, setting.resolution)
        answers = classify(images, state, setting)
        reference = answers if reference is None else reference
        results[setting.name] = {
            **asdict(setting),
            "images": len(labels),
            "correct": int((answers == labels).sum()),
            "changed": int((answers != reference).sum()),
        }
    return results


def record(out: Path, *, folder: Path, weights: Path) -> RecordedRun:
    """Compares all settings and writes the run.

    Args:
        out: The JSON file to write.
        folder: The photographs.
        weights: The checkpoint.

    Returns:
        The run, as written.
    """
    started, start = datetime.now(UTC), time.perf_counter()
    metrics = compare_settings(folder, weights)
    return write_run(
        out.stem,
        command=f"python -m {_MODULE} --out data/runs/{out.name}",
        config={"model": "mobilenet_v2", "weights": weights.name, "every": EVERY},
        seeds=[],
        metrics=metrics,
        started=started,
        duration_s=time.perf_counter() - start,
        path=out,
    )


def main(arguments: list[str] | None = None) -> int:
    """Records the run from the command line.

    Args:
        arguments: The words after the command; the process's own when not given.

    Returns:
        The exit status: 0, or 2 for a wrong argument.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {_MODULE}", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--out", type=Path, required=True, help="data/runs/NAME.json")
    parser.add_argument("--weights", type=Path, help=f"default: {WEIGHTS} beside {DATA_VARIABLE}")
    options = parser.parse_args(arguments)
    try:
        data = data_folder()
        weights = options.weights or data.resolve().parent / WEIGHTS
        run = record(options.out, folder=data / "imagenet-sample", weights=weights)
    except (ValueError, FileNotFoundError) as error:
        print(f"pretrained_check: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    for name, result in run.metrics.items():
        print(f"{name}: {result['correct']} of {result['images']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
