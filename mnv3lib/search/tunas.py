"""TuNAS: policy gradients with one architecture a step, while the shared weights still learn.

A search with shared weights evaluates a point in one forward pass, so it can afford thousands of
steps with a single point each. TuNAS (arXiv 2008.06120) is REINFORCE with the simplest controller
(:mod:`mnv3lib.search.independent_controller`) and three rules for that setting:

* the controller does not learn in the first quarter, while weights mean nothing yet; afterwards
  its learning rate grows tenfold, from the given one up, as ``10 ** progress``;
* the baseline is a moving average of rewards with decay 0.95;
* Adam without momentum (beta1 = 0): the gradient of yesterday's samples is not today's.

The numbers are those of its code in google-research, which we follow; the learning rate there is
0.0003 for 256 images a step. At the end the most probable option of each choice is taken.
Taught in the chapter on MobileDets.
"""

import torch
from torch import Tensor

from mnv3lib.search.choices import ChoiceSpace
from mnv3lib.search.history import check_told
from mnv3lib.search.independent_controller import IndependentController
from mnv3lib.search.policy_gradient import reinforce_loss

__all__ = ["TuNAS"]

_ADAM = {"betas": (0.0, 0.999), "eps": 1e-8}
_GROWTH = 10.0  # of the learning rate from the first step that learns to the last


class TuNAS:
    """Searches a space with independent choices; a searcher for ``run_search``, too.

    Args:
        space: The space to search.
        seed: Decides what is drawn.
        steps: How many times :meth:`tell` will be called.
        learning_rate: Of the first step that learns.
        warmup: Share of the steps in which nothing is learned, in [0, 1).
        baseline_decay: What stays of the moving average from step to step.

    Attributes:
        controller: The controller.
        baseline: The moving average of rewards, None before the first step.
        step: Steps taken.

    Raises:
        ValueError: Fewer than one step, a learning rate not above 0, or a share out of range.
    """

    def __init__(
        self,
        space: ChoiceSpace,
        seed: int,
        *,
        steps: int,
        learning_rate: float = 3e-4,
        warmup: float = 0.25,
        baseline_decay: float = 0.95,
    ) -> None:
        if steps < 1 or not learning_rate > 0:
            raise ValueError(
                f"need at least one step and a learning rate above 0, got {steps} and "
                f"{learning_rate}"
            )
        if not (0 <= warmup < 1 and 0 <= baseline_decay < 1):
            raise ValueError(
                f"warmup and baseline_decay must be in [0, 1), got {warmup} and {baseline_decay}"
            )
        self.generator = torch.Generator().manual_seed(seed)
        self.controller = IndependentController(space)
        self.optimizer = torch.optim.Adam(self.controller.parameters(), lr=learning_rate, **_ADAM)
        self.learning_rate, self.steps, self.warmup = learning_rate, steps, warmup
        self.baseline_decay = baseline_decay
        self.baseline: float | None = None
        self.step = 0

    def ask(self, count: int = 1) -> Tensor:
        """Draws points: codes, int64 (count, D)."""
        return self.controller.sample(count, self.generator)

    def tell(self, codes: Tensor, rewards: Tensor) -> None:
        """Takes a step towards the better of the points that were just drawn.

        Args:
            codes: Codes from the last :meth:`ask`, int64 (N, D).
            rewards: Their rewards, float64 (N,).

        Raises:
            ValueError: Codes of another space, or not one finite reward for each.
        """
        check_told(codes, rewards)
        mean = rewards.mean().item()
        baseline = mean if self.baseline is None else self.baseline
        self.baseline = self.baseline_decay * baseline + (1 - self.baseline_decay) * mean
        log_prob, _ = self.controller(codes)
        self.optimizer.zero_grad()
        reinforce_loss(log_prob, rewards - baseline).backward()
        self.optimizer.param_groups[0]["lr"] = self.learning_rate_at(self.step)
        self.optimizer.step()
        self.step += 1

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0: none in the warm-up, then growing."""
        progress = step / self.steps
        return self.learning_rate * _GROWTH**progress if progress >= self.warmup else 0.0

    def found(self) -> Tensor:
        """The most probable point so far: a code, int64 (D,)."""
        return self.controller.most_probable()
