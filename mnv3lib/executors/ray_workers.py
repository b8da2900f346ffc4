"""A Ray cluster (chapter 8)."""

import logging
import os
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from mnv3lib.executors.crew import ONE_THREAD, Crew, Outcome, WorkerLost, attempt, environment

__all__ = ["MissingRayError", "RayWorkers"]

_SETTINGS = {
    **ONE_THREAD,
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent anywhere
    # The behaviour that Ray announces as its next default, with a warning as long as it is not
    # chosen: a task without a claim to GPUs sees those that are there.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
# Ray prints a dead worker's address to the standard output, whatever its logging is set to. The
# executor tells it in its own words. Ray reads this when it is imported.
_SILENCE = {"RAY_DEDUP_LOGS_SKIP_REGEX": "A worker died or was killed"}


class MissingRayError(ImportError):
    """Ray is asked for and not installed."""


class RayWorkers(Crew):
    """Computes the items as tasks of a Ray cluster, each on one processor.

    If this process is connected to a cluster, that one is used and left running. If not, the
    executor connects to the one at `address`, or starts one on this machine, and parts from it
    or stops it in the end. On other machines, this package must be installed.

    Args:
        workers: Tasks at once.
        address: Where a cluster runs, "HOST:PORT"; one is started on this machine if not given.
        retries: How often an item is given to another worker after one has died over it.

    Raises:
        ValueError: Fewer than one worker, or retries below 0.
        MissingRayError: Ray is not installed.
    """

    def __init__(self, workers: int, address: str | None = None, retries: int = 2) -> None:
        super().__init__(workers, retries)
        self.address = address
        self._ray = _import_ray()
        self._connected = False  # by this executor

    def _start(self) -> None:
        self._connected = not self._ray.is_initialized()
        if self._connected:
            self._connect()
        # Ray could repeat tasks itself, but would not count those that ran out of memory.
        self._task = self._ray.remote(num_cpus=1, max_retries=0)(attempt)

    def _connect(self) -> None:
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        # What can be imported here can be imported by the workers of a cluster started here.
        path = os.pathsep.join(filter(None, sys.path))
        with environment(**_SETTINGS, PYTHONPATH=path):
            if self.address is None:
                self._ray.init("local", num_cpus=self.workers, include_dashboard=False, **quiet)
            else:
                self._ray.init(self.address, **quiet)

    def _stop(self) -> None:
        if self._connected:
            self._ray.shutdown()

    def _begin(self, function: Callable, item: Any) -> Any:
        return self._task.remote(function, item)

    def _wait(self, running: Iterable[Any]) -> Any:
        return self._ray.wait(list(running), num_returns=1)[0][0]

    def _finish(self, handle: Any) -> Outcome:
        exceptions = self._ray.exceptions
        try:
            return self._ray.get(handle)
        except exceptions.RayTaskError as error:  # the function cannot be imported, for instance
            return None, error.cause
        except (
            exceptions.WorkerCrashedError,
            exceptions.OutOfMemoryError,
            exceptions.NodeDiedError,
            exceptions.LocalRayletDiedError,
        ) as error:
            raise WorkerLost(type(error).__name__) from error

    def _give_up(self, handle: Any) -> None:
        self._ray.cancel(handle, force=True)


def _import_ray() -> ModuleType:
    """Ray, or a sentence that says how to install it."""
    try:
        with environment(**_SILENCE):
            import ray
    except ModuleNotFoundError as error:
        raise MissingRayError(
            "the executor 'ray' needs the package 'ray', which is not installed: "
            'pip install "mnv3lib[ray]"'
        ) from error
    return ray
