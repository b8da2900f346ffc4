"""What attention knows about places: a learned number for each distance (chapter on EfficientViT).

Attention by itself does not know where its tokens lie. EfficientViT adds to each weight, before
the softmax, a number that depends on head and distance alone: two pixels share it with all pairs as
many rows and columns apart, in whichever direction. Source: arXiv 2305.07027, official code,
``attention_biases``; the idea is LeViT's (arXiv 2104.01136, section 4.2).
"""

import torch
from torch import Tensor, nn

__all__ = ["RelativeBias", "distance_index"]


def distance_index(side: int) -> Tensor:
    r"""Numbers the distances between the pixels of a square.

    Args:
        side: R, side of the square in pixels.

    Returns:
        Numbers of distances, int64, (R * R, R * R). For each pair of pixels, counted row by row,
        it is ``R * abs(y - y') + abs(x - x')``. That is also the order in which the distances first
        appear, by which the official code numbers them.

    Example:
        >>> distance_index(2)
        tensor([[0, 1, 2, 3],
                [1, 0, 3, 2],
                [2, 3, 0, 1],
                [3, 2, 1, 0]])
    """
    line = torch.arange(side, device="cpu")
    pixels = torch.cartesian_prod(line, line).reshape(-1, 2)  # (R R, 2): y, x; row by row
    apart = (pixels[:, None] - pixels[None]).abs()  # (R R, R R, 2)
    return side * apart[..., 0] + apart[..., 1]


class RelativeBias(nn.Module):
    """A learned number for each head and each distance between two pixels of a window.

    The numbers start at zero and take no weight decay.

    Args:
        heads: Number of heads, h.
        side: R, side of the window in pixels.

    Attributes:
        attention_biases: The numbers, (h, R * R); the official code and timm call them so.
        table: The numbers of all pairs once :meth:`fold` has read them, else None.
    """

    without_weight_decay = ("attention_biases",)

    def __init__(self, heads: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.attention_biases = nn.Parameter(torch.zeros(heads, side * side))
        # No buffer: averages of weights and running statistics would count it as one of theirs.
        self._index = distance_index(side)
        self.register_buffer("table", None, persistent=False)

    def draw_weights(self, generator: torch.Generator | None = None) -> None:
        """Sets the numbers to zero."""
        nn.init.zeros_(self.attention_biases)

    @property
    def index(self) -> Tensor:
        """The number of each pair's distance, int64, (R * R, R * R), where the weights are."""
        return self._index.to(self.attention_biases.device)

    def fold(self) -> None:
        """Reads the numbers of all pairs once and for all: running reads no index any more."""
        self.table = self.attention_biases.detach()[:, self.index]

    def forward(self) -> Tensor:
        """Returns what is added to the weights of each head, (h, R * R, R * R)."""
        return self.attention_biases[:, self.index] if self.table is None else self.table

    def extra_repr(self) -> str:
        """Shows the sizes in the printed network."""
        return f"heads={len(self.attention_biases)}, side={self.side}"
