"""Time everything that the papers compare, side by side on one runtime, and record the run.

    python -m mnv3lib.ledger.record_ratios --runtime eager --out data/runs/ratios-eager.json

One group of :mod:`mnv3lib.ledger.ratios` after the other; a finished group is kept in the cache
folder, so that an interrupted command goes on where it stopped. Networks carry the weights of
seed 0. Eager runs them deployed (batch norm folded, channels last), since the other runtimes
optimise by themselves. Let nothing else run on the machine meanwhile.
"""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from torch import nn

from mnv3lib.ledger.paired_ratios import (
    measure_ratios,
    record_groups,
    record_groups_from_command_line,
)
from mnv3lib.ledger.ratios import GROUPS, Case, Group
from mnv3lib.ledger.variants import build
from mnv3lib.models import deploy
from mnv3lib.runs import RecordedRun

__all__ = ["main", "measure_group", "record"]

_MODULE = "mnv3lib.ledger.record_ratios"


def measure_group(group: Group, *, runtime: str = "eager", **protocol: int) -> dict[str, dict]:
    """Times the cases of a group in interleaved rounds.

    Args:
        group: What is compared.
        runtime: ``"eager"``, ``"onnxruntime"`` or ``"executorch"``.
        **protocol: ``threads``, ``rounds`` and ``seed``; arguments, results and errors are those
            of :func:`mnv3lib.ledger.paired_ratios.measure_ratios`.
    """
    cases = {
        name: (partial(_network, case, runtime), case.resolution)
        for name, case in group.cases.items()
    }
    return measure_ratios(cases, group.ratios, runtime=runtime, **protocol)


def _network(case: Case, runtime: str) -> nn.Module:
    """The network of a case, in the form that the runtime is given."""
    options = {} if case.width_mult == 1.0 else {"width_mult": case.width_mult}
    network = build(case.model, naive_hard_swish=case.naive, **options)
    return deploy(network) if runtime == "eager" else network


def record(
    out: Path,
    *,
    runtime: str = "eager",
    threads: int = 1,
    rounds: int = 60,
    seed: int = 0,
    groups: Mapping[str, Group] = GROUPS,
) -> RecordedRun:
    """Measures all groups and writes the run.

    Args:
        out: The JSON file to write, for instance ``data/runs/ratios-eager.json``.
        runtime: As in `measure_group`.
        threads: Threads to compute with.
        rounds: Timed rounds.
        seed: Seed of the images and of the order.
        groups: What to measure, by name.

    Returns:
        The run, as written.
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
        runtime="eager",
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
