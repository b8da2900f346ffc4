"""Processes and devices: the part of accelerate that training uses (chapter 7).

The same command runs as one process, or as many on one machine or several: under ``accelerate
launch``, or under ``torchrun``, which also starts several processes without a GPU. What a run
computes does not depend on it.
"""

import warnings
from typing import Any

import torch
from tqdm import TqdmWarning

with warnings.catch_warnings():
    # accelerate looks for notebook widgets as soon as it is imported, and complains without them.
    warnings.simplefilter("ignore", TqdmWarning)
    from accelerate import Accelerator
    from accelerate.utils import gather_object

__all__ = ["gather_from_all", "make_accelerator"]


def make_accelerator() -> Accelerator:
    """The processes and devices of this run, as their launcher arranged them."""
    return Accelerator(
        # Without it, accelerate takes several processes on processors for unrelated ones.
        cpu=not torch.accelerator.is_available(),
        mixed_precision="no",  # autocast and loss scaling are the learner's
    )


def gather_from_all(value: Any) -> list[Any]:
    """What each process gave, in the order of the processes; every process gets the list."""
    return gather_object([value])
