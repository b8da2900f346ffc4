"""Evaluation: a network over a whole split, on all processes (chapter 7)."""

from collections.abc import Callable

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn
from torch.utils.data import DataLoader

from mnv3lib.data.base import ImageDataset
from mnv3lib.train.tasks import Metrics, Task

__all__ = ["evaluate"]


@torch.no_grad()
def evaluate(
    network: nn.Module,
    dataset: ImageDataset,
    task: Task,
    accelerator: Accelerator,
    *,
    batch_size: int = 256,
    workers: int = 0,
    memory_format: torch.memory_format = torch.channels_last,
    on_batch: Callable[[int], object] | None = None,
) -> Metrics:
    """Measures a network; its mode is restored afterwards.

    Args:
        network: A network that is not wrapped, on the accelerator's device.
        dataset: The split.
        task: Prepares batches and makes the metrics.
        accelerator: Shares the batches over its processes.
        batch_size: Images a batch. It does not change the result beyond rounding.
        workers: Processes that load images.
        memory_format: Layout of the images.
        on_batch: Called after each batch with the number of its images.

    Returns:
        The metrics over all images, on every process.
    """
    was_training = network.training
    network.eval()
    metrics = task.metrics()
    indices = list(range(len(dataset)))
    batches = [indices[i : i + batch_size] for i in range(0, len(indices), batch_size)]
    own = batches[accelerator.process_index :: accelerator.num_processes]
    loader = DataLoader(
        dataset,
        batch_sampler=own,
        num_workers=workers,
        collate_fn=dataset.collate,
        generator=torch.Generator(),  # otherwise it draws from the global one
    )
    for images, targets in loader:
        inputs = task.prepare_evaluation(images.to(accelerator.device))
        outputs = network(inputs.contiguous(memory_format=memory_format))
        metrics.update(outputs.float(), targets.to(accelerator.device))
        if on_batch is not None:
            on_batch(len(images))
    network.train(was_training)
    return _merged(metrics, task, accelerator)


def _merged(metrics: Metrics, task: Task, accelerator: Accelerator) -> Metrics:
    """What all processes counted, in the order of the processes."""
    if accelerator.num_processes == 1:
        return metrics
    total = task.metrics()
    for counted in gather_object([metrics]):
        total.merge(counted)
    return total
