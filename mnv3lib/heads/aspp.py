"""Segmentation heads: R-ASPP and Lite R-ASPP, which give one logit a class and a pixel.

Both look at the last map of a network, of stride 16, through two branches: what is *here*, and
what the image shows *as a whole*.

=================== ============================ ============================== ==================
..                  :class:`RASPP`               :class:`LRASPP`                its form in
                                                                                torchvision
=================== ============================ ============================== ==================
whole image         mean over all of it          mean over 49 x 49, at a        mean over all
                                                 stride of 16 x 20
joined by           concatenation, 1x1           product: a gate in [0, 1]      product
gate                none                         1x1 with bias, hard sigmoid    no bias, sigmoid
map of stride 8     none                         depthwise output of its last   output of its
                                                 block                          first block
ends at             stride 16                    stride 8 (16 without that map) stride 8
=================== ============================ ============================== ==================

Source: arXiv 1905.02244 (final version), section 6.4 and figure 10, and the authors' DeepLab code;
R-ASPP: arXiv 1801.04381, section 6.3. All resizing is bilinear with PyTorch's
``align_corners=False``; the authors' code aligns the corners. Taught in chapter 11 (segmentation).
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnv3lib.models.initial_weights import initialise
from mnv3lib.ops import ConvNormAct, hard_sigmoid

__all__ = ["LRASPP", "RASPP", "LRASPPTorchvision", "initialise_head", "resize_map", "strided_means"]

# Window and strides of LR-ASPP's means by output stride: figure 10 for 16, the flags of the
# authors' published models for 32. 49 and 25 are sides of the map of the 769 pixels they train on.
MEANS = {8: (49, (16, 20)), 16: (49, (16, 20)), 32: (25, (4, 5))}
_BN_EPS = 1e-5  # of the heads in DeepLab's code and in torchvision, whatever the network's is
_PREDICTOR_STD = 0.01  # so that all classes start out about as likely


def resize_map(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes maps, (N, C, H, W), to another height and width, bilinearly."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def strided_means(x: Tensor, output_stride: int = 16) -> Tensor:
    """Means over large windows, 49 x 49 pixels at a stride of 16 x 20, without padding.

    On a map that is lower or narrower, as that of a half-size image, the window is clipped to the
    map.

    Args:
        x: Feature map, (N, C, H, W).
        output_stride: Pixels of the image for one of the map; at 32, windows are 25 x 25 at a
            stride of 4 x 5.

    Returns:
        (N, C, H', W'); a map of 64 x 128, from an image of 1024 x 2048, gives 1 x 4 means.
    """
    side, strides = MEANS[output_stride]
    height, width = x.shape[-2:]
    return F.avg_pool2d(x, (min(side, height), min(side, width)), strides)


class RASPP(nn.Module):
    """Reduced atrous spatial pyramid pooling: a 1x1 branch and an image branch, concatenated.

    Training needs two images a batch or more: the image branch has one value a channel and image,
    of which its batch norm takes the variance.

    Args:
        in_channels: Channels of the map.
        num_classes: Classes.
        filters: Channels of the head.
        bn_momentum: Momentum of its batch norms.
        dropout: Dropout rate before the last convolution.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        filters: int,
        bn_momentum: float = 0.1,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        norm = {"norm_layer": partial(nn.BatchNorm2d, eps=_BN_EPS, momentum=bn_momentum)}
        self.local = ConvNormAct(in_channels, filters, 1, **norm)
        self.image = ConvNormAct(in_channels, filters, 1, **norm)
        self.merge = ConvNormAct(2 * filters, filters, 1, **norm)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Conv2d(filters, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """x: Feature map, (N, C, H, W). Returns logits, (N, K, H, W)."""
        local = self.local(x)
        image = self.image(F.adaptive_avg_pool2d(x, 1)).expand_as(local)  # (N, F, 1, 1) before
        merged = self.merge(torch.cat([local, image], dim=1))
        return self.classify(self.dropout(merged))


class LRASPP(nn.Module):
    """Lite R-ASPP as the paper has it: the image branch is a gate, as in squeeze-and-excite.

    Args:
        in_channels: Channels of the map.
        num_classes: Classes.
        filters: Channels of the head.
        low_channels: Channels of the map of stride 8; 0 leaves that map out.
        output_stride: Pixels of the image for one of the map, which decides the windows.
        bn_momentum: Momentum of its batch norm.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        filters: int,
        low_channels: int = 0,
        output_stride: int = 16,
        bn_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        norm = {"norm_layer": partial(nn.BatchNorm2d, eps=_BN_EPS, momentum=bn_momentum)}
        self._output_stride = output_stride
        self.local = ConvNormAct(in_channels, filters, 1, **norm)
        self.gate = self._gate_convolution(in_channels, filters)
        self.classify = nn.Conv2d(filters, num_classes, 1)
        self.classify_low = nn.Conv2d(low_channels, num_classes, 1) if low_channels else None

    @staticmethod
    def _gate_convolution(in_channels: int, filters: int) -> nn.Conv2d:
        return nn.Conv2d(in_channels, filters, 1)

    def _gate(self, x: Tensor) -> Tensor:
        """The gate, (N, F, H', W'), of any size."""
        return hard_sigmoid(self.gate(strided_means(x, self._output_stride)))

    def forward(self, x: Tensor, low: Tensor | None = None) -> Tensor:
        """Joins the two maps.

        Args:
            x: Feature map, (N, C, H, W).
            low: Map of stride 8, (N, C', H', W'), if the head was built for one.

        Returns:
            Logits, (N, K, H', W'), or (N, K, H, W) without a map of stride 8.
        """
        local = self.local(x)
        gated = local * resize_map(self._gate(x), local.shape[-2:])
        if self.classify_low is None:
            return self.classify(gated)
        gated = resize_map(gated, low.shape[-2:])
        return self.classify(gated) + self.classify_low(low)


class LRASPPTorchvision(LRASPP):
    """Lite R-ASPP as torchvision builds it: a gate for the whole image, by a plain sigmoid."""

    @staticmethod
    def _gate_convolution(in_channels: int, filters: int) -> nn.Conv2d:
        return nn.Conv2d(in_channels, filters, 1, bias=False)

    def _gate(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.gate(F.adaptive_avg_pool2d(x, 1)))


def initialise_head(head: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draws initial weights: He-normal, but N(0, 0.01) for what gives the logits."""
    initialise(head, generator)
    for name, module in head.named_children():
        if name.startswith("classify") and module is not None:
            nn.init.normal_(module.weight, std=_PREDICTOR_STD, generator=generator)
