"""A classifier that also shows its last feature map, to losses and metrics that look at it.

Taught in chapter 14.
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
        network: A network that pools its last map.

    Raises:
        ValueError: It does not.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        maps, rows = len(network.spec.map_rows), network.spec.rows
        if not maps or not isinstance((*rows, None)[maps], PoolRow):
            raise ValueError(f"{network.spec.family} pools no map, so it has none to show")
        self.network = network
        self._taps = (Tap(len(rows) - 1), Tap(maps - 1))

    def forward(self, x: Tensor) -> Observed:
        """x: Images, (N, 3, H, W)."""
        self.network.check_images(x)
        return Observed(*tapped_maps(self.network.rows, x, self._taps))
