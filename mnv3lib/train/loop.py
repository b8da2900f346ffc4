"""The training loop: one for every task, on one processor or on many machines.

A run is a function of (recipe, seed): the order of images, augmentation, dropout and initial
weights follow from them step by step, so a run that was killed and resumed ends with the same
numbers, bit for bit, and several processes compute what one process would.
:func:`mnv3lib.train.run.train` starts it. Taught in chapter 7 (training).
"""

import math
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from mnv3lib.data.base import ImageDataset
from mnv3lib.train.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from mnv3lib.train.evaluate import evaluate
from mnv3lib.train.learner import Learner
from mnv3lib.train.plan import Plan, micro_batches
from mnv3lib.train.processes import Accelerator
from mnv3lib.train.recipe import Recipe
from mnv3lib.train.schedules import learning_rate
from mnv3lib.train.stopping import StopNote, Stopped
from mnv3lib.train.tasks import Metrics, Task

__all__ = ["Loop", "TrainingError"]

_PROGRESS = ("step", "epoch_losses", "history", "seconds")
_PULSE = 10  # steps between two looks at losses and signals: each look waits for the device


class TrainingError(ValueError):
    """A run that cannot go on: its loss is no number any more."""


class Loop:
    """The state of a run, and how it advances.

    Args:
        recipe: The recipe.
        task: What the recipe's task makes of it.
        train_set: Images to train on.
        eval_set: Images to evaluate on.
        accelerator: Processes and devices.
        seed: Decides all that is random.
        checkpoint: File to write checkpoints to; None writes none.
        start: A network whose weights to begin with; fresh ones if None.

    Attributes:
        accelerator: As given.
        classes: Names of the classes.
        learner: The network and its optimiser.
        plan: Which images belong to which step.
        step: Steps taken.
        epoch_losses: Loss of each step of the unfinished epoch.
        history: One entry for each finished epoch: loss, learning rate, speed and metrics.
        measured: The last evaluation of this process; None before the first.
    """

    def __init__(
        self,
        recipe: Recipe,
        task: Task,
        train_set: ImageDataset,
        eval_set: ImageDataset,
        accelerator: Accelerator,
        *,
        seed: int,
        checkpoint: Path | None,
        start: nn.Module | None = None,
    ) -> None:
        self.recipe, self.seed, self.checkpoint = recipe, seed, checkpoint
        self._task, self._train_set, self._eval_set = task, train_set, eval_set
        self.accelerator, self.classes = accelerator, train_set.classes
        parts = _parts(recipe.train.micro_batches, accelerator.num_processes)
        settings = recipe.train
        self.plan = Plan(len(train_set), settings.batch_size, parts, seed, recipe.data.subset)
        self.learner = Learner(recipe, task, accelerator, parts=parts, seed=seed, start=start)
        self.step = 0
        self.epoch_losses: list[float] = []
        self.history: list[dict[str, Any]] = []
        self.measured: Metrics | None = None
        self._seconds_before, self._start = 0.0, perf_counter()

    @property
    def seconds(self) -> float:
        """Time that the run has taken, over all its starts."""
        return self._seconds_before + perf_counter() - self._start

    def run(
        self,
        note: StopNote,
        *,
        on_step: Callable[["Loop"], object],
        on_epoch: Callable[["Loop"], object],
    ) -> None:
        """Trains from the present step to the end.

        Args:
            note: Where a signal leaves its note.
            on_step: Called after each step.
            on_epoch: Called after each epoch.

        Raises:
            TrainingError: The loss is not finite; the last checkpoint is from before.
            Stopped: A signal asked for it; a checkpoint has been written.
            OSError: A checkpoint could not be written.
        """
        with torch.random.fork_rng():  # the caller's random numbers are left alone
            for epoch in range(len(self.history), self.recipe.train.epochs):
                first, start = self.step, perf_counter()
                self.train_epoch(epoch, note, on_step)
                images = (self.step - first) * self.plan.batch_size
                self._close_epoch(epoch + 1, images / (perf_counter() - start))
                on_epoch(self)

    def evaluate(self) -> Metrics:
        """The task's metrics of the network, or of its average if there is one."""
        self.measured = evaluate(
            self.learner.evaluated,
            self._eval_set,
            self._task,
            self.accelerator,
            batch_size=self.recipe.train.eval_batch_size,
            workers=self.recipe.data.workers,
            memory_format=self.learner.layout,
        )
        return self.measured

    def train_epoch(self, epoch: int, note: StopNote, on_step: Callable[["Loop"], object]) -> None:
        """Takes the steps that are left of an epoch."""
        steps = micro_batches(
            self._train_set,
            self.plan,
            epoch,
            first_step=self.step - epoch * self.plan.steps,
            process=self.accelerator.process_index,
            processes=self.accelerator.num_processes,
            workers=self.recipe.data.workers,
        )
        unseen: list[Tensor] = []
        for batches in steps:
            lr = self._learning_rate(self.step)
            unseen.append(self.learner.take_step(self.step, batches, lr=lr))
            self.step += 1
            saves = self.step % self.recipe.train.checkpoint_steps == 0
            if saves or self.step % self.plan.steps == 0 or self.step % _PULSE == 0:
                self._look(unseen, note)
                unseen = []
            if saves:
                self.save()
            on_step(self)

    def _learning_rate(self, step: int) -> float:
        epoch = step / self.plan.steps
        base, epochs = self.recipe.optimizer.lr, self.recipe.train.epochs
        return learning_rate(self.recipe.schedule, base, epoch, epochs, seed=self.seed)

    def _look(self, unseen: list[Tensor], note: StopNote) -> None:
        """Reads the losses of the last steps, and whether any process was asked to stop."""
        asked = torch.tensor(float(note.asked), device=unseen[0].device)
        together = self.accelerator.reduce(torch.stack([*unseen, asked]), reduction="mean")
        *losses, stop = together.tolist()
        for back, loss in enumerate(reversed(losses)):
            if not math.isfinite(loss):
                raise TrainingError(
                    f"the loss is {loss} at step {self.step - back} of "
                    f"{self.plan.steps * self.recipe.train.epochs}: {self._advice()}"
                )
        self.epoch_losses += losses
        if stop:
            self.save()
            raise Stopped(f"stopped after step {self.step}; --resume goes on from there")

    def _advice(self) -> str:
        return (
            f"lower optimizer.lr ({self.recipe.optimizer.lr:g}), set optimizer.clip_norm, or train "
            "in fp32. The last checkpoint is from before"
        )

    def _close_epoch(self, number: int, images_per_s: float) -> None:
        """Writes an epoch into the history."""
        settings = self.recipe.train
        entry = {
            "epoch": number,
            "loss": math.fsum(self.epoch_losses) / len(self.epoch_losses),
            "lr": self._learning_rate(self.step - 1),
            "images_per_s": round(images_per_s, 1),
        }
        if number % settings.eval_every == 0 or number == settings.epochs:
            entry |= self.evaluate().compute()
        self.history.append(entry)
        self.epoch_losses = []
        self.save()

    def save(self) -> None:
        """Writes a checkpoint, on the first process only.

        Raises:
            TrainingError: A weight is no number any more; the last checkpoint stays.
            OSError: It could not be written; the last checkpoint stays.
        """
        if not self.learner.is_finite():
            raise TrainingError(f"a weight is no number after step {self.step}: {self._advice()}")
        if self.checkpoint is None or not self.accelerator.is_main_process:
            return
        tensors, scaler = self.learner.state()
        progress = {**self._identity(), "scaler": scaler}
        progress |= {key: getattr(self, key) for key in _PROGRESS}
        write_checkpoint(self.checkpoint, tensors, progress)

    def resume(self) -> None:
        """Goes back to the last checkpoint.

        Raises:
            FileNotFoundError: There is none.
            CheckpointError: It is damaged, or belongs to another recipe or seed.
        """
        tensors, progress = read_checkpoint(self.checkpoint)
        wanted = self._identity()
        other = [key for key in wanted if progress.get(key) != wanted[key]]
        if other:
            raise CheckpointError(
                f"{self.checkpoint} is from a run with another {' and '.join(other)}; "
                "resume with what it was started with, or train into another folder"
            )
        self.learner.load_state(tensors, progress["scaler"])
        self.step, self.epoch_losses = progress["step"], progress["epoch_losses"]
        self.history, self._seconds_before = progress["history"], progress["seconds"]

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint must share with the run that resumes from it."""
        return {"recipe": self.recipe.decisive(), "seed": self.seed}


def _parts(wanted: int, processes: int) -> int:
    """Micro-batches a step: at least one a process."""
    parts = max(wanted, processes)
    if parts % processes:
        raise ValueError(
            f"train.micro_batches is {wanted}, which {processes} processes cannot share equally; "
            f"choose a multiple of {processes}"
        )
    return parts
