"""Measure how alike the heads of a study's networks look, and record the run.

    mnv3 study emoji-attention --work runs/emoji-attention
    python -m mnv3lib.ledger.record_head_similarity --study emoji-attention \
        --work runs/emoji-attention --out data/runs/head-similarity.json

The networks are those that the study has trained, one for each variant and seed; the images are
those that it evaluates on. Beside each stands the same network before training, whose heads are
alike or not by chance. Nothing is trained here. Shown in the chapter on EfficientViT.
"""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from mnv3lib.data.loading import load_batches
from mnv3lib.measure.head_similarity import head_similarity
from mnv3lib.recorder import record_from_command_line
from mnv3lib.runs import RecordedRun, write_run
from mnv3lib.train import load_trained
from mnv3lib.train.run import Trained, load_images
from mnv3lib.train.study import Study, load_study
from mnv3lib.train.task_kinds import TASKS

__all__ = ["main", "measure_cell", "record"]

_MODULE = "mnv3lib.ledger.record_head_similarity"
_DIGITS = 5
_BATCH = 128
_PER_HEAD = ("heads", "evenness", "correlation")


def measure_cell(trained: Trained, batches: Sequence[Tensor], *, seed: int) -> dict[str, Any]:
    """Measures a trained network, and one like it with the weights it may have started from.

    Args:
        trained: The network.
        batches: Normalised images, each (N, 3, H, W).
        seed: Seed of the untrained network's weights.

    Returns:
        As ``trained`` and ``untrained`` for each attention the fields of
        :class:`mnv3lib.measure.head_similarity.BlockSimilarity`, ready for JSON.
    """
    torch.manual_seed(seed)
    fresh = TASKS[trained.recipe.task](trained.recipe, trained.classes).build_network()
    return {
        "trained": _similarity(trained.network, batches),
        "untrained": _similarity(fresh, batches),
    }


def _similarity(network: nn.Module, batches: Sequence[Tensor]) -> list[dict[str, Any]]:
    return [
        {
            "name": block.name,
            **{key: [round(v, _DIGITS) for v in getattr(block, key)] for key in _PER_HEAD},
        }
        for block in head_similarity(network, batches)
    ]


def _mean(blocks: Sequence[dict[str, Any]], key: str = "heads") -> float:
    """The average over all heads of a network."""
    heads = [value for block in blocks for value in block[key]]
    return sum(heads) / len(heads)


def record(
    out: Path,
    *,
    study: str = "emoji-attention",
    work: str = "runs/emoji-attention",
    images: int = 1000,
    root: str = "",
) -> RecordedRun:
    """Measures all networks of a study and writes the run.

    Args:
        out: The JSON file to write, for instance ``data/runs/head-similarity.json``.
        study: Name of the study, or a TOML file of your own.
        work: Its work folder, with ``VARIANT/seed-N/weights.safetensors``.
        images: Measure on the first so many images that the study evaluates on, at most.
        root: Where the data lie; see :func:`mnv3lib.data.load_dataset`.

    Returns:
        The run. Its metrics hold for each variant ``cells``, what `measure_cell` returns for each
        seed, with averages over all heads, a number a seed: ``mean`` and ``mean_untrained`` of the
        cosines, ``mean_evenness`` and ``mean_correlation`` of the trained network. For the
        questions that the study asks they hold ``differences`` of the means and, as
        ``differences_of_correlation``, of the mean correlations, seed by seed.

    Raises:
        FileNotFoundError: There is no such study, or a network is not trained yet.
        ValueError: No images, or a network without attention.
    """
    started, start = datetime.now(UTC), time.perf_counter()
    asked = load_study(study)
    cells = [(variant, seed) for variant in asked.variants for seed in asked.seeds]
    measured = {
        cell: _measure(asked, Path(work), *cell, images=images, root=root or None)
        for cell in tqdm(cells, "networks", disable=None)
    }
    variants = {
        variant: _collected([measured[variant, seed] for seed in asked.seeds])
        for variant in asked.variants
    }
    return write_run(
        out.stem,
        command=f"python -m {_MODULE} --study {study} --work {work} --images {images} "
        f"--out data/runs/{out.name}",
        config={"study": study, "images": images},
        seeds=asked.seeds,
        metrics={
            "variants": variants,
            "differences": _differences(asked, variants, "mean"),
            "differences_of_correlation": _differences(asked, variants, "mean_correlation"),
        },
        started=started,
        duration_s=time.perf_counter() - start,
        path=out,
    )


def _measure(
    study: Study, work: Path, variant: str, seed: int, *, images: int, root: str | None
) -> dict[str, Any]:
    file = work / variant / f"seed-{seed}" / "weights.safetensors"
    if not file.is_file():
        raise FileNotFoundError(
            f"no trained network {file}: train the study first, with mnv3 study NAME --work {work}"
        )
    trained = load_trained(file)
    _, dataset = load_images(study.recipe_of(variant), seed=seed, root=root)
    task = TASKS[trained.recipe.task](trained.recipe, trained.classes)
    chosen = list(range(min(images, len(dataset))))
    parts = [chosen[i : i + _BATCH] for i in range(0, len(chosen), _BATCH)]
    batches = [task.prepare_evaluation(batch) for batch, _ in load_batches(dataset, parts)]
    return measure_cell(trained, batches, seed=seed)


def _collected(cells: list[dict[str, Any]]) -> dict[str, Any]:
    means = {
        "mean": ("trained", "heads"),
        "mean_untrained": ("untrained", "heads"),
        "mean_evenness": ("trained", "evenness"),
        "mean_correlation": ("trained", "correlation"),
    }
    return {
        "cells": cells,
        **{
            name: [round(_mean(cell[state], key), _DIGITS) for cell in cells]
            for name, (state, key) in means.items()
        },
    }


def _differences(
    study: Study, variants: dict[str, dict[str, Any]], mean: str
) -> dict[str, list[float]]:
    """For each question of the study, the first variant's mean less the second's, a seed each."""
    return {
        question: [
            round(a - b, _DIGITS)
            for a, b in zip(variants[one][mean], variants[other][mean], strict=True)
        ]
        for question, (one, other) in study.differences.items()
    }


def main(arguments: list[str] | None = None) -> int:
    """Records a run from the command line; see :mod:`mnv3lib.recorder`."""
    return record_from_command_line(
        record,
        module=_MODULE,
        summary=__doc__.splitlines()[0],
        describe=lambda run: f"{run.name}: {len(run.metrics['variants'])} variants",
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
