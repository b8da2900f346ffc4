"""Records how well a linear model predicts measured latency, and on simulated devices.

    python -m mnv3lib.ledger.record_layer_latency --out data/runs/layer-latency.json

Networks are drawn from a space of layers and timed, side by side in interleaved rounds, group by
group; the first of them teach the model, the others judge it. A machine is not equally fast in all
minutes, so a few networks are timed in every group, and each group is scaled by how long they take.
Beside the model stand a line through multiply-adds, and a plane through multiply-adds by kind of
convolution; and the same on devices that are formulas, where nothing is noisy. A finished group is
kept, so that an interrupted command goes on. Let nothing else run. Shown in the chapter on
MobileDets.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from mnv3lib.ledger.drafts import Draft
from mnv3lib.measure.interleave import interleave
from mnv3lib.measure.latency import image
from mnv3lib.measure.runtimes import check_threads, compile_model, find_runtime
from mnv3lib.models import Network, deploy
from mnv3lib.recorder import record_from_command_line
from mnv3lib.runs import RecordedRun, write_run
from mnv3lib.search.encoding import decode, sample_codes
from mnv3lib.search.layer_space import LayerSpace
from mnv3lib.search.linear_latency import LinearLatency, determination
from mnv3lib.search.simulated_device import DEVICES, device_latency, space_macs
from mnv3lib.search.tdb_space import find_layer_space

__all__ = ["judge", "level_groups", "main", "measure_group", "record"]

_MODULE = "mnv3lib.ledger.record_layer_latency"
_GROUP = 250  # networks that are timed in the same rounds
_REFERENCES = 10  # networks that are timed in all groups, the first that are drawn
_SIMULATED = (100, 300, 1000)  # networks that teach the model of a simulated device
_JUDGING = 1000  # networks that judge it


def measure_group(
    space: LayerSpace, codes: Tensor, resolution: int, runtime: str, threads: int, rounds: int
) -> list[float]:
    """Times networks in deploy form, side by side.

    Args:
        space: The space.
        codes: Points, int64 (N, D).
        resolution: Side of the image in pixels.
        runtime: ``"eager"``, ``"onnxruntime"`` or ``"executorch"``.
        threads: Threads to compute with.
        rounds: Timed rounds; the smallest time counts, since what disturbs only adds.

    Returns:
        Milliseconds of each.
    """
    example = image(resolution)
    with find_runtime(runtime).threads(check_threads(threads)):
        calls = {
            str(at): compile_model(
                _network(space, point), example, runtime=runtime, threads=threads
            ).bind(example)
            for at, point in enumerate(decode(space, codes))
        }
        samples = interleave(calls, rounds=rounds)
    return [round(min(samples[str(at)]), 5) for at in range(len(codes))]


def _network(space: LayerSpace, point: tuple) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    return deploy(Network(space.spec(point), generator=generator))


def level_groups(
    groups: Sequence[Sequence[float]], references: Sequence[Sequence[float]]
) -> list[float]:
    """All times, in order, as if the machine had always been as fast as in the median group.

    Args:
        groups: Times, group by group.
        references: Times of the same networks in each group.

    Example:
        >>> level_groups([[1.0, 2.0], [4.0], [3.0]], [[1.0], [2.0], [1.0]])
        [1.0, 2.0, 2.0, 3.0]
    """
    table = np.array(references)
    speeds = np.median(table / np.median(table, axis=0), axis=1)
    pairs = zip(groups, speeds, strict=True)
    return [round(float(time / speed), 5) for group, speed in pairs for time in group]


def judge(
    space: LayerSpace, codes: Tensor, latency: Tensor, taught: int, resolution: int
) -> dict[str, Any]:
    """Fits three models on the first networks and judges them on the others.

    Args:
        space: The space.
        codes: Points, int64 (N, D).
        latency: Their latencies, float64 (N,).
        taught: How many of them teach.
        resolution: Side of the image in pixels.

    Returns:
        For ``macs``, ``macs_by_kind`` and ``layers`` the share of the variance that is predicted
        (``r2``) and the median absolute relative error, and the predictions of the others.

    Raises:
        ValueError: Nobody teaches, or nobody judges.
    """
    if not 0 < taught < len(codes):
        raise ValueError(f"of {len(codes)} networks, 1 to {len(codes) - 1} may teach, got {taught}")
    macs = space_macs(space, codes, resolution)
    linear = LinearLatency.fit(space, codes[:taught], latency[:taught])
    predictions = {
        "macs": _regression(macs.sum(1, keepdim=True), latency, taught),
        "macs_by_kind": _regression(macs, latency, taught),
        "layers": linear(codes[taught:]),
    }
    measured = latency[taught:]
    return {
        name: {
            "r2": determination(predicted, measured),
            "median_error": (predicted / measured - 1).abs().median().item(),
            "predicted": [round(value, 5) for value in predicted.tolist()],
        }
        for name, predicted in predictions.items()
    }


def _regression(columns: Tensor, latency: Tensor, taught: int) -> Tensor:
    """Least squares on the first rows, with a constant; predictions of the others."""
    columns = torch.cat([columns, torch.ones_like(columns[:, :1])], dim=1)
    solution = torch.linalg.lstsq(columns[:taught], latency[:taught, None], driver="gelsd").solution
    return (columns[taught:] @ solution)[:, 0]


def _simulated(space: LayerSpace, resolution: int, seed: int) -> dict[str, Any]:
    """The same on every device that is a formula, with more and more networks that teach."""
    scores: dict[str, Any] = {}
    for name, device in DEVICES.items():
        truth = device_latency(space, device, resolution)
        others = sample_codes(space, _JUDGING, torch.Generator().manual_seed(seed + 1))
        for taught in _SIMULATED:
            codes = sample_codes(space, taught, torch.Generator().manual_seed(seed))
            every = torch.cat([codes, others])
            judged = judge(space, every, truth(every), taught, resolution)
            scores.setdefault(name, {})[str(taught)] = {k: v["r2"] for k, v in judged.items()}
    return scores


def record(
    out: Path,
    *,
    space: str = "tdb_small_widths",
    networks: int = 3000,
    held_out: int = 500,
    resolution: int = 96,
    runtime: str = "eager",
    threads: int = 1,
    rounds: int = 30,
    seed: int = 0,
) -> RecordedRun:
    """Measures, fits, judges and writes the run.

    Args:
        out: The run's file; its stem is the run's name.
        space: Name of a space, see :func:`mnv3lib.search.tdb_space.find_layer_space`.
        networks: How many are timed.
        held_out: How many of them judge.
        resolution: Side of the image in pixels.
        runtime: ``"eager"``, ``"onnxruntime"`` or ``"executorch"``.
        threads: Threads to compute with.
        rounds: Timed rounds.
        seed: Decides which networks are drawn.

    Returns:
        The run: ``codes`` and ``latency_ms`` of all networks, the times of those that were timed
        in every group (``references_ms``), ``models`` of :func:`judge`, and ``simulated`` devices.

    Raises:
        ValueError: Unknown space or runtime, or a number out of range.
        MissingRuntimeError: The runtime's package is not installed.
    """
    found = find_layer_space(space)
    find_runtime(runtime)
    timing = {"runtime": runtime, "threads": threads, "rounds": rounds}
    sizes = {"networks": networks, "group": _GROUP, "resolution": resolution}
    config = {"space": space, **sizes, **timing}
    draft = Draft(out.stem, {**config, "seed": seed})
    codes = sample_codes(found, networks, torch.Generator().manual_seed(seed))
    times: list[list[float]] = []
    references: list[list[float]] = []
    for number, group in enumerate(tqdm(codes.split(_GROUP), "networks", disable=None)):
        both = torch.cat([codes[:_REFERENCES], group])
        measure = partial(measure_group, found, both, resolution, **timing)
        measured = draft.part(f"group {number}", measure)
        references.append(measured[:_REFERENCES])
        times.append(measured[_REFERENCES:])
    levelled = level_groups(times, references)
    latency = torch.from_numpy(np.array(levelled))
    run = write_run(
        out.stem,
        command=f"python -m {_MODULE} --space {space} --networks {networks} --held_out {held_out} "
        f"--resolution {resolution} --runtime {runtime} --threads {threads} --rounds {rounds} "
        f"--seed {seed} --out data/runs/{out.name}",
        config={**config, "held_out": held_out},
        seeds=[seed],
        metrics={
            "codes": codes.tolist(),
            "latency_ms": levelled,
            "references_ms": references,
            "models": judge(found, codes, latency, networks - held_out, resolution),
            "simulated": _simulated(found, resolution, seed),
        },
        started=draft.started,
        duration_s=draft.duration_s,
        path=out,
    )
    draft.discard()
    return run


def _describe(run: RecordedRun) -> str:
    scores = {name: model["r2"] for name, model in run.metrics["models"].items()}
    words = ", ".join(f"{name} {score:.3f}" for name, score in scores.items())
    return f"{run.name}: R2 {words}; {run.duration_s:.0f} s"


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
