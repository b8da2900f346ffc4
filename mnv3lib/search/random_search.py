"""Random search: the baseline that every other searcher has to beat (chapter 8).

It learns nothing, so what a learning searcher gains at the same budget is what learning is worth.
"""

import torch
from torch import Tensor

from mnv3lib.search.encoding import check_codes, sample_codes
from mnv3lib.search.history import check_told
from mnv3lib.search.space import Space

__all__ = ["RandomSearch"]


class RandomSearch:
    """Draws every point with equal probability, and none a second time.

    Repeating a point would waste an evaluation and flatter the other searchers. A drawn point that
    was drawn before is drawn anew; when all points of the space have had their turn, a second
    round begins.

    Args:
        space: The space to search.
        seed: Decides what is drawn.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self.space = space
        self.generator = torch.Generator().manual_seed(seed)
        self.seen: set[tuple[int, ...]] = set()

    def ask(self, count: int) -> Tensor:
        """Draws points: codes, int64 (count, D)."""
        fresh: list[tuple[int, ...]] = []
        while len(fresh) < count:
            for row in sample_codes(self.space, count, self.generator).tolist():
                code = tuple(row)
                if len(fresh) < count and code not in self.seen:
                    self.seen.add(code)
                    fresh.append(code)
                if len(self.seen) == self.space.cardinality:
                    self.seen.clear()
        return torch.tensor(fresh, dtype=torch.int64).reshape(count, len(self.space.sizes))

    def tell(self, codes: Tensor, rewards: Tensor) -> None:
        """Checks what it is told, and forgets it.

        Raises:
            ValueError: Codes of another space, or not one finite reward for each.
        """
        check_codes(self.space, codes)
        check_told(codes, rewards)
