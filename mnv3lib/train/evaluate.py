"""Evaluation: a network over a whole split, on all processes (chapter 7)."""

import torch
from torch import nn

from mnv3lib.data.base import ImageDataset
from mnv3lib.data.loading import load_batches
from mnv3lib.train.processes import Accelerator, gather_from_all
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

    Returns:
        The metrics over all images, on every process.
    """
    was_training = network.training
    network.eval()
    metrics = task.metrics()
    indices = list(range(len(dataset)))
    batches = [indices[i : i + batch_size] for i in range(0, len(indices), batch_size)]
    observed = task.observed(network)
    own = batches[accelerator.process_index :: accelerator.num_processes]
    for images, targets in load_batches(dataset, own, workers=workers):
        inputs = task.prepare_evaluation(images.to(accelerator.device))
        outputs = observed(inputs.contiguous(memory_format=memory_format))
        metrics.update(outputs.float(), targets.to(accelerator.device))
    network.train(was_training)
    return _merged(metrics, task, accelerator)


def _merged(metrics: Metrics, task: Task, accelerator: Accelerator) -> Metrics:
    """What all processes counted, in the order of the processes."""
    if accelerator.num_processes == 1:
        return metrics
    total = task.metrics()
    for counted in gather_from_all(metrics):
        total.merge(counted)
    return total
