"""Time networks in float and in int8 side by side on one runtime, and record the run.

    python -m mnv3lib.ledger.record_precision_latency --runtime onnxruntime \
        --out data/runs/precision-latency-onnxruntime.json

All networks in both precisions share one set of interleaved rounds, so that any two may be
compared. Eager runs deployed networks and oneDNN's int8 kernels
(:mod:`mnv3lib.compress.int8_eager`), the other runtimes the files that ``mnv3 export`` writes.
Before anything is timed, the outputs are compared with those of the float network. Let nothing else
run on the machine meanwhile. Shown in chapter 12.
"""

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from mnv3lib.compress.agreement import signal_to_noise_db
from mnv3lib.ledger.paired_ratios import record_groups, record_groups_from_command_line
from mnv3lib.ledger.precision_programs import (
    NETWORKS,
    PRECISIONS,
    PrecisionCase,
    make_program,
    networks_of,
)
from mnv3lib.measure.bound import BoundCall
from mnv3lib.measure.forms import paired_ratio
from mnv3lib.measure.interleave import interleave
from mnv3lib.measure.latency import Spread, image
from mnv3lib.measure.runtimes import WrongOutputError, check_threads, find_runtime
from mnv3lib.runs import RecordedRun

__all__ = ["GROUPS", "PrecisionGroup", "main", "measure_group", "record"]

_MODULE = "mnv3lib.ledger.record_precision_latency"
_LEAST_SNR_DB = {"fp32": 60.0, "int8": 3.0}
"""Less is a wrong program: outputs of zero have 0 dB. Rounding leaves a float program 100 dB. In
int8, random weights let errors grow that a trained network dampens: 10 dB are usual for 80 layers.
"""
_MOST_SNR_DB = 150.0  # JSON has no infinity


@dataclass(frozen=True)
class PrecisionGroup:
    """Networks that are timed in the same rounds, in both precisions.

    Attributes:
        cases: By name.
        pairs: By name: how long the first network takes in units of the second.
    """

    cases: Mapping[str, PrecisionCase]
    pairs: Mapping[str, tuple[str, str]]


GROUPS: dict[str, PrecisionGroup] = {
    "networks": PrecisionGroup(
        NETWORKS,
        {
            "large_over_v2": ("large", "v2"),
            "small_over_v2_035": ("small", "v2_035"),
            "efficientnet_b0_over_large": ("efficientnet_b0", "large"),
        },
    )
}

Key = tuple[str, str]
"""Name of a network, and a precision."""


def measure_group(
    group: PrecisionGroup,
    *,
    runtime: str = "onnxruntime",
    threads: int = 1,
    rounds: int = 60,
    seed: int = 0,
) -> dict[str, dict]:
    """Times the networks of a group, in both precisions, in interleaved rounds.

    Args:
        group: What is compared.
        runtime: ``"eager"``, ``"onnxruntime"`` or ``"executorch"``.
        threads: Threads to compute with.
        rounds: Timed rounds.
        seed: Seed of weights, images and order.

    Returns:
        ``ms`` (median and quartiles), ``bytes`` (of the file; in eager, of the tensors) and
        ``snr_db`` (power of the float network's output over that of the error, on the timed
        image), each by network and precision; and ``ratios``: by network under ``int8_over_fp32``,
        and by pair of networks under each precision, with ``paper`` where the paper prints both
        times.

    Raises:
        ValueError: Unknown runtime, or fewer than one thread or round.
        MissingRuntimeError: The runtime's package is not installed.
        WrongOutputError: A program computes something else than its network.
    """
    keys = list(product(group.cases, PRECISIONS))
    calls: dict[Key, BoundCall] = {}
    size: dict[Key, int] = {}
    noise: dict[Key, float] = {}
    with find_runtime(runtime).threads(check_threads(threads)):
        for key in tqdm(keys, "compiling", disable=None, leave=False):
            case = group.cases[key[0]]
            networks, example = networks_of(case, seed=seed), image(case.resolution, seed=seed)
            calls[key], size[key] = make_program(
                networks[key[1]], example, runtime=runtime, threads=threads
            )
            with torch.inference_mode():
                noise[key] = _checked_snr_db(networks["fp32"](example), calls[key](), key)
        steps = {" ".join(key): call for key, call in calls.items()}
        samples = interleave(steps, rounds=rounds, seed=seed)
    return {
        "ms": _by_network({key: asdict(Spread.of(samples[" ".join(key)])) for key in keys}),
        "bytes": _by_network(size),
        "snr_db": _by_network(noise),
        "ratios": _ratios(group, samples),
    }


def _checked_snr_db(expected: Tensor, found: Tensor, key: Key) -> float:
    """Signal-to-noise ratio of a program's output in decibels, or an error if it is too low."""
    ratio_db = min(signal_to_noise_db(expected, found), _MOST_SNR_DB)
    if not ratio_db >= _LEAST_SNR_DB[key[1]]:
        raise WrongOutputError(
            f"{key[0]} in {key[1]} is {ratio_db:.1f} dB from its float network, where "
            f"{_LEAST_SNR_DB[key[1]]:.0f} are expected: it is exported wrongly"
        )
    return ratio_db


def _by_network(values: Mapping[Key, object]) -> dict[str, dict[str, object]]:
    """Sorts what is known by network and precision into a dictionary of dictionaries."""
    sorted_values: dict[str, dict[str, object]] = {}
    for (network, precision), value in values.items():
        sorted_values.setdefault(network, {})[precision] = value
    return sorted_values


def _ratios(group: PrecisionGroup, samples: Mapping[str, list[float]]) -> dict[str, dict]:
    """All ratios of a group, ours and the paper's."""

    def ratio(first: Key, second: Key) -> dict[str, float]:
        ours = asdict(paired_ratio(samples, " ".join(first), " ".join(second)))
        printed = [
            group.cases[name].printed_ms.get(precision) for name, precision in (first, second)
        ]
        return {**ours, "paper": printed[0] / printed[1]} if all(printed) else ours

    ratios = {"int8_over_fp32": {n: ratio((n, "int8"), (n, "fp32")) for n in group.cases}}
    for precision in PRECISIONS:
        ratios[precision] = {
            name: ratio((a, precision), (b, precision)) for name, (a, b) in group.pairs.items()
        }
    return ratios


def record(
    out: Path,
    *,
    runtime: str = "onnxruntime",
    threads: int = 1,
    rounds: int = 60,
    seed: int = 0,
    groups: Mapping[str, PrecisionGroup] = GROUPS,
) -> RecordedRun:
    """Measures all groups and writes the run.

    Args:
        out: The JSON file to write, for instance ``data/runs/precision-latency-eager.json``.
        runtime: As in `measure_group`.
        threads: Threads to compute with.
        rounds: Timed rounds.
        seed: Seed of weights, images and order.
        groups: What to measure, by name.

    Returns:
        The run, as written: for each group what `measure_group` returns.
    """
    protocol = {"runtime": runtime, "threads": threads, "rounds": rounds, "seed": seed}
    return record_groups(
        out, module=_MODULE, groups=groups, measure=measure_group, protocol=protocol
    )


def main(arguments: list[str] | None = None) -> int:
    """Records a run from the command line; see :mod:`mnv3lib.recorder`."""
    return record_groups_from_command_line(
        record,
        module=_MODULE,
        summary=__doc__.splitlines()[0],
        runtime="onnxruntime",
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
