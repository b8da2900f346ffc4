"""Batches of chosen images, loaded in this process or in others (chapter 7)."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader

from mnv3lib.data.base import ImageDataset

__all__ = ["load_batches"]

# What a loader process reports is the whole traceback, and its last line the error itself.
_REPORTED = re.compile(r"Caught .*\n[\w.]*Error: (?P<error>.*)", re.DOTALL)


def load_batches(
    dataset: ImageDataset, batches: Sequence[Sequence[int]], *, workers: int = 0
) -> Iterator[tuple[Any, Any]]:
    """Loads batches in the given order.

    Args:
        dataset: The images.
        batches: Indices of the images of each batch.
        workers: Processes that load; 0 loads in this one.

    Yields:
        Images and targets, as the data set collates them.

    Raises:
        ValueError: An image is damaged; the message names it, also when another process met it.
    """
    loader = DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=dataset.collate,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # otherwise it draws from the global one
    )
    try:
        yield from loader
    except ValueError as error:
        reported = _REPORTED.fullmatch(str(error).strip())
        if reported is None:
            raise
        raise ValueError(reported["error"]) from error
