"""A detector as data: which network, which anchors, which further maps (chapter 10)."""

import math
from dataclasses import dataclass, field, replace

from torch import Tensor

from mnv3lib.heads.anchors import AnchorKind, AnchorLayout
from mnv3lib.heads.backbones import detection_taps, tap_channels
from mnv3lib.heads.ssd_heads import EXTRA_CHANNELS, scaled_extra_channels
from mnv3lib.models import NetworkSpec, model_spec
from mnv3lib.models.taps import Tap

__all__ = ["SSDLiteSpec", "detector_spec"]

_HEAD_NORM = {"bn_eps": 1e-3, "bn_momentum": 0.03}  # in both published codes


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
        bn_eps: Epsilon of batch norm in heads and extra maps; the network's own is in its table.
        bn_momentum: Its momentum there, in PyTorch's sense.

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

    def anchors_for(self, resolution: int) -> Tensor:
        """Anchors of a square image.

        Args:
            resolution: Side of the image in pixels.

        Returns:
            Corners in pixels, (A, 4), in the order of the predictions.
        """
        return self.anchors.anchors(self.map_sizes(resolution), resolution)

    def map_sizes(self, resolution: int) -> list[int]:
        """Side of every map in cells, for a square image.

        Args:
            resolution: Side of the image in pixels.
        """
        c4, c5 = self.taps
        strides = [getattr(row, "stride", 1) for row in self.backbone.rows[: c5.row + 1]]
        before_c4 = strides[: c4.row] if c4.part else strides[: c4.row + 1]
        sizes = [-(-resolution // math.prod(before_c4)), -(-resolution // math.prod(strides))]
        for _ in self.extra_channels:
            sizes.append(-(-sizes[-1] // 2))
        return sizes


def detector_spec(
    backbone: str | NetworkSpec,
    *,
    num_classes: int,
    resolution: int = 320,
    anchors: AnchorKind = "tf",
    scales: tuple[float, float] = (0.2, 0.95),
    extra_channels: tuple[int, ...] | None = None,
    prior: float = 0.01,
    width_mult: float = 1.0,
    bn_eps: float | None = None,
    bn_momentum: float | None = None,
    **options: object,
) -> SSDLiteSpec:
    """Describes a detector.

    Args:
        backbone: Name of a network, or a table of your own.
        num_classes: Classes without background. Both published codes have 90 for COCO, which
            numbers its 80 classes from 1 to 90.
        resolution: Side of the images in pixels.
        anchors: ``"tf"`` or ``"torchvision"``.
        scales: Scale of the anchors of the first and of the last map.
        extra_channels: Channels of the maps after the network's own two;
            :func:`mnv3lib.heads.ssd_heads.scaled_extra_channels` when not given.
        prior: Probability that a fresh network gives to each class.
        width_mult: Width multiplier.
        bn_eps: Epsilon of batch norm, of heads and network. When not given, it is 0.001 in the
            heads, as in both published codes, and in networks that leave it to their detector
            (:attr:`mnv3lib.models.NetworkSpec.detector_norm`); MobileDets keep their own.
        bn_momentum: Its momentum in PyTorch's sense, likewise; 0.03 when not given.
        **options: Of :func:`mnv3lib.create_model`, such as ``tail="dagger"``, the paper's halving
            of the last channels.

    Raises:
        ValueError: An unknown name or option, or a value out of range.
    """
    network = model_spec(backbone, width_mult=width_mult, **options)
    asked = {"bn_eps": bn_eps, "bn_momentum": bn_momentum}
    given = {name: value for name, value in asked.items() if value is not None}
    norm = _HEAD_NORM | given
    extra = scaled_extra_channels(width_mult) if extra_channels is None else extra_channels
    return SSDLiteSpec(
        replace(network, **(given if network.detector_norm == "own" else norm)),
        num_classes,
        AnchorLayout(anchors, tuple(scales), num_maps=2 + len(extra)),
        tuple(extra),
        resolution,
        prior,
        **norm,
    )
