"""A one-shot search on detection: shared weights and a controller learn in turns.

Each step samples one point. The weights on its path take a step on training images; then the path
is judged on other images, that share of which it finds (average precision) and its latency make a
reward, and the controller takes a step. At the end the most probable point is the result, to be
trained anew.

Source: arXiv 2004.14525 and TuNAS (arXiv 2008.06120). Ours is smaller, and differs in one more
thing: in the first quarter, TuNAS lets all kinds of a layer run at once, ever more rarely; here
points are drawn evenly there, as an untrained controller does. Taught in the chapter on MobileDets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mnv3lib.data import ImageDataset
from mnv3lib.data.base import generator_for
from mnv3lib.data.box_batch import BoxTargets
from mnv3lib.data.loading import load_batches
from mnv3lib.heads.ssdlite import SSDLite
from mnv3lib.models import NetworkSpec
from mnv3lib.models.tables import to_table
from mnv3lib.search.history import RewardFunction
from mnv3lib.search.layer_space import LayerSpace
from mnv3lib.search.path_detector import choose_path, largest_point, path_detector
from mnv3lib.search.tunas import TuNAS
from mnv3lib.train.detection import Detection
from mnv3lib.train.loop import Loop
from mnv3lib.train.processes import make_accelerator
from mnv3lib.train.progress import run_with_progress
from mnv3lib.train.recipe import Model, Recipe

__all__ = ["OneShot", "OneShotSettings", "search_one_shot", "with_network"]

QUALITY = "map50"  # of the metrics of detection: at this size, mAP itself is mostly noise
_JUDGED = {"score_threshold": 0.05, "max_detections": 20}  # a path a step: what is weak can wait
_QUALITY_BATCH = 9  # a number after the seed that no other random choice of a training has


@dataclass(frozen=True)
class OneShotSettings:
    """How a search goes, besides the recipe of its weights.

    Attributes:
        epochs: Passes over the training images.
        judged_images: Images that judge a path at each step.
        learning_rate: Of the controller, see :class:`mnv3lib.search.tunas.TuNAS`.
    """

    epochs: int = 24
    judged_images: int = 32
    learning_rate: float = 0.04


@dataclass(frozen=True, eq=False)
class OneShot:
    """What a search found, and how it went.

    Attributes:
        code: The most probable point, int64 (D,).
        probabilities: At the end, of each option of each choice.
        quality: Of each step's path on its images, float64 (steps,).
        latency: Of each step's path, float64 (steps,).
    """

    code: Tensor
    probabilities: Sequence[Tensor]
    quality: Tensor
    latency: Tensor


def with_network(recipe: Recipe, spec: NetworkSpec) -> Recipe:
    """The recipe with a table in the place of its network; options of the network stay.

    Args:
        recipe: A recipe for detection, whose network has a width of 1 or is not meant.
        spec: The table.
    """
    model = Model(name=spec.family, table=to_table(spec), **recipe.model.options)
    return recipe.model_copy(update={"model": model})


def search_one_shot(
    space: LayerSpace,
    latency: Callable[[Tensor], Tensor],
    reward: RewardFunction,
    recipe: Recipe,
    images: tuple[ImageDataset, ImageDataset],
    *,
    seed: int,
    settings: OneShotSettings = OneShotSettings(),
) -> OneShot:
    """Searches a space.

    Args:
        space: A space of one width a block.
        latency: Latencies of codes.
        reward: Makes one number of average precision and latency.
        recipe: How the shared weights are trained; its number of epochs and its average of weights
            are not used.
        images: What trains the weights, and what judges the paths.
        seed: Decides all that is random.
        settings: How the search goes.

    Raises:
        ValueError: The recipe is not for detection, a block may choose its width, or a number is
            out of range.
    """
    if recipe.task != "detection":
        raise ValueError(f"the recipe is for {recipe.task}; a search needs one for detection")
    if settings.epochs < 1:
        raise ValueError(f"a search needs at least one epoch, got {settings.epochs}")
    train = recipe.train.model_copy(update={"epochs": settings.epochs, "ema_decay": None})
    own = with_network(recipe, space.spec(largest_point(space)))
    own = own.model_copy(update={"train": train, "head": recipe.head.model_copy(update=_JUDGED)})
    train_set, judges = images
    task = _Paths(own, train_set.classes, space)
    loop = Loop(own, task, train_set, judges, make_accelerator(), seed=seed, checkpoint=None)
    turns = _Turns(space, task, latency, reward, _Judges(judges, settings.judged_images, seed))
    turns.begin(loop, settings.learning_rate)
    run_with_progress(loop, on_step=turns.take)
    return turns.result()


class _Paths(Detection):
    """Detection with a network that holds all points of a space."""

    def __init__(self, recipe: Recipe, classes: Sequence[str], space: LayerSpace) -> None:
        super().__init__(recipe, classes)
        self._space = space

    def build_network(self, generator: torch.Generator | None = None) -> SSDLite:
        """The path detector with fresh weights."""
        return path_detector(self._space, self._spec, generator=generator)


class _Judges:
    """Images that judge paths, all of them in memory, some at a time."""

    def __init__(self, images: ImageDataset, count: int, seed: int) -> None:
        if not 0 < count <= len(images):
            raise ValueError(f"cannot draw {count} of {len(images)} images that judge")
        self._images, self._targets = next(load_batches(images, [list(range(len(images)))]))
        self._count, self._seed = count, seed

    def draw(self, step: int) -> tuple[Tensor, BoxTargets]:
        """The images of a step."""
        generator = generator_for(self._seed, _QUALITY_BATCH, step)
        drawn = torch.randperm(len(self._images), generator=generator)[: self._count]
        fields = {name: value[drawn] for name, value in vars(self._targets).items()}
        return self._images[drawn], replace(self._targets, **fields)


class _Turns:
    """What happens between two steps of the weights."""

    def __init__(
        self,
        space: LayerSpace,
        task: Detection,
        latency: Callable[[Tensor], Tensor],
        reward: RewardFunction,
        judges: _Judges,
    ) -> None:
        self._space, self._task, self._judges = space, task, judges
        self._latency, self._reward = latency, reward
        self._seen: list[tuple[float, float]] = []

    def begin(self, loop: Loop, learning_rate: float) -> None:
        """Makes the controller and chooses the first path."""
        steps = loop.plan.steps * loop.recipe.train.epochs
        self._searcher = TuNAS(self._space, loop.seed, steps=steps, learning_rate=learning_rate)
        self._next_path(loop)

    def take(self, loop: Loop) -> None:
        """Judges the path whose weights have just learned, and chooses the next one."""
        quality = torch.tensor([self._judge(loop)], dtype=torch.float64)
        latency = self._latency(self._codes)
        self._seen.append((quality.item(), latency.item()))
        self._searcher.tell(self._codes, self._reward(quality, latency))
        self._next_path(loop)

    def result(self) -> OneShot:
        """What was found."""
        quality, latency = torch.tensor(self._seen, dtype=torch.float64).T
        controller = self._searcher.controller
        return OneShot(self._searcher.found(), controller.probabilities(), quality, latency)

    def _next_path(self, loop: Loop) -> None:
        self._codes = self._searcher.ask()
        choose_path(loop.learner.network, self._space, self._codes[0])

    @torch.no_grad()
    def _judge(self, loop: Loop) -> float:
        images, targets = self._judges.draw(loop.step)
        inputs = self._task.prepare_evaluation(images.to(loop.accelerator.device))
        outputs = loop.learner.network(inputs.contiguous(memory_format=loop.learner.layout))
        metrics = self._task.metrics()
        metrics.update(outputs.float(), targets.to(loop.accelerator.device))
        return max(0.0, metrics.compute()[QUALITY])
