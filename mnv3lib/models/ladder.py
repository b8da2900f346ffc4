"""The path from MnasNet-A1 to MobileNetV3-Large, one change a step (chapter 5).

The paper tells the changes in sections 4 and 5; the order of the steps is ours.
Source: arXiv 1905.02244 (final version), sections 4.2, 5.1 and 5.3.
"""

from collections.abc import Iterator
from dataclasses import replace

from mnv3lib.models.mnasnet import MNASNET_A1
from mnv3lib.models.mobilenet_v3 import MOBILENET_V3_LARGE
from mnv3lib.models.rows import HS, RE, BneckRow, ConvRow, DenseRow, NetworkSpec, PoolRow, Row

__all__ = ["ladder"]


def _v3_expansions(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """NetAdapt's result: the expansions of the 24- and 80-channel stages shrink."""
    adapted = {24: iter((64, 72)), 80: iter((240, 200, 184, 184))}
    return tuple(
        replace(row, exp=next(adapted[row.out]))
        if isinstance(row, BneckRow) and row.out in adapted
        else row
        for row in rows
    )


def _efficient_last_stage(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Drops the 320-channel block and computes the 1280 features after pooling, on one pixel."""
    kept = rows[: max(i for i, row in enumerate(rows) if isinstance(row, BneckRow))]
    return (*kept, ConvRow(1, 960, RE), PoolRow(), DenseRow(1280, RE), DenseRow(1000))


def _stem_of_16(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Halves the stem; the first block, which does not widen, follows."""
    return (replace(rows[0], out=16, act=HS), replace(rows[1], exp=16), *rows[2:])


def ladder() -> Iterator[tuple[str, NetworkSpec]]:
    """Yields (what changed, the network after the change), from MnasNet-A1 to V3-Large.

    The last step brings squeeze-and-excite to a quarter of the expansion, and with it all that
    costs neither parameters nor MACs: the hard gate, and hard swish in the deep half.
    """
    spec = MNASNET_A1
    yield "MnasNet-A1", spec
    for label, change in (
        ("expansions found by NetAdapt", _v3_expansions),
        ("efficient last stage", _efficient_last_stage),
        ("stem of 16 channels", _stem_of_16),
    ):
        spec = replace(spec, rows=change(spec.rows), stages=())
        yield label, spec
    yield "SE at 1/4 of the expansion: V3-Large", MOBILENET_V3_LARGE
