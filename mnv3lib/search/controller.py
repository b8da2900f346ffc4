"""The controller: a recurrent network that writes networks, one choice after the other (chapter 8).

MnasNet (arXiv 1807.11626, section 4.2) takes the controller of NASNet: a recurrent network reads
the choice before and gives, through a softmax, a probability to each option of the next. It is a
language model whose sentences are the codes of :mod:`mnv3lib.search.encoding`. By the chain rule
the probability of a code is the product of its choices' probabilities,

    p(c) = p(c_1) p(c_2 | c_1) ... p(c_D | c_1, ..., c_(D-1)),

which is exact, adds up to 1 over the space, and has a gradient. Writing a code is sequential, as
each choice depends on those before. Reading one that is known is not: the recurrent network then
gets all choices at once.

A single layer of 100 LSTM units and weights drawn evenly from -0.1 to 0.1 are NASNet's as we
recall them, not verified.
"""

import torch
from torch import Tensor, nn

from mnv3lib.search.encoding import check_codes
from mnv3lib.search.space import Space

__all__ = ["Controller"]

INITIAL_WEIGHT = 0.1
CLOSED = -1e9  # the logit of an option that a choice does not have: its probability is 0


class Controller(nn.Module):
    """A probability for each point of a space.

    Options are numbered as the columns of a one-hot vector are: those of the first choice, those
    of the second, and so on, W in all. A choice with a single option is a choice like the others:
    its softmax over one number is 1, its entropy 0, and no weight learns from it.

    Args:
        space: A space of D choices.
        hidden: Units of the LSTM, and numbers in the vector of an option.
        generator: Source of the initial weights.

    Attributes:
        space: The space.
        starts: The first option of each choice, int64 (D,).
        closed: Which options each choice does not have, bool (D, W).
        embedding: A vector for each option, and a last one that begins a code.
        lstm: What remembers the choices so far.
        head: From the memory to the logits of all options, of which a choice uses its own.

    Raises:
        ValueError: Less than one unit.
    """

    def __init__(self, space: Space, *, hidden: int = 100, generator: torch.Generator) -> None:
        super().__init__()
        if hidden < 1:
            raise ValueError(f"the controller needs at least 1 hidden unit, got {hidden}")
        self.space = space
        sizes = torch.tensor(space.sizes)
        choice_of_option = torch.repeat_interleave(sizes)  # (W,)
        options = len(choice_of_option)
        self.register_buffer("starts", sizes.cumsum(0) - sizes)
        self.register_buffer("closed", choice_of_option != torch.arange(len(sizes))[:, None])
        with torch.device("meta"):  # draws no weights from PyTorch's global generator
            self.embedding = nn.Embedding(options + 1, hidden)
            self.lstm = nn.LSTM(hidden, hidden, batch_first=True)
            self.head = nn.Linear(hidden, options)
        for part in (self.embedding, self.lstm, self.head):
            part.to_empty(device="cpu")
        for weight in self.parameters():
            nn.init.uniform_(weight, -INITIAL_WEIGHT, INITIAL_WEIGHT, generator=generator)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Writes points, all of them side by side, choice by choice.

        Args:
            count: N, how many.
            generator: Source of randomness.

        Returns:
            Codes, int64 (N, D).
        """
        option, memory = self._beginning(count), None
        written = []
        for closed in self.closed:
            output, memory = self.lstm(self.embedding(option), memory)  # (N, 1, hidden)
            probabilities = self._log_softmax(output, closed).exp()  # (N, 1, W)
            option = torch.multinomial(probabilities[:, 0], 1, generator=generator)  # (N, 1)
            written.append(option)
        return torch.cat(written, dim=1) - self.starts

    def conditionals(self, codes: Tensor) -> Tensor:
        """The log-probabilities of the options of each choice, given the choices before it.

        Args:
            codes: Codes, int64 (N, D).

        Returns:
            Log-probabilities, (N, D, W); very negative for options that a choice does not have.

        Raises:
            ValueError: The codes are not of the space.
        """
        check_codes(self.space, codes)
        options = self.starts + codes  # (N, D)
        # What is read before choice i is choice i - 1; nothing reads the last one.
        read = torch.cat([self._beginning(len(codes)), options[:, :-1]], dim=1)
        outputs, _ = self.lstm(self.embedding(read))  # (N, D, hidden)
        return self._log_softmax(outputs, self.closed)

    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """How probable points are, and how open the choices on the way to them were.

        Args:
            codes: Codes, int64 (N, D).

        Returns:
            The log-probabilities log p(c), (N,), and the entropies of the conditional
            probabilities, summed over the choices, (N,), in nats. Over codes that the controller
            wrote, the mean of these sums estimates the entropy of p without bias.

        Raises:
            ValueError: The codes are not of the space.
        """
        logs = self.conditionals(codes)
        options = (self.starts + codes)[..., None]  # (N, D, 1)
        log_prob = logs.gather(2, options).sum((1, 2))
        entropy = -(logs.exp() * logs).sum((1, 2))
        return log_prob, entropy

    @torch.no_grad()
    def probabilities(self, count: int, generator: torch.Generator) -> list[Tensor]:
        """How probable each option of each choice is, whatever comes before it.

        Args:
            count: Codes that are written to average over what comes before.
            generator: Source of randomness.

        Returns:
            For each choice, the probabilities of its options, (options of this choice,).
        """
        means = self.conditionals(self.sample(count, generator)).exp().mean(0)  # (D, W)
        return [row[~closed] for row, closed in zip(means, self.closed, strict=True)]

    def _log_softmax(self, outputs: Tensor, closed: Tensor) -> Tensor:
        """Logits, then a softmax over the options that are not closed, as logarithms."""
        # Not minus infinity: 0 times infinity would spoil the entropy.
        return self.head(outputs).masked_fill(closed, CLOSED).log_softmax(2)

    def _beginning(self, count: int) -> Tensor:
        """What is read before the first choice, int64 (count, 1): the embedding's last row."""
        return torch.full((count, 1), self.embedding.num_embeddings - 1)
