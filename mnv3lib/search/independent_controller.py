"""The simplest controller: a softmax for each choice, whatever the others are.

MnasNet's controller (:mod:`mnv3lib.search.controller`) makes each choice depend on those before.
TuNAS (arXiv 2008.06120) drops that: one row of logits a choice, all of them 0 at the start, so
that every option begins equally probable and

    log p(c) = sum over choices i of log softmax(logits_i)[c_i].

The gradient of log p(c) in the logits of a choice is one-hot minus softmax, which a reader can
check by hand. Used by MobileDets (arXiv 2004.14525); taught in the chapter on it.
"""

import torch
from torch import Tensor, nn

from mnv3lib.search.choices import ChoiceSpace
from mnv3lib.search.encoding import check_codes

__all__ = ["IndependentController"]

CLOSED = -1e9  # the logit of an option that a choice does not have: its probability is 0


class IndependentController(nn.Module):
    """A probability for each point of a space, the product of those of its options.

    Args:
        space: A space of D choices with at most W options each.

    Attributes:
        space: The space.
        logits: float64 (D, W), 0 at the start.
        closed: Which columns of :attr:`logits` are no option of the choice, bool (D, W).
    """

    def __init__(self, space: ChoiceSpace) -> None:
        super().__init__()
        self.space = space
        sizes = torch.tensor(space.sizes)
        self.logits = nn.Parameter(torch.zeros(len(sizes), int(sizes.max()), dtype=torch.float64))
        self.register_buffer("closed", torch.arange(int(sizes.max())) >= sizes[:, None])

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draws points.

        Args:
            count: N, how many.
            generator: Source of randomness.

        Returns:
            Codes, int64 (N, D).
        """
        drawn = torch.multinomial(self._logs().exp(), count, replacement=True, generator=generator)
        return drawn.T.contiguous()  # (D, N) -> (N, D)

    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """How probable points are, and how open the choices are.

        Args:
            codes: Codes, int64 (N, D).

        Returns:
            The log-probabilities log p(c), (N,), and the entropy of p in nats, (N,), which is the
            same for all of them here.

        Raises:
            ValueError: The codes are not of the space.
        """
        check_codes(self.space, codes)
        logs = self._logs()  # (D, W)
        log_prob = logs.expand(len(codes), -1, -1).gather(2, codes[..., None]).sum((1, 2))
        entropy = -(logs.exp() * logs).sum()
        return log_prob, entropy.expand(len(codes))

    @torch.no_grad()
    def probabilities(self) -> list[Tensor]:
        """How probable each option of each choice is, (options of this choice,) a choice."""
        rows = zip(self._logs().exp(), self.closed, strict=True)
        return [probabilities[~closed] for probabilities, closed in rows]

    @torch.no_grad()
    def most_probable(self) -> Tensor:
        """The code of the most probable point, the first one if several are equal; int64 (D,)."""
        return self._logs().argmax(1)

    def _logs(self) -> Tensor:
        # Not minus infinity: 0 times infinity would spoil the entropy.
        return self.logits.masked_fill(self.closed, CLOSED).log_softmax(1)
