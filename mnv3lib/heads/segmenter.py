"""A network with a segmentation head: a class for every pixel.

The network loses its pooling and classifier, and its last stride (output stride 16), in exchange
for dilation. A head of :mod:`mnv3lib.heads.aspp` stands on its last map. Taught in chapter 11
(segmentation).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from typing import Literal

import torch
from torch import Tensor, nn

from mnv3lib.heads.aspp import LRASPP, RASPP, LRASPPTorchvision, initialise_head, resize_map
from mnv3lib.heads.backbones import tap_channels
from mnv3lib.heads.lr_aspp_layout import torchvision_pairs
from mnv3lib.models import NetworkSpec, model_spec
from mnv3lib.models.builder import Network
from mnv3lib.models.image_check import check_images
from mnv3lib.models.rows import BneckRow, ConvRow, DenseRow
from mnv3lib.models.taps import Tap, tapped_maps

__all__ = ["HeadKind", "Segmenter", "SegmenterSpec", "create_segmenter", "feature_row", "low_tap"]

HeadKind = Literal["r_aspp", "lr_aspp", "lr_aspp_torchvision"]
_KINDS = ("r_aspp", "lr_aspp", "lr_aspp_torchvision")
_LOW_STRIDE = 8


@dataclass(frozen=True)
class SegmenterSpec:
    """A network and the head on it.

    Attributes:
        backbone: The network's table, of which the rows up to the last map are used; its output
            stride is 16 in the paper, and 32 as an option.
        num_classes: Classes.
        head: ``"r_aspp"``, ``"lr_aspp"`` (the paper's), or ``"lr_aspp_torchvision"``.
        filters: Channels of the head; 256 or 128 in the paper.
        low_level: Whether LR-ASPP also looks at a map of stride 8. R-ASPP never does,
            torchvision's form always.
        dropout: Dropout rate before R-ASPP's last convolution; LR-ASPP has none.

    Raises:
        ValueError: An unknown head, or a number below 1.
    """

    backbone: NetworkSpec
    num_classes: int
    head: HeadKind = "lr_aspp"
    filters: int = 128
    low_level: bool = True
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.head not in _KINDS:
            raise ValueError(f"unknown head {self.head!r}; choose one of {', '.join(_KINDS)}")
        if self.num_classes < 1 or self.filters < 1:
            raise ValueError(
                "num_classes and filters must be at least 1, got "
                f"{self.num_classes} and {self.filters}"
            )
        if not self.backbone.any_size:
            raise ValueError(
                f"{self.backbone.family} is built for one size of images, and a segmentation head "
                "for all; choose another network"
            )
        if self.head == "lr_aspp_torchvision" and not self.low_level:
            raise ValueError(
                "torchvision's LR-ASPP always has its low-level map; for a head without one take "
                "'lr_aspp' with low_level=False"
            )

    @property
    def taps(self) -> tuple[Tap, ...]:
        """Where the head looks into the network: the last map, and that of stride 8 if any."""
        last = Tap(feature_row(self.backbone))
        if self.head == "r_aspp" or not self.low_level:
            return (last,)
        return last, low_tap(self.backbone, first=self.head == "lr_aspp_torchvision")


def feature_row(spec: NetworkSpec) -> int:
    """The row whose output a segmentation head takes for the last map.

    With MobileNetV3's efficient last stage, which widens the features after pooling, this is the
    last convolution. In networks that widen them before pooling, to 1280 channels in MobileNetV2,
    it is the last block: the paper's counts for MobileNetV2 have the head on its 320 channels.
    """
    blocks = [i for i, row in enumerate(spec.map_rows) if not isinstance(row, ConvRow)]
    has_efficient_last_stage = sum(isinstance(row, DenseRow) for row in spec.rows) > 1
    widens = has_efficient_last_stage and isinstance(spec.map_rows[-1], ConvRow)
    return blocks[-1] + 1 if widens else blocks[-1]


def low_tap(spec: NetworkSpec, *, first: bool = False) -> Tap:
    """The low-level map, of stride 8.

    Args:
        spec: The network's table.
        first: The output of the first block of stride 8 (torchvision) instead of the depthwise
            output of the last one (the authors' code: block 6 of Large and of MobileNetV2, block 3
            of Small).

    Raises:
        ValueError: The network has no map of stride 8 before its last map.
    """
    strides = accumulate((getattr(row, "stride", 1) for row in spec.rows), mul)
    found = [i for i, s in enumerate(strides) if s == _LOW_STRIDE and i < feature_row(spec)]
    if not found:
        raise ValueError(f"{spec.family} has no map of stride 8 here; take low_level=False")
    row = found[0] if first else found[-1]
    inside = not first and isinstance(spec.rows[row], BneckRow)
    return Tap(row, "depthwise" if inside else None)


class Segmenter(nn.Module):
    """A network that gives logits for every pixel.

    Args:
        spec: Network and head.
        generator: Source of the initial weights; PyTorch's global one when not given.

    Attributes:
        spec: As given.
        rows: The network's rows up to its last map, named as in the classification network, so
            that its weights fit.
        head: The head.
        min_resolution: Product of the network's strides, before some became dilation.
    """

    def __init__(self, spec: SegmenterSpec, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.spec = spec
        network = Network(spec.backbone, generator=generator)
        self.min_resolution = network.min_resolution
        self.rows = network.rows[: feature_row(spec.backbone) + 1]
        if spec.head == "lr_aspp_torchvision":
            _dilate_freed_blocks(self.rows, spec.backbone)
        self.head = _build_head(spec)
        initialise_head(self.head, generator)

    def forward(self, images: Tensor) -> Tensor:
        """Segments images.

        Args:
            images: RGB, (N, 3, H, W), both sides at least :attr:`min_resolution`, else of any size.

        Returns:
            Logits, (N, K, H, W). The head ends at stride 8 or 16 (see
            :mod:`mnv3lib.heads.aspp`); from there they are resized bilinearly.

        Raises:
            ValueError: Not a batch of RGB images, or too small.
        """
        check_images(images, self.min_resolution)
        logits = self.head(*tapped_maps(self.rows, images, self.spec.taps))
        return resize_map(logits, images.shape[-2:])

    def key_pairs(self, layout: str) -> dict[str, str]:
        """Maps our module paths to torchvision's; see :mod:`mnv3lib.models.layouts`.

        Raises:
            ValueError: The library has no such network.
        """
        if layout != "torchvision" or self.spec.head != "lr_aspp_torchvision":
            raise ValueError(
                f"{layout} has no key layout for a network with the head {self.spec.head!r}; "
                "torchvision has one for 'lr_aspp_torchvision'"
            )
        return dict(torchvision_pairs(self.rows))


def create_segmenter(
    backbone: str | NetworkSpec,
    *,
    num_classes: int,
    head: HeadKind = "lr_aspp",
    filters: int = 128,
    low_level: bool = True,
    output_stride: int = 16,
    width_mult: float = 1.0,
    dropout: float = 0.1,
    generator: torch.Generator | None = None,
    **options: object,
) -> Segmenter:
    """Builds a network for segmentation, with fresh weights.

    Args:
        backbone: Name of a network, or a table of your own.
        num_classes: Classes.
        head: See :class:`SegmenterSpec`, as for the next two.
        filters: Channels of the head.
        low_level: Whether LR-ASPP also looks at a map of stride 8.
        output_stride: Pixels of the image for one of the last map: 8, 16 or 32.
        width_mult: Width multiplier of the network; the head keeps its width.
        dropout: Dropout rate of R-ASPP.
        generator: Source of the initial weights.
        **options: Of :func:`mnv3lib.create_model`, such as ``tail="rf2"``, the paper's halving of
            the last rows for segmentation.

    Raises:
        ValueError: An unknown name or option, or a value out of range.

    Example:
        >>> network = create_segmenter("mobilenet_v3_small", num_classes=19, tail="rf2")
        >>> sum(p.numel() for p in network.parameters())  # Table 7, row 11: 0.47 M
        468830
    """
    table = model_spec(backbone, width_mult=width_mult, output_stride=output_stride, **options)
    spec = SegmenterSpec(table, num_classes, head, filters, low_level, dropout)
    return Segmenter(spec, generator=generator)


def _build_head(spec: SegmenterSpec) -> nn.Module:
    last, *low = [tap_channels(spec.backbone, tap) for tap in spec.taps]
    common = {"filters": spec.filters, "bn_momentum": spec.backbone.bn_momentum}
    if spec.head == "r_aspp":
        return RASPP(last, spec.num_classes, dropout=spec.dropout, **common)
    kind = LRASPP if spec.head == "lr_aspp" else LRASPPTorchvision
    geometry = {"low_channels": sum(low), "output_stride": spec.backbone.output_stride}
    return kind(last, spec.num_classes, **geometry, **common)


def _freed_rows(spec: NetworkSpec) -> Iterator[tuple[int, int]]:
    """Rows that lose their stride to the output stride, and that stride."""
    total = 1
    for index, row in enumerate(spec.map_rows):
        stride = getattr(row, "stride", 1)
        total *= stride
        if stride > 1 and total > spec.output_stride:
            yield index, stride


def _dilate_freed_blocks(rows: nn.Sequential, spec: NetworkSpec) -> None:
    """Dilates the block that lost its stride too, as torchvision does; slim begins one later."""
    for index, stride in _freed_rows(spec):
        conv = rows[index].depthwise.conv
        conv.dilation = tuple(stride * d for d in conv.dilation)
        conv.padding = tuple(stride * p for p in conv.padding)
