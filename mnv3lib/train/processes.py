"""Processes and devices: the part of accelerate that training uses (chapter 7).

The same command runs as one process, or under ``accelerate launch`` as many on one machine or
several; what a run computes does not depend on it.
"""

import warnings
from typing import Any

from tqdm import TqdmWarning

with warnings.catch_warnings():
    # accelerate looks for notebook widgets as soon as it is imported, and complains without them.
    warnings.simplefilter("ignore", TqdmWarning)
    from accelerate import Accelerator
    from accelerate.utils import DistributedDataParallelKwargs, gather_object

__all__ = ["gather_from_all", "make_accelerator"]


def make_accelerator() -> Accelerator:
    """The processes and devices of this run, as ``accelerate launch`` arranged them."""
    return Accelerator(
        mixed_precision="no",  # autocast and loss scaling are the learner's
        # Each process keeps its own running statistics within a step: see RunningStatistics.
        kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
    )


def gather_from_all(value: Any) -> list[Any]:
    """What each process gave, in the order of the processes; every process gets the list."""
    return gather_object([value])
