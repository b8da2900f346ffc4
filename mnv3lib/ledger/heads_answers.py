"""Answers to claims about detectors and segmenters: each builds the network and counts.

Claims name these functions as ``mnv3lib.ledger.heads_answers:segmenter_macs`` with the arguments to
call them with; :mod:`mnv3lib.ledger.meta_counts` counts. Table 6 of MobileNetV3 leaves out the
parameters of batch norm, Table 7 has them (chapters 10 and 11); MobileDets count its running
statistics, too.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import nn

from mnv3lib.heads import OneOutput, create_segmenter, create_ssdlite
from mnv3lib.heads.ssd_heads import LightHead, extra_map
from mnv3lib.heads.ssdlite_spec import SSDLiteSpec
from mnv3lib.ledger.answers import norm_params
from mnv3lib.ledger.meta_counts import MetaCount, count_on_meta
from mnv3lib.ledger.variants import VARIANTS
from mnv3lib.measure.parameters import parameter_count
from mnv3lib.models import NetworkSpec, model_spec

__all__ = [
    "build_detector",
    "build_segmenter",
    "detection_head_macs",
    "detection_head_params",
    "detector_macs",
    "detector_params",
    "detector_variables",
    "segmenter_macs",
    "segmenter_params",
]

COCO = 90  # outputs without the background: COCO numbers its 80 classes from 1 to 90
CITYSCAPES = 19
HeadKind = Literal["light", "full"]
Options = tuple[tuple[str, object], ...]


def build_detector(model: str, *, num_classes: int = COCO, **options: object) -> OneOutput:
    """A detector as it is timed.

    Args:
        model: A registered network, or a variant of :mod:`mnv3lib.ledger.variants`.
        num_classes: Classes without background.
        **options: Options of :func:`mnv3lib.heads.ssdlite.create_ssdlite`.
    """
    seeded = torch.Generator().manual_seed(0)
    detector = create_ssdlite(_table(model), num_classes=num_classes, generator=seeded, **options)
    return OneOutput(detector)


def build_segmenter(model: str, *, num_classes: int = CITYSCAPES, **options: object) -> nn.Module:
    """A segmenter; arguments as `build_detector`, options of `create_segmenter`."""
    seeded = torch.Generator().manual_seed(0)
    return create_segmenter(_table(model), num_classes=num_classes, generator=seeded, **options)


def detector_params(model: str, *, batch_norm: bool = False, **options: object) -> int:
    """Parameters of a detector; those of batch norm on request.

    Args:
        model: As in `build_detector`.
        batch_norm: Whether its parameters count.
        **options: As in `build_detector`.
    """
    return _params(_built(build_detector, model, _key(options)), batch_norm)


def detector_macs(
    model: str, *, resolution: int = 320, elementwise: bool = False, **options: object
) -> int:
    """Multiply-adds of a detector for one image.

    Args:
        model: As in `build_detector`.
        resolution: Side of the image, pixels.
        elementwise: As in `segmenter_macs`.
        **options: As in `build_detector`.
    """
    return _macs(
        _counted(build_detector, model, (resolution, resolution), _key(options)), elementwise
    )


def detector_variables(model: str, **options: object) -> int:
    """All numbers that a training program keeps of a detector, running statistics included.

    Args:
        model: As in `build_detector`.
        **options: As in `build_detector`.
    """
    built = _built(build_detector, model, _key(options))
    return parameter_count(built, "with_statistics")


def segmenter_params(model: str, *, batch_norm: bool = True, **options: object) -> int:
    """Parameters of a segmenter.

    Args:
        model: As in `build_segmenter`.
        batch_norm: Whether the parameters of batch norm count.
        **options: As in `build_segmenter`.
    """
    return _params(_built(build_segmenter, model, _key(options)), batch_norm)


def segmenter_macs(
    model: str,
    *,
    size: Sequence[int] = (1024, 2048),
    elementwise: bool = False,
    **options: object,
) -> int:
    """Multiply-adds of a segmenter for one image.

    Args:
        model: As in `build_segmenter`.
        size: Height and width of the image, pixels.
        elementwise: Also count one operation for each element of hard swish, products, sums,
            pooling and resizing. Batch norm and ReLU stay free.
        **options: As in `build_segmenter`.
    """
    return _macs(_counted(build_segmenter, model, tuple(size), _key(options)), elementwise)


def detection_head_params(kind: HeadKind, *, model: str, num_classes: int) -> int:
    """Parameters of all that a detector puts on a network, those of batch norm left out.

    Args:
        kind: ``"light"`` (SSDLite) or ``"full"`` (SSD: every 3x3 convolution is an ordinary one).
        model: A registered network.
        num_classes: Classes without background.
    """
    parts, _ = _head(kind, model, num_classes)
    return _params(parts, batch_norm=False)


def detection_head_macs(
    kind: HeadKind, *, model: str, num_classes: int, resolution: int = 320
) -> int:
    """Multiply-adds of the same for an image of that side."""
    parts, spec = _head(kind, model, num_classes)
    sides = spec.map_sizes(resolution)
    inside = zip(spec.map_channels[:2], sides[:2], strict=True)
    maps = [torch.empty(1, channels, side, side, device="meta") for channels, side in inside]
    return count_on_meta(parts, maps).macs


class _Parts(nn.Module):
    """Extra maps and heads alone, on the two maps of a network."""

    def __init__(self, extras: Sequence[nn.Module], heads: Sequence[Sequence[nn.Module]]) -> None:
        super().__init__()
        self.extras = nn.ModuleList(extras)
        self.heads = nn.ModuleList(nn.ModuleList(own) for own in heads)

    def forward(self, maps: list[torch.Tensor]) -> None:
        """Runs every part once."""
        maps = list(maps)
        for extra in self.extras:
            maps.append(extra(maps[-1]))
        for heads, own in zip(self.heads, maps, strict=True):
            for head in heads:
                head(own)


def _full_extra(before: int, own: int) -> nn.Module:
    half = own // 2
    return nn.Sequential(
        nn.Conv2d(before, half, 1, bias=False),
        nn.Conv2d(half, own, 3, stride=2, padding=1, bias=False),
    )


def _full_head(channels: int, numbers: int) -> nn.Module:
    return nn.Conv2d(channels, numbers, 3, padding=1)


_HEADS: dict[str, tuple[Callable[..., nn.Module], Callable[..., nn.Module]]] = {
    "light": (
        partial(extra_map, padding="symmetric", norm_layer=nn.BatchNorm2d),
        partial(LightHead, norm_layer=nn.BatchNorm2d),
    ),
    "full": (_full_extra, _full_head),
}


def _head(kind: HeadKind, model: str, num_classes: int) -> tuple[_Parts, SSDLiteSpec]:
    """Extra maps, and on each map a head for the classes and one for the boxes."""
    extra, head = _HEADS[kind]
    spec = SSDLiteSpec(model_spec(model), num_classes)
    columns = (num_classes + 1, 4)
    with torch.device("meta"):
        extras = [extra(before, own) for before, own in pairwise(spec.map_channels[1:])]
        sizes = zip(spec.map_channels, spec.anchors.per_map, strict=True)
        heads = [[head(channels, n * numbers) for numbers in columns] for channels, n in sizes]
    return _Parts(extras, heads).eval(), spec


def _key(options: dict[str, Any]) -> Options:
    return tuple(sorted(options.items()))


@lru_cache(maxsize=64)
def _built(build: Callable[..., nn.Module], model: str, options: Options) -> nn.Module:
    return build(model, **dict(options)).to("meta").eval()


@lru_cache(maxsize=128)
def _counted(
    build: Callable[..., nn.Module], model: str, size: tuple[int, ...], options: Options
) -> MetaCount:
    return count_on_meta(_built(build, model, options), torch.empty(1, 3, *size, device="meta"))


def _table(model: str) -> str | NetworkSpec:
    return VARIANTS[model]() if model in VARIANTS else model


def _params(network: nn.Module, batch_norm: bool) -> int:
    total = sum(p.numel() for p in network.parameters())
    return total if batch_norm else total - norm_params(network)


def _macs(counted: MetaCount, elementwise: bool) -> int:
    return counted.macs + (counted.elements if elementwise else 0)
