"""A detector as data: which network, which anchors, which further maps (chapter 10)."""

import math
from dataclasses import dataclass, field

from mnv3lib.heads.anchors import AnchorLayout
from mnv3lib.heads.backbones import detection_taps, tap_channels
from mnv3lib.heads.ssd_heads import EXTRA_CHANNELS
from mnv3lib.models import NetworkSpec
from mnv3lib.models.taps import Tap

__all__ = ["SSDLiteSpec"]


@dataclass(frozen=True)
class SSDLiteSpec:
    """A detector: a network and what stands on it.

    Attributes:
        backbone: The network; of its rows those up to the last map are used.
        num_classes: Classes of objects, without the background.
        anchors: Anchors of each map.
        extra_channels: Channels of the maps after the network's own two.
        resolution: Side of the images in pixels for which the anchors are kept ready.
        prior: Probability that a fresh network gives to each class under a sigmoid. With the 0.5
            of the published codes all anchors begin by claiming all classes, and the first steps
            go into silencing them.
        bn_eps: Epsilon of batch norm in heads and extra maps.
        bn_momentum: Its momentum in PyTorch's sense.

    Raises:
        ValueError: No class, or anchors for another number of maps.
    """

    backbone: NetworkSpec
    num_classes: int
    anchors: AnchorLayout = field(default_factory=AnchorLayout)
    extra_channels: tuple[int, ...] = EXTRA_CHANNELS
    resolution: int = 320
    prior: float = 0.01
    bn_eps: float = 1e-3
    bn_momentum: float = 0.03

    def __post_init__(self) -> None:
        if self.num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {self.num_classes}")
        if not 0 < self.prior < 1:
            raise ValueError(f"prior must be a probability above 0 and below 1, got {self.prior}")
        maps = 2 + len(self.extra_channels)
        if self.anchors.num_maps != maps:
            raise ValueError(
                f"anchors for {self.anchors.num_maps} maps do not fit the network's two and "
                f"{len(self.extra_channels)} extra ones"
            )

    @property
    def taps(self) -> tuple[Tap, Tap]:
        """Where the heads look into the network: C4 and C5."""
        return detection_taps(self.backbone)

    @property
    def map_channels(self) -> tuple[int, ...]:
        """Channels of every map that the heads look at."""
        inside = (tap_channels(self.backbone, tap) for tap in self.taps)
        return *inside, *self.extra_channels

    def map_sizes(self, resolution: int) -> list[int]:
        """Side of every map in cells, for a square image.

        Args:
            resolution: Side of the image in pixels.
        """
        c4, c5 = self.taps
        strides = [row.stride for row in self.backbone.rows[: c5.row + 1]]
        before_c4 = strides[: c4.row] if c4.part else strides[: c4.row + 1]
        sizes = [-(-resolution // math.prod(before_c4)), -(-resolution // math.prod(strides))]
        for _ in self.extra_channels:
            sizes.append(-(-sizes[-1] // 2))
        return sizes
