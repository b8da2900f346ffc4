"""Quantisation-aware training: a network that learns with its rounding errors (chapter 12).

Fake quantisation stands where the int8 network rounds: forward it rounds to levels and back,
backward it passes the gradient of what was in range (the straight-through estimator). Weights thus
move to where rounding does least harm. Ranges follow the batches as moving averages, until they are
frozen so that the last steps train the network that is deployed.

Batch norm is folded before, not during, the fine-tuning. torchao can also train convolution and
batch norm as one, but (version 0.18) replaces the epsilon and the momentum of every batch norm by
1e-5 and 0.1, where MobileNetV3 has 1e-3 and 0.01, and the rate of every dropout by 0.5: another
network. Folded, there are no statistics left to freeze. Dropout and drop path are left out.

Source: Jacob et al. 2018 (arXiv 1712.05877), section 3; Krishnamoorthi 2018 (arXiv 1806.08342),
section 3.2.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from mnv3lib.compress.post_training import convert, record
from mnv3lib.data import ImageDataset
from mnv3lib.data.loading import load_batches
from mnv3lib.measure.silence import hushed
from mnv3lib.train.evaluate import evaluate
from mnv3lib.train.loop import Loop
from mnv3lib.train.processes import make_accelerator
from mnv3lib.train.progress import run_with_progress
from mnv3lib.train.recipe import Recipe, Schedule
from mnv3lib.train.recipe_losses import CrossEntropySection
from mnv3lib.train.run import Trained, load_images
from mnv3lib.train.task_kinds import TASKS
from mnv3lib.train.tasks import Task

__all__ = ["QuantisationAware", "fine_tuning", "finish", "prepare", "train_quantised"]

_FIRST_IMAGES = 256  # from which the ranges start


class QuantisationAware(nn.Module):
    """A network with fake quantisation; it trains and evaluates like any other module.

    Args:
        graph: What torchao prepared for training.
    """

    def __init__(self, graph: GraphModule) -> None:
        super().__init__()
        self.graph = graph
        self._frozen = False

    def forward(self, x: Tensor) -> Tensor:
        """x: Images of the size that was recorded, (N, 3, H, W)."""
        return self.graph(x)

    def train(self, mode: bool = True) -> "QuantisationAware":
        """In training, ranges follow the batches unless they are frozen; else they stay."""
        from torchao.quantization.pt2e import disable_observer, enable_observer

        self.training = mode  # the graph's own train() raises an error
        follows = mode and not self._frozen
        self.graph.apply(enable_observer if follows else disable_observer)
        return self

    def freeze_ranges(self) -> None:
        """Keeps the ranges from now on, also in training."""
        self._frozen = True
        self.train(self.training)


def prepare(network: nn.Module, example: Tensor) -> QuantisationAware:
    """Puts fake quantisation into a trained network.

    Args:
        network: From images to one tensor; it is left alone.
        example: Images, (N, 3, H, W), from which the ranges start: a few hundred, if there are.

    Returns:
        The network in training mode, batch norm folded.

    Raises:
        ValueError: As :func:`mnv3lib.compress.post_training.record`.
    """
    from mnv3lib.compress.quantiser import Quantiser, in_training

    graph = record(network, example)
    with hushed():
        from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e

        graph = prepare_qat_pt2e(graph, Quantiser(in_training()))
    prepared = QuantisationAware(graph).requires_grad_(True).train()
    with torch.no_grad():
        prepared(example)
    return prepared


def finish(prepared: QuantisationAware) -> GraphModule:
    """The int8 network of what was trained, as of post-training quantisation.

    Raises:
        ValueError: Nothing in the network was to be quantised.
    """
    with hushed():  # copying a graph warns of what PyTorch itself still uses
        graph = copy.deepcopy(prepared.graph)
    return convert(graph)


def fine_tuning(recipe: Recipe, *, epochs: int, lr: float) -> Recipe:
    """A recipe for going on from a trained network: same images, small steps, a cosine to 0.

    The loss is plain cross-entropy, whatever it was before.

    Args:
        recipe: What the network was trained with.
        epochs: Passes over the images; a tenth of the original ones is usual.
        lr: First learning rate; a hundredth of the original one is usual.
    """
    changed = {"epochs": epochs, "micro_batches": 1, "ema_decay": None, "precision": "fp32"}
    return recipe.model_copy(
        update={
            "expected": {},
            "loss": CrossEntropySection(),  # others look at maps that the graph does not show
            "optimizer": recipe.optimizer.model_copy(update={"lr": lr}),
            "schedule": Schedule(name="cosine"),
            "train": recipe.train.model_copy(update=changed),
        }
    )


def train_quantised(
    trained: Trained,
    recipe: Recipe,
    *,
    seed: int = 0,
    root: str | None = None,
    images: tuple[ImageDataset, ImageDataset] | None = None,
    freeze_from: float = 0.5,
    checkpoint: Path | None = None,
    on_epoch: Callable[[dict[str, Any]], object] | None = None,
) -> Trained:
    """Fine-tunes a trained network with fake quantisation and makes it int8.

    Args:
        trained: The network to start from.
        recipe: How to go on, see :func:`fine_tuning`.
        seed: Decides all that is random.
        root: Where the data lie; see :func:`mnv3lib.data.load_dataset`.
        images: What to train on and to evaluate on, if it is loaded already.
        freeze_from: Share of the steps after which the ranges are frozen.
        checkpoint: File to write the state to while it goes on, and to go on from if it is there;
            see :mod:`mnv3lib.train.checkpoint`.
        on_epoch: Called with each new entry of the history, whose metrics are those of the fake
            quantised network.

    Returns:
        The int8 network and its own metrics.

    Raises:
        FileNotFoundError: The data are not there.
        ValueError: The data have other classes, or the recipe asks for what cannot be done here:
            an average of the weights, micro-batches, half precision, several processes; or the
            checkpoint is of another run.
        Stopped: A signal asked for it, after a checkpoint was written.
    """
    accelerator = make_accelerator()
    _check(recipe, accelerator.num_processes)
    train_set, eval_set = images or load_images(recipe, seed=seed, root=root)
    if tuple(train_set.classes) != trained.classes:
        raise ValueError(
            f"the network knows {len(trained.classes)} classes, {', '.join(trained.classes[:3])}..."
            f", but {recipe.data.name} has other ones; fine-tune on the data it was trained on"
        )
    task = TASKS[recipe.task](recipe, trained.classes)
    prepared = prepare(trained.network, _first_images(train_set, task))

    def freeze_in_time(loop: Loop) -> None:
        if loop.step >= freeze_from * loop.plan.steps * recipe.train.epochs:
            prepared.freeze_ranges()

    places = {"seed": seed, "checkpoint": checkpoint}
    loop = Loop(recipe, _With(prepared, task), train_set, eval_set, accelerator, **places)
    if checkpoint is not None and checkpoint.exists():
        loop.resume()
    freeze_in_time(loop)
    run_with_progress(loop, on_step=freeze_in_time, on_epoch=on_epoch)

    network = finish(prepared.eval())
    size = recipe.train.eval_batch_size
    measured = evaluate(network, eval_set, task, accelerator, batch_size=size)
    numbers = {"metrics": measured.compute(), "details": measured.details()}
    return replace(trained, network=network, recipe=recipe, history=loop.history, **numbers)


class _With:
    """A task whose network is there already."""

    def __init__(self, network: nn.Module, task: Task) -> None:
        self._network, self._task = network, task

    def build_network(self, generator: torch.Generator | None = None) -> nn.Module:
        return self._network

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)


def _first_images(dataset: ImageDataset, task: Task) -> Tensor:
    """Images from all over a data set, whose classes may lie in order; (N, 3, H, W)."""
    spread = list(range(0, len(dataset), max(1, len(dataset) // _FIRST_IMAGES)))
    ((images, _),) = load_batches(dataset, [spread[:_FIRST_IMAGES]], workers=0)
    return task.prepare_evaluation(images)


def _check(recipe: Recipe, processes: int) -> None:
    """Refuses what would average or scale the counters and switches of fake quantisation."""
    settings = recipe.train
    refused = {
        "train.ema_decay": settings.ema_decay is not None,
        "train.micro_batches": settings.micro_batches > 1,
        "train.precision": settings.precision != "fp32",
        "more than one process": processes > 1,
    }
    asked = [name for name, is_asked in refused.items() if is_asked]
    if asked:
        raise ValueError(
            f"fine-tuning with fake quantisation takes one fp32 batch a step in one process, "
            f"without an average; the recipe asks for {' and '.join(asked)}: see fine_tuning()"
        )
