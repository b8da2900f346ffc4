"""EfficientViT-M0 to -M5: attention made for speed instead of for few multiply-adds.

Four strided convolutions, then three stages of sandwiches; between the stages an inverted residual
with squeeze-and-excite, MobileNetV3's own block, makes the map smaller. A network is built for one
size of images, 224 pixels unless ``resolution`` says another. Taught in the chapter on
EfficientViT.

Source: arXiv 2305.07027, Table 1, with the heads and kernels of the official code
(``classification/model/build.py``). It is not the network of the same name in arXiv 2205.14756,
which timm calls ``efficientvit_b*`` and ``efficientvit_l*``.
"""

from collections.abc import Iterator
from dataclasses import replace

from mnv3lib.models.attention_rows import (
    InteractionRow,
    NormDenseRow,
    SandwichRow,
    feed_heads,
)
from mnv3lib.models.rows import RE, BneckRow, ConvRow, NetworkSpec, PoolRow, Row

__all__ = ["MODELS", "efficientvit"]

YES = True
Triple = tuple[int, int, int]

_WIDE, _MIXED = (5, 5, 5, 5), (7, 5, 3, 3)  # kernels over the queries, head by head


def efficientvit(
    channels: Triple,
    depths: Triple,
    heads: Triple,
    kernels: tuple[int, ...],
    *,
    window: int = 7,
    strides: tuple[int, ...] = (2, 2, 2, 2),
) -> tuple[Row, ...]:
    """A table of EfficientViT's kind.

    Args:
        channels: Channels of the three stages.
        depths: Sandwiches of each stage.
        heads: Heads of each stage's attention.
        kernels: Sides of the kernels over the queries, for each head; the same in all stages.
        window: Largest side of an attention window in pixels.
        strides: Strides of the convolutions before the first stage. The last has the first
            stage's channels, and each of the others half of those of the next.

    Returns:
        The rows, for 1000 classes.

    Example:
        >>> len(efficientvit((64, 128, 192), (1, 2, 3), (4, 4, 4), (5, 5, 5, 5)))  # M0
        18
    """
    stages = tuple(zip(channels, depths, heads, strict=True))
    rows = [*_patch_embedding(channels[0], strides)]
    for number, (width, depth, count) in enumerate(stages):
        if number > 0:
            rows += _subsample(channels[number - 1], width)
        rows += depth * [SandwichRow(count, kernels, window=window)]
    return (*rows, PoolRow(), NormDenseRow(1000))


def _patch_embedding(channels: int, strides: tuple[int, ...]) -> Iterator[Row]:
    """Overlapping patches: 3x3 convolutions, ReLU after all but the last."""
    last = len(strides) - 1
    for number, stride in enumerate(strides):
        out = channels // 2 ** (last - number)
        yield ConvRow(3, out, RE if number < last else None, stride)


def _subsample(old: int, new: int) -> Iterator[Row]:
    """Half the side: an inverted residual that expands by four, between two interactions."""
    yield InteractionRow()
    yield BneckRow(3, 4 * old, new, YES, RE, 2)
    yield InteractionRow()


def _spec(rows: tuple[Row, ...], resolution: int, source: str) -> NetworkSpec:
    return NetworkSpec(
        family="efficientvit",
        rows=rows,
        source=source,
        gate="sigmoid",
        bn_eps=1e-5,
        bn_momentum=0.1,
        dropout=0.0,
        output_stride=64,
        initial="torch",
        resolution=resolution,
        any_size=False,
    )


def _paper(*table: object) -> NetworkSpec:
    return _spec(efficientvit(*table), 224, "arXiv 2305.07027, Table 1, and the official code")


_MINI = efficientvit(
    (32, 64, 96), (1, 2, 3), (2, 2, 2), _WIDE, window=6, strides=(2, 1, 2)
)  # windows of 12, 6 and 3 pixels need no filling up


def _mini(**changes: str) -> NetworkSpec:
    """Ours, for 48 pixels: the same blocks on maps of 12, 6 and 3 pixels."""
    rows = feed_heads(_MINI, **changes) if changes else _MINI
    return replace(
        _spec(rows, 48, "ours: EfficientViT's blocks for images of 48 pixels"), output_stride=16
    )


MODELS = {
    # channels          blocks     heads      kernels
    "efficientvit_m0": _paper((64, 128, 192), (1, 2, 3), (4, 4, 4), _WIDE),
    "efficientvit_m1": _paper((128, 144, 192), (1, 2, 3), (2, 3, 3), _MIXED),
    "efficientvit_m2": _paper((128, 192, 224), (1, 2, 3), (4, 3, 2), _MIXED),
    "efficientvit_m3": _paper((128, 240, 320), (1, 2, 3), (4, 3, 4), _WIDE),
    "efficientvit_m4": _paper((128, 256, 384), (1, 2, 3), (4, 4, 4), _MIXED),
    "efficientvit_m5": _paper((192, 288, 384), (1, 3, 4), (3, 3, 4), _MIXED),
    "efficientvit_mini": _mini(),
    "efficientvit_mini_split": _mini(feed="split"),  # no cascade
    "efficientvit_mini_full": _mini(feed="full"),  # every head reads all channels
}
