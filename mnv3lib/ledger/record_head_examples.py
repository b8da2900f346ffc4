"""Record what trained detectors and segmenters say about a few test images.

    python -m mnv3lib.ledger.record_head_examples --works runs/bccd-detectors runs/camvid-heads \
        --out data/runs/head-examples.json

A work folder is that of a study: ``VARIANT/seed-0/weights.safetensors``. The images are spread
evenly over the test split, so that nobody chooses them. Annotations are compared with the answers
and not stored. Nothing is trained or timed.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from mnv3lib.data import ImageDataset, load_dataset
from mnv3lib.data.mask_folder import VOID
from mnv3lib.heads.boxes import box_iou
from mnv3lib.heads.detections import Detections
from mnv3lib.ledger.head_examples import encode
from mnv3lib.recorder import record_from_command_line
from mnv3lib.runs import RecordedRun, write_run
from mnv3lib.train.predict import Predictor
from mnv3lib.train.predictions import BoxPrediction, MaskPrediction
from mnv3lib.train.run import Trained, load_trained

__all__ = ["MATCH", "SCORE", "hits", "main", "record", "spread_evenly"]

_MODULE = "mnv3lib.ledger.record_head_examples"
SCORE = 0.3
"""Detections below this score are left out."""
MATCH = 0.5
"""IoU from which on a detection has found an object."""


def spread_evenly(images: int, count: int) -> list[int]:
    """Numbers of `images` images out of `count`, at equal distances from the first on.

    Raises:
        ValueError: Fewer than one image, or more than there are.

    Example:
        >>> spread_evenly(3, 10)
        [0, 3, 6]
    """
    if not 1 <= images <= count:
        raise ValueError(f"images must be from 1 to {count}, got {images}")
    return [number * count // images for number in range(images)]


def record(
    out: Path,
    *,
    works: Sequence[str] = ("runs/bccd-detectors", "runs/camvid-heads"),
    images: int = 4,
    seed: int = 0,
    root: str = "",
) -> RecordedRun:
    """Predicts and writes the run.

    Args:
        out: The JSON file to write, for instance ``data/runs/head-examples.json``.
        works: Work folders of studies whose networks detect or segment.
        images: Test images of each study.
        seed: The seed whose networks are asked.
        root: Where the data lie; see :func:`mnv3lib.data.load_dataset`.

    Returns:
        The run; :func:`mnv3lib.ledger.head_examples.read_examples` reads it.

    Raises:
        FileNotFoundError: A folder holds no trained network of this seed, or the data are missing.
        ValueError: Networks that classify, or whose variants have other data or classes.
    """
    started, start = datetime.now(UTC), time.perf_counter()
    folders = [Path(work) for work in works]
    metrics = {folder.name: _examples(folder, images, seed, root or None) for folder in folders}
    shown = [f"runs/{name}" for name in metrics]
    return write_run(
        out.stem,
        command=f"python -m {_MODULE} --works {' '.join(shown)} --images {images} --seed {seed} "
        f"--out data/runs/{out.name}",
        config={"works": shown, "images": images, "score": SCORE},
        seeds=[seed],
        metrics=metrics,
        started=started,
        duration_s=time.perf_counter() - start,
        path=out,
    )


def _examples(folder: Path, images: int, seed: int, root: str | None) -> dict[str, Any]:
    """The examples of one study, ready for JSON."""
    trained = _load_variants(folder, seed)
    first = next(iter(trained.values()))
    data = first.recipe.data
    dataset = load_dataset(data.name, data.eval_split, root=root, seed=0, **data.options)
    predictors = {variant: Predictor(one) for variant, one in trained.items()}
    return {
        "task": first.recipe.task,
        "dataset": data.name,
        "split": data.eval_split,
        "classes": list(first.classes),
        "images": [
            _example(dataset, index, predictors) for index in spread_evenly(images, len(dataset))
        ],
    }


def _load_variants(folder: Path, seed: int) -> dict[str, Trained]:
    """The networks of a study by variant, which must have learnt the same."""
    files = sorted(folder.glob(f"*/seed-{seed}/weights.safetensors"))
    if not files:
        raise FileNotFoundError(
            f"no VARIANT/seed-{seed}/weights.safetensors in {folder}; give the folder that "
            "`mnv3 study NAME --work FOLDER` has filled"
        )
    trained = {file.parents[1].name: load_trained(file) for file in files}
    learnt = {(t.recipe.task, t.recipe.data.name, t.classes) for t in trained.values()}
    if len(learnt) > 1 or "classification" in {task for task, *_ in learnt}:
        raise ValueError(
            f"the variants in {folder} have learnt {sorted(learnt)}; expected detection or "
            "segmentation of one data set"
        )
    return trained


def _example(
    dataset: ImageDataset, index: int, predictors: Mapping[str, Predictor]
) -> dict[str, Any]:
    pixels, target = dataset[index]
    picture = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
    files = getattr(dataset, "paths", None)
    answers = {variant: _answer(predictor(picture)) for variant, predictor in predictors.items()}
    count, judge = _JUDGES[dataset.task]
    return {
        "index": index,
        "name": files[index].name if files else "",
        "size": list(picture.size),
        "annotated": count(target),
        "found": {variant: encode(dataset.task, own) for variant, own in answers.items()},
        "right": {variant: judge(own, target) for variant, own in answers.items()},
    }


def _answer(prediction: BoxPrediction | MaskPrediction) -> Detections | Tensor:
    return (
        prediction.labels
        if isinstance(prediction, MaskPrediction)
        else prediction.above(SCORE).found
    )


def hits(found: Detections, objects: Mapping[str, Tensor]) -> list[bool]:
    """Whether each detection has found an object, by COCO's rule at an IoU of 0.5.

    In the order of the scores, each takes the object of its class that it overlaps most and that no
    other has taken.

    Args:
        found: Detections, best first.
        objects: ``boxes``, (M, 4), ``labels`` and ``crowd``, (M,); crowds are left out.
    """
    kept = ~objects["crowd"]
    overlap = box_iou(found.boxes, objects["boxes"][kept])
    overlap *= found.labels[:, None] == objects["labels"][kept]
    results = []
    for row in overlap:
        best = int(row.argmax()) if len(row) else None
        results.append(best is not None and bool(row[best] >= MATCH))
        if results[-1]:
            overlap[:, best] = 0
    return results


def _right_pixels(labels: Tensor, mask: Tensor) -> int:
    return int(((labels == mask) & (mask != VOID)).sum())


# How much is annotated, and what of an answer is right.
_JUDGES: dict[str, tuple[Callable[[Any], int], Callable[[Any, Any], Any]]] = {
    "detection": (lambda objects: int((~objects["crowd"]).sum()), hits),
    "segmentation": (lambda mask: int((mask != VOID).sum()), _right_pixels),
}


def main(arguments: list[str] | None = None) -> int:
    """Records a run from the command line; see :mod:`mnv3lib.recorder`."""
    return record_from_command_line(
        record,
        module=_MODULE,
        summary=__doc__.splitlines()[0],
        describe=lambda run: f"{run.name}: {', '.join(run.metrics)}, {run.duration_s:.0f} s",
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
