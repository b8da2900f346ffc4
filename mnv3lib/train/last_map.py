"""A classifier that also shows its last feature map, to losses and metrics that look at it.

Taught in the chapter on bias loss and SkipblockNet.
"""

from typing import NamedTuple

from torch import Tensor, nn

from mnv3lib.models import Network
from mnv3lib.models.rows import PoolRow
from mnv3lib.models.taps import Tap, tapped_maps

__all__ = ["Observed", "WithLastMap"]


class Observed(NamedTuple):
    """What :class:`WithLastMap` returns for N images.

    Attributes:
        logits: (N, K).
        last_map: What enters the global pooling, (N, C, H, W).
    """

    logits: Tensor
    last_map: Tensor

    def float(self) -> "Observed":
        """The same in single precision, for losses after a pass in lower precision."""
        return Observed(self.logits.float(), self.last_map.float())


class WithLastMap(nn.Module):
    """Runs a network and returns its logits together with its last map.

    It owns nothing: weights, mode and statistics are the network's.

    Args:
        network: A network with one global pooling.

    Raises:
        ValueError: It has none.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        pooled = [i for i, row in enumerate(network.spec.rows) if isinstance(row, PoolRow)]
        if not pooled:
            raise ValueError(f"{network.spec.family} has no global pooling, so no map before it")
        self.network = network
        self._taps = (Tap(len(network.rows) - 1), Tap(pooled[0] - 1))

    def forward(self, x: Tensor) -> Observed:
        """x: Images, (N, 3, H, W)."""
        return Observed(*tapped_maps(self.network.rows, x, self._taps))
