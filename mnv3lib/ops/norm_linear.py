"""A classifier that normalises its features first (chapter on EfficientViT)."""

import torch
from torch import Tensor, nn

__all__ = ["NormLinear"]


class NormLinear(nn.Module):
    """Batch norm over features, then a fully connected layer with bias: ``norm``, ``linear``.

    Here the norm stands before the layer, where :class:`mnv3lib.ops.ConvNormAct` has it behind.
    Used by EfficientViT (arXiv 2305.07027, official code, ``BN_Linear``).

    Args:
        in_features: Features of the input, C.
        out_features: Features of the output, C'.
        eps: Epsilon of batch norm.
        momentum: Momentum of batch norm in PyTorch's sense.
        dropout: Dropout rate between the two.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        eps: float = 1e-5,
        momentum: float = 0.1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm: nn.BatchNorm1d | None = nn.BatchNorm1d(in_features, eps=eps, momentum=momentum)
        self.dropout = nn.Dropout(dropout) if dropout else None
        self.linear = nn.Linear(in_features, out_features)
        self.draw_weights()

    @torch.no_grad()
    def draw_weights(self, generator: torch.Generator | None = None) -> None:
        """Draws the weights from a normal distribution of deviation 0.02, cut at 2."""
        if self.norm is not None:
            self.norm.reset_running_stats()
            nn.init.ones_(self.norm.weight)
            nn.init.zeros_(self.norm.bias)
        nn.init.trunc_normal_(self.linear.weight, std=0.02, generator=generator)
        nn.init.zeros_(self.linear.bias)

    @torch.no_grad()
    def fold(self) -> None:
        """Works the norm into the layer: W (s x + t) + b is (W s) x + (W t + b).

        With s the norm's scale over its deviation, and t its shift less s times its mean.
        """
        if self.norm is None:
            return
        norm, linear = self.norm, self.linear
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        shift = norm.bias - scale * norm.running_mean
        linear.bias.add_(linear.weight @ shift)
        linear.weight.mul_(scale)
        self.norm = None

    def forward(self, x: Tensor) -> Tensor:
        """x: Features, (N, C). Returns (N, C')."""
        x = x if self.norm is None else self.norm(x)
        return self.linear(x if self.dropout is None else self.dropout(x))
