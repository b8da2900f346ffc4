"""How many images a second the loop trains on, beside the shortest loop that PyTorch allows.

    python -m mnv3lib.train.throughput --out data/runs/training-throughput.json

The same network, batch size and optimiser everywhere; images are random, since their content does
not matter. All candidates take the same number of steps in each of the interleaved rounds, so
their ratios hold whatever else the machine does. Read in chapter 7 (training).
"""

import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor
from torch.nn import functional

from mnv3lib.data.base import ImageArray, generator_for
from mnv3lib.measure.forms import paired_ratio
from mnv3lib.measure.interleave import interleave
from mnv3lib.recorder import record_from_command_line
from mnv3lib.runs import RecordedRun, write_run
from mnv3lib.train.classification import Classification
from mnv3lib.train.loop import Loop
from mnv3lib.train.plan import micro_batches
from mnv3lib.train.processes import make_accelerator
from mnv3lib.train.recipe import Recipe
from mnv3lib.train.recipe_files import load_recipe
from mnv3lib.train.stopping import StopNote

__all__ = ["bare_loop", "main", "measure", "record"]

_MODULE = "mnv3lib.train.throughput"
_RECIPE = "cifar10/mobilenet_v3_small"
_STEPS = 10  # a round takes as many of each candidate
_PLAIN = {"flip": 0.0, "pad_crop": 0}
_CANDIDATES: dict[str, dict[str, dict]] = {
    "loop": {"augment": _PLAIN},
    "loop, contiguous": {"augment": _PLAIN, "train": {"channels_last": False}},
    "loop, bf16": {"augment": _PLAIN, "train": {"precision": "bf16"}},
    "loop, flip and crop": {},
}


def measure(*, threads: int = 1, rounds: int = 15) -> dict[str, dict]:
    """Times steps of training.

    Args:
        threads: Threads to compute with.
        rounds: Timed rounds.

    Returns:
        ``images_per_s`` (median) of each candidate, and ``ratios``: the speed of the loop over
        that of the bare loop, of layouts and precisions over each other, and the share of a
        step that loading and augmenting a batch takes; median and quartiles of the rounds.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        recipe = load_recipe(_RECIPE)
        data = _random_images(recipe)
        steps = {name: _loop(data, changes) for name, changes in _CANDIDATES.items()}
        steps["bare"] = bare_loop(recipe, data)
        steps["loading"] = _loading(data, recipe)
        samples = interleave(steps, rounds=rounds)
    finally:
        torch.set_num_threads(before)
    images = _STEPS * recipe.train.batch_size
    pairs = {
        "loop over bare": ("bare", "loop"),  # speeds, so times the other way round
        "channels last over contiguous": ("loop, contiguous", "loop"),
        "bf16 over fp32": ("loop", "loop, bf16"),
        "flip and crop over none": ("loop", "loop, flip and crop"),
        "share of loading": ("loading", "loop, flip and crop"),
    }
    return {
        "images_per_s": {
            name: round(images / sorted(ms)[len(ms) // 2] * 1e3, 1) for name, ms in samples.items()
        },
        "ratios": {name: asdict(paired_ratio(samples, *pair)) for name, pair in pairs.items()},
    }


def bare_loop(recipe: Recipe, data: ImageArray) -> Callable[[], None]:
    """The shortest loop: a fixed batch that is normalised already, nothing recorded or kept."""
    network = Classification(recipe, data.classes).build_network(generator_for(0))
    network = network.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4, foreach=True
    )
    size = recipe.train.batch_size
    images = data.images[:size].float().div(255).contiguous(memory_format=torch.channels_last)

    def take_steps() -> None:
        for _ in range(_STEPS):
            loss = functional.cross_entropy(network(images), data.labels[:size])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return take_steps


def _loop(data: ImageArray, changes: dict[str, dict]) -> Callable[[], None]:
    """Steps of :class:`Loop`, with all that it does besides."""
    recipe = load_recipe(_RECIPE, **changes)
    task = Classification(recipe, data.classes)
    loop = Loop(recipe, task, data, data, make_accelerator(), seed=0, checkpoint=None)

    def take_steps() -> None:
        loop.step, loop.epoch_losses = 0, []
        loop.train_epoch(0, StopNote(), lambda _: None)

    return take_steps


def _loading(data: ImageArray, recipe: Recipe) -> Callable[[], list[Tensor]]:
    """Batches as the loop gets them, augmented, without any training."""
    task = Classification(recipe, data.classes)
    loop = Loop(recipe, task, data, data, make_accelerator(), seed=0, checkpoint=None)

    def load() -> list[Tensor]:
        steps = micro_batches(data, loop.plan, 0)
        return [task.prepare_training(*parts[0][1:])[0] for parts in islice(steps, _STEPS)]

    return load


def _random_images(recipe: Recipe) -> ImageArray:
    """As many images as a round takes, of ten classes."""
    count, side = _STEPS * recipe.train.batch_size, recipe.data.resolution
    generator = generator_for(0)
    images = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 10, (count,), generator=generator)
    return ImageArray(images, labels, [str(label) for label in range(10)], "random")


def record(out: Path, *, threads: int = 1, rounds: int = 15) -> RecordedRun:
    """Measures and writes the recorded run `out`; arguments as in :func:`measure`."""
    started, start = datetime.now(UTC), perf_counter()
    metrics = measure(threads=threads, rounds=rounds)
    return write_run(
        out.stem,
        command=f"python -m {_MODULE} --threads {threads} --rounds {rounds} "
        f"--out data/runs/{out.name}",
        config={"recipe": _RECIPE, "threads": threads, "rounds": rounds, "steps": _STEPS},
        seeds=[0],
        metrics=metrics,
        started=started,
        duration_s=perf_counter() - start,
        path=out,
    )


def _describe(run: RecordedRun) -> str:
    return "\n".join(
        f"{name}: {ratio['median']:.3f} [{ratio['q1']:.3f}, {ratio['q3']:.3f}]"
        for name, ratio in run.metrics["ratios"].items()
    )


def main(arguments: list[str] | None = None) -> int:
    """Records a run from the command line; see :mod:`mnv3lib.recorder`."""
    return record_from_command_line(
        record,
        module=_MODULE,
        summary=__doc__.splitlines()[0],
        options={"threads": 1, "rounds": 15},
        describe=_describe,
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
