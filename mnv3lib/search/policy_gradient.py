"""Policy gradients: make what was rewarded more probable (chapter 8).

The controller should maximise the expected reward E[R(c)] over the codes c that it writes. The
gradient of an expectation is again one,

    grad E[R] = E[R(c) grad log p(c)] = E[(R(c) - b) grad log p(c)],

for any b that does not depend on c, so a batch of written codes estimates it. That is REINFORCE
(Williams, 1992); a baseline b near the mean reward makes the estimate less noisy. It is good for
a single step, since the codes were written by the controller as it was. Proximal policy
optimisation, PPO (arXiv 1707.06347, section 3), which MnasNet uses, takes several steps with the
same codes: it weighs each by the ratio of its new probability to the old one, and stops moving
it where the ratio has left [1 - clip, 1 + clip].
"""

import torch
from torch import Tensor

from mnv3lib.search.controller import Controller
from mnv3lib.search.history import check_told
from mnv3lib.search.space import Space

__all__ = ["PPO", "Reinforce", "clipped_loss", "reinforce_loss"]


def reinforce_loss(log_prob: Tensor, advantages: Tensor) -> Tensor:
    """A loss whose negative gradient estimates that of the expected reward.

    Args:
        log_prob: log p of written codes, (N,).
        advantages: Their rewards less a baseline, (N,).

    Returns:
        The negative mean of the products; only its gradient means something.
    """
    return -(advantages * log_prob).mean()


def clipped_loss(log_prob: Tensor, old_log_prob: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """PPO's clipped loss, arXiv 1707.06347, equation 7, with its sign turned.

    While the ratio is 1, as before the first step, its gradient is that of :func:`reinforce_loss`.

    Args:
        log_prob: log p of written codes as the controller is now, (N,).
        old_log_prob: The same as it was when it wrote them, (N,), without gradient.
        advantages: Their rewards less a baseline, (N,).
        clip: How far from 1 a ratio may gain, above 0.

    Returns:
        The negative mean of the smaller of the clipped and unclipped gains.

    Example:
        >>> twice = torch.tensor([2.0]).log()  # twice as probable as before, and worth 10
        >>> clipped_loss(twice, torch.zeros(1), torch.tensor([10.0]), clip=0.2)
        tensor(-12.)
    """
    ratio = (log_prob - old_log_prob).exp()
    gain = ratio * advantages
    clipped_gain = ratio.clamp(1 - clip, 1 + clip) * advantages
    return -torch.minimum(gain, clipped_gain).mean()


class Reinforce:
    """Searches with a controller that REINFORCE trains.

    The baseline is a moving average of the mean rewards of the batches before; the first batch is
    its own. The entropy bonus keeps the controller from settling early.

    Args:
        space: The space to search.
        seed: Decides the controller's initial weights and what it writes.
        learning_rate: Step of Adam. NASNet has 0.00035, as we recall, for some ten thousand
            networks; ours is larger, for some hundreds.
        entropy_weight: What a nat of entropy is worth in units of the reward; NASNet has 0.00001,
            as we recall. Ours is a tenth of the spread of rewards on which we tried it: with less,
            the controller settles on the first good point.
        baseline_decay: What stays of the moving average from batch to batch; NASNet has 0.95, as
            we recall. Ours is smaller: in 30 batches, a slow average lags behind.
        hidden: Units of the controller.

    Attributes:
        controller: The controller.
        baseline: The moving average, None before the first batch.

    Raises:
        ValueError: A learning rate or number of units not above 0, a negative entropy weight, or
            a decay outside [0, 1).
    """

    def __init__(
        self,
        space: Space,
        seed: int,
        *,
        learning_rate: float = 0.005,
        entropy_weight: float = 2e-3,
        baseline_decay: float = 0.8,
        hidden: int = 100,
    ) -> None:
        _check_positive("learning_rate", learning_rate)
        if entropy_weight < 0 or not 0 <= baseline_decay < 1:
            raise ValueError(
                "entropy_weight must not be negative, baseline_decay in [0, 1); got "
                f"{entropy_weight} and {baseline_decay}"
            )
        self.generator = torch.Generator().manual_seed(seed)
        self.controller = Controller(space, hidden=hidden, generator=self.generator)
        self.optimizer = torch.optim.Adam(self.controller.parameters(), lr=learning_rate)
        self.entropy_weight = entropy_weight
        self.baseline_decay = baseline_decay
        self.baseline: float | None = None

    def ask(self, count: int) -> Tensor:
        """Writes points: codes, int64 (count, D)."""
        return self.controller.sample(count, self.generator)

    def tell(self, codes: Tensor, rewards: Tensor) -> None:
        """Takes a step towards the better of the points that were just written.

        Args:
            codes: Codes from the last :meth:`ask`, int64 (N, D).
            rewards: Their rewards, float64 (N,).

        Raises:
            ValueError: Codes of another space, or not one finite reward for each.
        """
        check_told(codes, rewards)
        self._learn(codes, self._advantages(rewards))

    def probabilities(self, samples: int = 1000) -> list[Tensor]:
        """How probable each option of each choice is now; asking leaves the search as it is.

        Args:
            samples: Codes that are written to find out; the same for each call.

        Returns:
            For each choice, the probabilities of its options.
        """
        return self.controller.probabilities(samples, torch.Generator().manual_seed(0))

    def _learn(self, codes: Tensor, advantages: Tensor) -> None:
        log_prob, entropy = self.controller(codes)
        self._step(reinforce_loss(log_prob, advantages), entropy)

    def _advantages(self, rewards: Tensor) -> Tensor:
        mean = rewards.mean().item()
        baseline = mean if self.baseline is None else self.baseline
        self.baseline = self.baseline_decay * baseline + (1 - self.baseline_decay) * mean
        return rewards - baseline

    def _step(self, loss: Tensor, entropy: Tensor) -> None:
        self.optimizer.zero_grad()
        (loss - self.entropy_weight * entropy.mean()).backward()
        self.optimizer.step()


class PPO(Reinforce):
    """Searches with a controller that PPO trains, as MnasNet does.

    Args:
        space: The space to search.
        seed: Decides the controller's initial weights and what it writes.
        epochs: Steps with each batch; the default is ours.
        clip: How far from 1 the ratio of probabilities may gain; 0.2 as in PPO's paper.
        options: See :class:`Reinforce`.

    Raises:
        ValueError: No epoch, a clip not above 0, or see :class:`Reinforce`.
    """

    def __init__(
        self, space: Space, seed: int, *, epochs: int = 5, clip: float = 0.2, **options: float
    ) -> None:
        _check_positive("epochs", epochs)
        _check_positive("clip", clip)
        super().__init__(space, seed, **options)
        self.epochs = epochs
        self.clip = clip

    def _learn(self, codes: Tensor, advantages: Tensor) -> None:
        with torch.no_grad():
            old_log_prob, _ = self.controller(codes)
        for _ in range(self.epochs):
            log_prob, entropy = self.controller(codes)
            self._step(clipped_loss(log_prob, old_log_prob, advantages, self.clip), entropy)


def _check_positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} must be above 0, got {value}")
