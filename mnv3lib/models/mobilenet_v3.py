"""MobileNetV3-Large and -Small, and the variants that the paper and its code name (chapter 5).

Source: arXiv 1905.02244, final version, Tables 1 and 2. Table 2 prints a squeeze-and-excite
tick on the last convolution of Small that neither its parameter count nor any code has; it is
left out here (errata page).
"""

from dataclasses import replace
from typing import Literal

from mnv3lib.models.rows import (
    HS,
    RE,
    BneckRow,
    ConvRow,
    DenseRow,
    NetworkSpec,
    PoolRow,
    Row,
)

__all__ = [
    "MOBILENET_V3_LARGE",
    "MOBILENET_V3_SMALL",
    "MODELS",
    "Tail",
    "minimalistic",
    "place_hard_swish",
    "reduce_tail",
]

Tail = Literal["full", "dagger", "rf2"]
YES, NO = True, False

# fmt: off
MOBILENET_V3_LARGE = NetworkSpec(
    family="mobilenet_v3",
    source="arXiv 1905.02244 (final version), Table 1",
    rows=(
        #        k  exp  out  SE   NL  s    input
        ConvRow( 3,       16,      HS, 2),  # 224 x 224 x 3
        BneckRow(3,  16,  16, NO,  RE, 1),  # 112 x 112 x 16
        BneckRow(3,  64,  24, NO,  RE, 2),  # 112 x 112 x 16
        BneckRow(3,  72,  24, NO,  RE, 1),  # 56 x 56 x 24
        BneckRow(5,  72,  40, YES, RE, 2),  # 56 x 56 x 24
        BneckRow(5, 120,  40, YES, RE, 1),  # 28 x 28 x 40
        BneckRow(5, 120,  40, YES, RE, 1),  # 28 x 28 x 40
        BneckRow(3, 240,  80, NO,  HS, 2),  # 28 x 28 x 40
        BneckRow(3, 200,  80, NO,  HS, 1),  # 14 x 14 x 80
        BneckRow(3, 184,  80, NO,  HS, 1),  # 14 x 14 x 80
        BneckRow(3, 184,  80, NO,  HS, 1),  # 14 x 14 x 80
        BneckRow(3, 480, 112, YES, HS, 1),  # 14 x 14 x 80
        BneckRow(3, 672, 112, YES, HS, 1),  # 14 x 14 x 112
        BneckRow(5, 672, 160, YES, HS, 2),  # 14 x 14 x 112
        BneckRow(5, 960, 160, YES, HS, 1),  # 7 x 7 x 160
        BneckRow(5, 960, 160, YES, HS, 1),  # 7 x 7 x 160
        ConvRow( 1,      960,      HS, 1),  # 7 x 7 x 160
        PoolRow(),                          # 7 x 7 x 960
        DenseRow(1280, HS),                 # 1 x 1 x 960
        DenseRow(1000),                     # 1 x 1 x 1280
    ),
)

MOBILENET_V3_SMALL = NetworkSpec(
    family="mobilenet_v3",
    source="arXiv 1905.02244 (final version), Table 2",
    rows=(
        #        k  exp  out  SE   NL  s    input
        ConvRow( 3,       16,      HS, 2),  # 224 x 224 x 3
        BneckRow(3,  16,  16, YES, RE, 2),  # 112 x 112 x 16
        BneckRow(3,  72,  24, NO,  RE, 2),  # 56 x 56 x 16
        BneckRow(3,  88,  24, NO,  RE, 1),  # 28 x 28 x 24
        BneckRow(5,  96,  40, YES, HS, 2),  # 28 x 28 x 24
        BneckRow(5, 240,  40, YES, HS, 1),  # 14 x 14 x 40
        BneckRow(5, 240,  40, YES, HS, 1),  # 14 x 14 x 40
        BneckRow(5, 120,  48, YES, HS, 1),  # 14 x 14 x 40
        BneckRow(5, 144,  48, YES, HS, 1),  # 14 x 14 x 48
        BneckRow(5, 288,  96, YES, HS, 2),  # 14 x 14 x 48
        BneckRow(5, 576,  96, YES, HS, 1),  # 7 x 7 x 96
        BneckRow(5, 576,  96, YES, HS, 1),  # 7 x 7 x 96
        ConvRow( 1,      576,      HS, 1),  # 7 x 7 x 96
        PoolRow(),                          # 7 x 7 x 576
        DenseRow(1024, HS),                 # 1 x 1 x 576
        DenseRow(1000),                     # 1 x 1 x 1024
    ),
)
# fmt: on


def place_hard_swish(rows: tuple[Row, ...], first_channels: int | None) -> tuple[Row, ...]:
    """Moves the border between ReLU and hard swish, as Table 5 of the paper does.

    Args:
        rows: A MobileNetV3 table.
        first_channels: N of the paper's '@N': blocks with at least that many output channels
            use hard swish, as do stem, last convolution and head. None puts ReLU everywhere.
            Large is '@80'; '@16' is hard swish everywhere.

    Returns:
        The table with the new activations; parameters and MACs stay as they were.
    """

    def act(row: Row) -> str | None:
        if first_channels is None:
            return RE
        return HS if not isinstance(row, BneckRow) or row.out >= first_channels else RE

    return tuple(replace(row, act=act(row)) if getattr(row, "act", None) else row for row in rows)


def minimalistic(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """The variant for hardware without the newer parts: no SE, ReLU only, 3x3 kernels only.

    Source: slim's README of MobileNetV3.
    """
    plain = place_hard_swish(rows, None)
    return tuple(
        replace(row, kernel=3, se=False) if isinstance(row, BneckRow) else row for row in plain
    )


def reduce_tail(rows: tuple[Row, ...], tail: Tail) -> tuple[Row, ...]:
    """Halves the outputs of the last three blocks and of the last convolution.

    For detection (section 6.3, 'dagger') the map that the first of the three expands to is a
    feature map of its own and keeps its channels; for segmentation (section 6.4, 'RF2') that
    expansion is halved too. The expansions of the other two follow their halved inputs.

    Args:
        rows: A MobileNetV3 table.
        tail: ``"full"`` changes nothing; ``"dagger"``; ``"rf2"``.

    Raises:
        ValueError: Unknown tail.
    """
    if tail not in ("full", "dagger", "rf2"):
        raise ValueError(f"unknown tail {tail!r}; choose 'full', 'dagger' or 'rf2'")
    if tail == "full":
        return rows
    blocks = [index for index, row in enumerate(rows) if isinstance(row, BneckRow)][-3:]
    last_conv = blocks[-1] + 1
    halved = list(rows)
    for index in (*blocks, last_conv):
        halved[index] = replace(halved[index], out=halved[index].out // 2)
    for index in blocks if tail == "rf2" else blocks[1:]:
        halved[index] = replace(halved[index], exp=halved[index].exp // 2)
    return tuple(halved)


def _minimalistic_spec(spec: NetworkSpec) -> NetworkSpec:
    return replace(spec, rows=minimalistic(spec.rows), source=f"{spec.source}, slim's minimalistic")


MODELS = {
    "mobilenet_v3_large": MOBILENET_V3_LARGE,
    "mobilenet_v3_small": MOBILENET_V3_SMALL,
    "mobilenet_v3_large_minimalistic": _minimalistic_spec(MOBILENET_V3_LARGE),
    "mobilenet_v3_small_minimalistic": _minimalistic_spec(MOBILENET_V3_SMALL),
}
