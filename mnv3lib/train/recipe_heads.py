"""The heads of recipes: what stands on a network for detection and segmentation."""

from typing import Annotated, Literal

from pydantic import Field

from mnv3lib.train.sections import Count, Pair, Section, Share

__all__ = ["DetectionHead", "SegmentationHead"]


class DetectionHead(Section):
    """SSDLite, see :mod:`mnv3lib.heads.ssdlite` (chapter 10).

    Attributes:
        kind: Always ``"ssdlite"``.
        anchors: ``"tf"`` (three on the first map) or ``"torchvision"`` (six everywhere).
        scales: Scale of the anchors of the first and of the last map, as shares of the image.
        extra_channels: Channels of the maps after the network's own two; 512, 256, 256 and 128
            times the width multiplier if None.
        loss: ``"focal"``, or cross-entropy on the hardest negatives.
        prior: Probability that a fresh network gives to each class; 0.5 is the published code's.
        score_threshold: Detections below it are dropped.
        nms_iou: Overlap above which the weaker of two boxes of a class is dropped.
        max_detections: At most that many an image.
    """

    kind: Literal["ssdlite"]
    anchors: Literal["tf", "torchvision"] = "tf"
    scales: Pair = (0.2, 0.95)
    extra_channels: Annotated[tuple[Count, ...], Field(strict=False)] | None = None
    loss: Literal["focal", "hard_negatives"] = "focal"
    prior: Share = 0.01
    score_threshold: Share = 0.001
    nms_iou: Share = 0.6
    max_detections: Count = 100


class SegmentationHead(Section):
    """A segmentation head, see :mod:`mnv3lib.heads.aspp` (chapter 11).

    Attributes:
        kind: ``"r_aspp"``, ``"lr_aspp"``, or ``"lr_aspp_torchvision"``, which differs from the
            paper's.
        filters: Channels of the head.
        low_level: Whether the light head looks at the map of stride 8 as well.
    """

    kind: Literal["r_aspp", "lr_aspp", "lr_aspp_torchvision"]
    filters: Count = 128
    low_level: bool = True
