"""Batch norm's running statistics when a step has several micro-batches (chapter 7).

Each micro-batch is normalised on its own and would move the running mean and variance once. Here
they move once a step, to the mean over the micro-batches, wherever those are computed: on one
process after another, or on several at once.
"""

import torch
from torch import Tensor, nn

from mnv3lib.train.processes import Accelerator

__all__ = ["RunningStatistics"]


class RunningStatistics:
    """Averages the running statistics of a network over the micro-batches of a step.

    Counters of batches (the buffers of whole numbers) count steps.

    Args:
        network: The network that is trained, not wrapped.
        parts: Micro-batches a step, over all processes; with one, nothing is to be done.
    """

    def __init__(self, network: nn.Module, parts: int) -> None:
        self._parts = parts
        buffers = list(network.buffers()) if parts > 1 else []
        self._statistics = [buffer for buffer in buffers if buffer.dtype.is_floating_point]
        self._counters = [buffer for buffer in buffers if not buffer.dtype.is_floating_point]
        self._before: list[Tensor] = []
        self._sum: list[Tensor] = []

    def begin_step(self) -> None:
        """Remembers the statistics before the step."""
        self._before = [buffer.clone() for buffer in (*self._statistics, *self._counters)]
        self._sum = [torch.zeros_like(buffer) for buffer in self._statistics]

    def end_part(self) -> None:
        """Takes the statistics after a micro-batch, and goes back to those before the step."""
        if self._statistics:
            torch._foreach_add_(self._sum, self._statistics)
            torch._foreach_copy_([*self._statistics, *self._counters], self._before)

    def end_step(self, accelerator: Accelerator) -> None:
        """Sets the statistics to their mean over all micro-batches of all processes."""
        if not self._statistics:
            return
        flat = torch.cat([total.flatten() for total in self._sum])
        flat = accelerator.reduce(flat, reduction="sum") / self._parts
        sizes = [buffer.numel() for buffer in self._statistics]
        for buffer, mean in zip(self._statistics, flat.split(sizes), strict=True):
            buffer.copy_(mean.view_as(buffer))
        torch._foreach_add_(self._counters, 1)
