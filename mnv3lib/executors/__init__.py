"""One interface to three ways of computing independent items: here, in processes, on Ray.

==============  ===================================================================
executor        where the items are computed
==============  ===================================================================
`InProcess`     in this process, one after the other
`Processes`     in several processes on this machine
`RayWorkers`    on a Ray cluster: one for the occasion on this machine, or a real one
==============  ===================================================================

The candidates of a search and the cells of a study do not need each other. Results come as they
are finished, so that a caller writes each one down at once; an item whose worker dies is given to
another worker. Taught in chapter 8 (architecture search).

Example:
    >>> dict(InProcess().map(str.upper, ["a", "b"]))
    {0: 'A', 1: 'B'}
"""

from mnv3lib.executors.crew import WorkerDiedError
from mnv3lib.executors.in_process import Executor, InProcess
from mnv3lib.executors.processes import Processes
from mnv3lib.executors.ray_workers import MissingRayError, RayWorkers

__all__ = [
    "KINDS",
    "Executor",
    "InProcess",
    "MissingRayError",
    "Processes",
    "RayWorkers",
    "WorkerDiedError",
    "make_executor",
]

KINDS = ("in-process", "processes", "ray")
"""Names that :func:`make_executor` knows."""


def make_executor(kind: str, workers: int = 1) -> Executor:
    """An executor by the name of its kind.

    Args:
        kind: One of `KINDS`; "ray" starts a cluster on this machine, or uses the one to
            which this process is connected.
        workers: Items at once.

    Raises:
        ValueError: There is no such kind, fewer than one worker, or several within this process.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown executor {kind!r}: choose one of {', '.join(KINDS)}")
    if kind != "in-process":
        return {"processes": Processes, "ray": RayWorkers}[kind](workers)
    if workers != 1:
        raise ValueError(
            f"the executor 'in-process' is one worker, got workers={workers!r}: "
            "choose 'processes' for several"
        )
    return InProcess()
