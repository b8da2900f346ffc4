"""SSDLite: a detector on six maps of a network (chapter 10).

Two maps come from the network (:func:`mnv3lib.heads.backbones.detection_taps`), four smaller
ones follow. On each, two light heads give every anchor a score for each class and four numbers
that move it onto an object. 'Lite' says that the heads are depthwise separable.

Source: arXiv 1801.04381, section 6.2 (SSDLite); arXiv 1905.02244, section 6.3, and the authors'
object detection code for where the heads look. The parts are in :mod:`mnv3lib.heads.ssd_heads`.
"""

import math
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from mnv3lib.heads.predictions import Predictions
from mnv3lib.heads.ssd_heads import (
    LightHead,
    extra_map,
    initialise_heads,
    per_anchor,
)
from mnv3lib.heads.ssdlite_layout import TORCHVISION_BACKBONES, torchvision_pairs
from mnv3lib.heads.ssdlite_spec import SSDLiteSpec, detector_spec
from mnv3lib.models import Network, NetworkSpec
from mnv3lib.models.image_check import check_images
from mnv3lib.models.taps import tapped_maps

__all__ = ["SSDLite", "create_ssdlite"]


class SSDLite(nn.Module):
    """The detector that a :class:`SSDLiteSpec` describes.

    Args:
        spec: Network and heads.
        generator: Source of the initial weights; PyTorch's global one when not given.

    Attributes:
        spec: The same.
        anchors: Corners of all anchors at ``spec.resolution``, (A, 4). They are not saved with the
            weights, since they follow from the spec.
        min_resolution: Smallest side of an image, in pixels.
        rows: The network's rows up to C5, named as in the classifier.
        extras: The further maps, each from the one before.
        class_heads: One for each map.
        box_heads: One for each map.
    """

    def __init__(self, spec: SSDLiteSpec, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.spec = spec
        network = Network(spec.backbone, generator=generator)
        self.rows = network.rows[: spec.taps[-1].row + 1]
        self.min_resolution = network.min_resolution
        with torch.device("meta"):  # weights are drawn once, below, not also by each layer
            self.extras = _build_extras(spec)
            self.class_heads = _build_heads(spec, spec.num_classes + 1)
            self.box_heads = _build_heads(spec, 4)
        for part in (self.extras, self.class_heads, self.box_heads):
            initialise_heads(part.to_empty(device="cpu"), generator)
        for head in self.class_heads:
            nn.init.constant_(head.predict.bias, math.log(spec.prior / (1 - spec.prior)))
        self.register_buffer("anchors", self.anchors_for(spec.resolution), persistent=False)

    def anchors_for(self, resolution: int) -> Tensor:
        """Anchors of images of another size.

        Args:
            resolution: Side of the images in pixels.

        Returns:
            Corners in pixels, (A, 4), in the order of the predictions.
        """
        return self.spec.anchors_for(resolution).to(next(self.parameters()))

    def maps(self, images: Tensor) -> list[Tensor]:
        """What the heads look at: C4, C5 and the extra maps.

        Args:
            images: As for :meth:`forward`.
        """
        maps = tapped_maps(self.rows, images, self.spec.taps)
        for extra in self.extras:
            maps.append(extra(maps[-1]))
        return maps

    def forward(self, images: Tensor) -> Predictions:
        """Scores and codes for every anchor.

        Args:
            images: RGB, (N, 3, R, R), square, with R of at least :attr:`min_resolution`.

        Returns:
            Logits of background and classes, (N, A, classes + 1), and box codes, (N, A, 4), for the
            anchors of this size.

        Raises:
            ValueError: Not a batch of RGB images, too small, or not square.
        """
        _check_square(images, self.min_resolution)
        maps = self.maps(images)
        columns = self.spec.num_classes + 1
        return Predictions(
            per_anchor(self.class_heads, maps, columns), per_anchor(self.box_heads, maps, 4)
        )

    def key_pairs(self, layout: str) -> dict[str, str]:
        """Maps our module paths to torchvision's; see :mod:`mnv3lib.models.layouts`.

        Raises:
            ValueError: The library has no such network.
        """
        family = self.spec.backbone.family
        if layout != "torchvision" or family not in TORCHVISION_BACKBONES:
            raise ValueError(
                f"{layout} has no key layout for SSDLite on {family}; "
                f"torchvision has one for {', '.join(TORCHVISION_BACKBONES)}"
            )
        return dict(torchvision_pairs(self, self.spec.taps[0]))


def create_ssdlite(
    backbone: str | NetworkSpec,
    *,
    num_classes: int,
    generator: torch.Generator | None = None,
    **options: Any,
) -> SSDLite:
    """Builds a detector, with fresh weights.

    Args:
        backbone: Name of a network, or a table of your own.
        num_classes: Classes without background.
        generator: Source of the initial weights.
        **options: Of :func:`mnv3lib.heads.ssdlite_spec.detector_spec`, such as ``anchors`` or
            ``tail="dagger"``, the paper's halving of the last channels.

    Raises:
        ValueError: An unknown name or option, or a value out of range.

    Example:
        >>> detector = create_ssdlite("mobilenet_v3_large", num_classes=90, tail="dagger")
        >>> norms = [m for m in detector.modules() if isinstance(m, nn.BatchNorm2d)]
        >>> parameters = sum(p.numel() for p in detector.parameters())
        >>> parameters - sum(2 * norm.num_features for norm in norms)  # Table 6: 3.22 M
        3215311
    """
    spec = detector_spec(backbone, num_classes=num_classes, **options)
    return SSDLite(spec, generator=generator)


def _norm_layer(spec: SSDLiteSpec) -> partial:
    return partial(nn.BatchNorm2d, eps=spec.bn_eps, momentum=spec.bn_momentum)


def _build_extras(spec: SSDLiteSpec) -> nn.ModuleList:
    common = {"padding": spec.backbone.padding, "norm_layer": _norm_layer(spec)}
    channels = spec.map_channels[1:]  # of C5 and the extra maps
    return nn.ModuleList(extra_map(before, own, **common) for before, own in pairwise(channels))


def _build_heads(spec: SSDLiteSpec, columns: int) -> nn.ModuleList:
    """One head for each map, with `columns` numbers for each anchor."""
    sizes = zip(spec.map_channels, spec.anchors.per_map, strict=True)
    norm_layer = _norm_layer(spec)
    return nn.ModuleList(LightHead(c, n * columns, norm_layer=norm_layer) for c, n in sizes)


def _check_square(images: Tensor, smallest: int) -> None:
    check_images(images, smallest)
    if not torch.jit.is_tracing() and images.shape[-2] != images.shape[-1]:
        raise ValueError(
            f"a detector takes square images, got {images.shape[-2]} x {images.shape[-1]}; "
            "stretch them to a square and their boxes with them"
        )
