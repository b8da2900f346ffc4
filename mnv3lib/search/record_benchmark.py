"""Records a table of trained networks of a space, for searches that take seconds (chapter 8).

    python -m mnv3lib.search.record_benchmark --out data/runs/search-benchmark.json

Networks are drawn from the space without repetition, and each is trained with each seed by one
short recipe. Finished trainings stay in a folder, so an interrupted recording goes on.
"""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import torch
from tqdm import tqdm

from mnv3lib.executors import make_executor
from mnv3lib.measure import count
from mnv3lib.recorder import record_from_command_line
from mnv3lib.runs import RecordedRun, write_run
from mnv3lib.search.candidates import ShortTraining
from mnv3lib.search.encoding import decode, from_ranks
from mnv3lib.search.networks import network_of
from mnv3lib.search.search_folder import without_folders
from mnv3lib.search.space import Space
from mnv3lib.search.spaces import find_space
from mnv3lib.train.recipe import Recipe
from mnv3lib.train.recipe_files import load_recipe
from mnv3lib.train.run import load_images

__all__ = ["drawn_ranks", "main", "record"]

_MODULE = "mnv3lib.search.record_benchmark"


def drawn_ranks(space: Space, networks: int, *, seed: int = 0) -> torch.Tensor:
    """Ranks of networks drawn without repetition, int64 (networks,).

    A longer draw with the same seed begins with a shorter one.

    Raises:
        ValueError: More networks than the space has, or none.
    """
    if not 0 < networks <= space.cardinality:
        raise ValueError(
            f"{space.name} has {space.cardinality} networks, cannot draw {networks}; draw fewer"
        )
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(space.cardinality, generator=generator)[:networks]


def record(
    out: Path,
    *,
    space: str = "small_32",
    recipe: str = "cifar10/search_proxy",
    networks: int = 320,
    seeds: int = 2,
    executor: str = "processes",
    workers: int = 2,
    work: str = "runs/search-benchmark",
    root: str = "",
) -> RecordedRun:
    """Trains the networks and writes the run.

    Args:
        out: The run's file; its stem is the run's name.
        space: Name of a space.
        recipe: Recipe of the short training.
        networks: How many networks to draw.
        seeds: How many seeds, from 0.
        executor: Where to train, see :func:`mnv3lib.executors.make_executor`.
        workers: Trainings at once.
        work: Folder of the finished trainings.
        root: Where the data lie; empty for `MNV3_DATA`.

    Returns:
        The run as written: for each network its rank, its accuracies, parameters and MACs.

    Raises:
        ValueError: Unknown space or recipe, too many networks, or a folder of another recipe.
        FileNotFoundError: The data are not there.
    """
    started, start = datetime.now(UTC), time.perf_counter()
    found, trained_by = find_space(space), load_recipe(recipe)
    ranks = drawn_ranks(found, networks)
    codes = from_ranks(found, ranks)
    training = ShortTraining(
        trained_by,
        Path(work),
        seeds=range(seeds),
        executor=make_executor(executor, workers),
        root=root or None,
    )
    top1 = training.accuracies(found, codes)
    shown = without_folders(recipe)
    return write_run(
        out.stem,
        command=f"python -m {_MODULE} --space {space} --recipe {shown} --networks {networks} "
        f"--seeds {seeds} --workers {workers} --out data/runs/{out.name}",
        config={
            "space": space,
            "recipe": shown,
            "changes": trained_by.model_dump(mode="json", exclude_defaults=True),
        },
        seeds=list(range(seeds)),
        metrics={
            "ranks": ranks.tolist(),
            "top1": top1.tolist(),
            **_costs(found, codes, trained_by, root or None),
        },
        started=started,
        duration_s=time.perf_counter() - start,
        path=out,
    )


def _costs(
    space: Space, codes: torch.Tensor, recipe: Recipe, root: str | None
) -> dict[str, list[int]]:
    """Parameters and multiply-adds of each network, at the resolution that it is trained at."""
    points = decode(space, codes)
    classes = len(load_images(recipe, root=root)[0].classes)
    counts = [
        count(network_of(space, point, num_classes=classes), recipe.data.resolution)
        for point in tqdm(points, "counting", delay=2, disable=None, leave=False)
    ]
    return {"params": [c.params for c in counts], "macs": [c.macs for c in counts]}


def _describe(run: RecordedRun) -> str:
    top1 = torch.tensor(run.metrics["top1"], dtype=torch.float64)
    means = top1.mean(1)
    return (
        f"{len(top1)} networks, {top1.shape[1]} seeds: top-1 {means.min():.1%} to "
        f"{means.max():.1%}, {run.duration_s:.0f} s"
    )


def main(arguments: list[str] | None = None) -> int:
    """Records a run from the command line; see :mod:`mnv3lib.recorder`."""
    return record_from_command_line(
        record,
        module=_MODULE,
        summary=__doc__.splitlines()[0],
        describe=_describe,
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
