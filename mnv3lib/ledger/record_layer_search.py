"""Searches detectors among layers of MobileDets, trains what is found, and records the run.

    python -m mnv3lib.ledger.record_layer_search --out data/runs/layer-search.json

For each simulated device and each seed: a one-shot search in each space on drawn scenes at the same
target, a random point of the last space near that target, and a training from scratch of what each
found. The target is the median latency of the first and smallest space on that device, so that all
can reach it, and what they find can be compared at about equal latency. A finished cell is kept, so
that an interrupted command goes on. Shown in the chapter on MobileDets.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mnv3lib.executors import make_executor
from mnv3lib.ledger.drafts import Draft
from mnv3lib.recorder import record_from_command_line
from mnv3lib.runs import RecordedRun, write_run
from mnv3lib.search.absolute_reward import AbsoluteReward
from mnv3lib.search.layer_cell import LayerCell, median_latency, run_cell
from mnv3lib.search.layer_space import LayerSpace
from mnv3lib.search.one_shot_detection import OneShotSettings
from mnv3lib.search.path_detector import largest_point
from mnv3lib.search.simulated_device import DEVICES, device_latency
from mnv3lib.search.tdb_space import find_layer_space
from mnv3lib.train.recipe_files import load_recipe

__all__ = ["main", "record"]

_MODULE = "mnv3lib.ledger.record_layer_search"
_REGULAR = ("fused", "tucker")  # kinds of layers that have a regular convolution

Cells = dict[str, LayerCell]
Devices = dict[str, dict[str, Any]]


def record(
    out: Path,
    *,
    spaces: Sequence[str] = ("ibn_small", "tdb_small"),
    devices: Sequence[str] = tuple(DEVICES),
    seeds: int = 3,
    recipe: str = "emoji_scenes/mobiledet",
    held_out: int = 200,
    epochs: int = 24,
    judged_images: int = 32,
    learning_rate: float = 0.04,
    beta: float = -0.2,
    executor: str = "processes",
    workers: int = 2,
    root: str = "",
) -> RecordedRun:
    """Searches, trains and writes the run.

    Args:
        out: The run's file; its stem is the run's name.
        spaces: Names of spaces of one width a block; the first one's median is the target, and
            random points are drawn from the last.
        devices: Names of :data:`mnv3lib.search.simulated_device.DEVICES`.
        seeds: How many seeds, from 0.
        recipe: Recipe of the shared weights, and of the final trainings.
        held_out: Training images that judge paths instead of training them.
        epochs: Passes of a search.
        judged_images: Images that judge a path.
        learning_rate: Of the controller.
        beta: Of the absolute reward; twice that of TuNAS's code, since such a short search must
            end near its target to be compared.
        executor: Where cells are computed, see :func:`mnv3lib.executors.make_executor`.
        workers: Cells at once, each with one thread.
        root: Where the data lie; empty for `MNV3_DATA`.

    Returns:
        The run: for each device the target and, for each space and for points drawn at random, what
        each seed ``found`` and what its training measured (``trained``), see
        :func:`mnv3lib.search.layer_cell.run_cell`; and ``differences``, seed by seed.

    Raises:
        ValueError: Unknown space, device or recipe, or a number out of range.
        FileNotFoundError: The data are not there.
    """
    unknown = [name for name in devices if name not in DEVICES]
    if unknown:
        raise ValueError(f"unknown device {unknown[0]!r}; choose some of {', '.join(DEVICES)}")
    if seeds < 1 or len(set(spaces)) != len(spaces) or len(spaces) < 2:
        raise ValueError(
            f"need a seed and two different spaces at least, got {seeds} and {', '.join(spaces)}"
        )
    trained_by = load_recipe(recipe)
    found_spaces = [find_layer_space(name) for name in spaces]
    for space in found_spaces:
        largest_point(space)  # complains now of what no search can share weights in
    settings = OneShotSettings(epochs, judged_images, learning_rate)
    common = {"recipe": trained_by, "held_out": held_out, "settings": settings}
    cells = dict(_cells(found_spaces, devices, seeds, beta, {**common, "root": root or None}))
    words = {"seeds": seeds, "held_out": held_out, **vars(settings), "beta": beta}
    config = {
        "spaces": list(spaces), "devices": list(devices), "recipe": recipe, **words,
        "changes": trained_by.model_dump(mode="json", exclude_defaults=True),
    }  # fmt: skip
    draft = Draft(out.stem, {name: config[name] for name in config if name != "seeds"})
    results = draft.each(cells, run_cell, make_executor(executor, workers))
    metrics = _by_device(cells, results)
    options = " ".join(f"--{name} {value}" for name, value in words.items())
    run = write_run(
        out.stem,
        command=f"python -m {_MODULE} --spaces {' '.join(spaces)} --devices {' '.join(devices)} "
        f"--recipe {recipe} {options} --workers {workers} --out data/runs/{out.name}",
        config=config,
        seeds=list(range(seeds)),
        metrics={"devices": metrics, "differences": _differences(metrics)},
        started=draft.started,
        duration_s=draft.duration_s,
        path=out,
    )
    draft.discard()
    return run


def _cells(
    spaces: Sequence[LayerSpace],
    devices: Sequence[str],
    seeds: int,
    beta: float,
    common: Mapping[str, Any],
) -> Iterator[tuple[str, LayerCell]]:
    """Yields every cell, by device, name of what is compared, and seed."""
    resolution = common["recipe"].data.resolution
    ways = [(space.name, space, "search") for space in spaces]
    ways.append((f"{spaces[-1].name}_drawn", spaces[-1], "draw"))
    for seed in range(seeds):
        for device in devices:
            latency = device_latency(spaces[0], DEVICES[device], resolution)
            reward = AbsoluteReward(median_latency(spaces[0], latency), beta)
            for name, space, way in ways:
                cell = LayerCell(space, device, way, reward, seed=seed, **common)
                yield f"{device} {name} {seed}", cell


def _by_device(cells: Cells, results: Mapping[str, Any]) -> Devices:
    metrics: Devices = {}
    for key, cell in cells.items():
        _, name, _ = key.split()
        device = metrics.setdefault(cell.device, {"target": cell.reward.target, "spaces": {}})
        lists = device["spaces"].setdefault(name, {"found": [], "trained": []})
        for part, own in lists.items():
            own.append(results[key][part])
    return metrics


def _differences(metrics: Devices) -> dict[str, list[float]]:
    """Seed by seed: points of AP50 between what was found, and layers with regular convolutions.

    The last space stands against the first, and against random points of its own; of the layers
    that it took, each device's regular ones are counted less the first device's.
    """
    found = {}
    for device, cell in metrics.items():
        first, *_, last, drawn = cell["spaces"]
        scores = {name: [one["map50"] for one in cell["spaces"][name]["trained"]]
                  for name in (first, last, drawn)}  # fmt: skip
        for other in dict.fromkeys((first, drawn)):
            pairs = zip(scores[last], scores[other], strict=True)
            found[f"{device}_{last}_over_{other}"] = [100 * (a - b) for a, b in pairs]
    regular = {device: _regular_layers(cell) for device, cell in metrics.items()}
    first, *others = regular
    for device in others:
        pairs = zip(regular[device], regular[first], strict=True)
        found[f"regular_layers_{device}_over_{first}"] = [a - b for a, b in pairs]
    return found


def _regular_layers(cell: Mapping[str, Any]) -> list[int]:
    *_, last, _ = cell["spaces"]
    mixes = [one["mix"] for one in cell["spaces"][last]["found"]]
    return [sum(mix.get(kind, 0) for kind in _REGULAR) for mix in mixes]


def _describe(run: RecordedRun) -> str:
    lines = []
    for device, cell in run.metrics["devices"].items():
        for name, lists in cell["spaces"].items():
            shares = ", ".join(f"{one['over_target']:.2f}" for one in lists["found"])
            scores = ", ".join(f"{one['map50']:.3f}" for one in lists["trained"])
            lines.append(f"{device}, {name}: T/T0 {shares}; AP50 {scores}")
    return "\n".join([*lines, f"{run.duration_s:.0f} s"])


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
