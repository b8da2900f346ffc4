"""A network that learns: forward, backward, optimiser and average of the weights, for one step.

What a step does is decided by the recipe; which images it sees and which step it is, by
:mod:`mnv3lib.train.loop`. Taught in chapter 7 (training).
"""

import contextlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mnv3lib.data.base import generator_for
from mnv3lib.train.checkpoint import load_optimizer, optimizer_tensors
from mnv3lib.train.optimizers import make_optimizer
from mnv3lib.train.plan import seed_of_micro_batch
from mnv3lib.train.processes import Accelerator
from mnv3lib.train.recipe import Recipe
from mnv3lib.train.running import RunningStatistics
from mnv3lib.train.tasks import Task

__all__ = ["Learner", "MicroBatch"]

MicroBatch = tuple[int, Tensor, Tensor]  # its position in the step, images, targets

_WEIGHTS = 0  # first number after the seed for the initial weights; see mnv3lib.train.plan
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Learner:
    """A network in training.

    Args:
        recipe: The recipe.
        task: Builds the network, prepares its batches, takes the loss.
        accelerator: Processes and devices.
        parts: Micro-batches a step, over all processes.
        seed: Decides all that is random.
        start: A network whose weights to begin with; fresh ones if None.

    Attributes:
        network: The network, not wrapped.
        average: Its exponential moving average, or None.
        layout: Memory layout of images and weights.
    """

    def __init__(
        self,
        recipe: Recipe,
        task: Task,
        accelerator: Accelerator,
        *,
        parts: int,
        seed: int,
        start: nn.Module | None = None,
    ) -> None:
        settings = recipe.train
        self._recipe, self._task, self._accelerator = recipe, task, accelerator
        self._seed = seed
        self.layout = torch.channels_last if settings.channels_last else torch.contiguous_format
        fresh = task.build_network(generator_for(seed, _WEIGHTS))
        if start is not None:
            fresh.load_state_dict(start.state_dict())
        self.network = fresh.to(accelerator.device, memory_format=self.layout)
        self._wrapped: nn.Module = accelerator.prepare_model(task.observed(self.network))
        self.optimizer = make_optimizer(self.network, recipe.optimizer)
        self._statistics = RunningStatistics(self.network, parts)
        self.average: AveragedModel | None = None
        if settings.ema_decay is not None:
            rule = get_ema_multi_avg_fn(settings.ema_decay)
            self.average = AveragedModel(self.network, multi_avg_fn=rule, use_buffers=True)
        fp16 = settings.precision == "fp16"
        self._scaler = torch.amp.GradScaler(accelerator.device.type, enabled=fp16)

    @property
    def evaluated(self) -> nn.Module:
        """The network whose numbers count: the average if there is one."""
        return self.network if self.average is None else self.average.module

    def take_step(self, step: int, micro_batches: Sequence[MicroBatch], *, lr: float) -> Tensor:
        """Takes one step of the optimiser.

        Args:
            step: Which one, counted from the start of the run; decides its random numbers.
            micro_batches: Those of this process.
            lr: Learning rate.

        Returns:
            The mean loss over this process's images, a scalar on the device.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.network.train()
        self._statistics.begin_step()
        loss = sum(
            self._learn_from(step, batch, share=len(micro_batches), last=batch is micro_batches[-1])
            for batch in micro_batches
        )
        self._statistics.end_step(self._accelerator)
        self._task.end_step(self._accelerator.gather)
        self._update_weights()
        return loss

    def _learn_from(self, step: int, batch: MicroBatch, *, share: int, last: bool) -> Tensor:
        """Adds the gradient of a micro-batch; only after the last one do processes exchange."""
        part, images, targets = batch
        exchange = contextlib.nullcontext() if last else self._accelerator.no_sync(self._wrapped)
        with exchange:
            loss = self._loss(step, part, images, targets) / share
            self._scaler.scale(loss).backward()
        self._statistics.end_part()
        return loss.detach()

    def _loss(self, step: int, part: int, images: Tensor, targets: Tensor) -> Tensor:
        """The loss of a micro-batch; all that is random in it follows from seed, step and part."""
        torch.manual_seed(seed_of_micro_batch(self._seed, step, part))
        device, precision = self._accelerator.device, self._recipe.train.precision
        inputs, targets = self._task.prepare_training(images.to(device), targets.to(device))
        inputs = inputs.contiguous(memory_format=self.layout)
        with torch.autocast(device.type, _DTYPES[precision], enabled=precision != "fp32"):
            outputs = self._wrapped(inputs)
        return self._task.loss(outputs.float(), targets)

    def _update_weights(self) -> None:
        if self._recipe.optimizer.clip_norm is not None:
            self._scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.network.parameters(), self._recipe.optimizer.clip_norm)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self.optimizer.zero_grad()
        if self.average is not None:
            self.average.update_parameters(self.network)

    def is_finite(self) -> bool:
        """Whether all weights are numbers."""
        return all(bool(weight.isfinite().all()) for weight in self.network.parameters())

    def state(self) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
        """All that later steps depend on: tensors by part and name, and numbers for JSON."""
        parts = {
            "network": self.network.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer),
            "memory": self._task.memory(),
        }
        if self.average is not None:
            parts["average"] = self.average.state_dict()
        return parts, self._scaler.state_dict()

    def load_state(self, parts: dict[str, dict[str, Tensor]], scaler: dict[str, Any]) -> None:
        """Goes back to what :meth:`state` returned."""
        state = OrderedDict(parts["network"])
        # Modules that have changed over the years ask of which version their tensors are.
        state._metadata = self.network.state_dict()._metadata
        self.network.load_state_dict(state)
        load_optimizer(self.optimizer, parts.get("optimizer", {}))
        for name, tensor in self._task.memory().items():
            tensor.copy_(parts["memory"][name])
        if self.average is not None:
            self.average.load_state_dict(parts["average"])
        self._scaler.load_state_dict(scaler)
