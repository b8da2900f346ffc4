"""Maps inside a network, for heads that need more than its last one (chapters 10 and 11).

A detector looks at what the first block of stride 32 *expands* to, a segmentation head at what a
block's depthwise convolution returns: both lie inside a row of the table. A :class:`Tap` names such
a place, and :func:`tapped_maps` runs the rows and collects what passes there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from mnv3lib.models.running import run_rows
from mnv3lib.ops import ResidualBlock

__all__ = ["Tap", "tapped_maps"]


@dataclass(frozen=True)
class Tap:
    """A place in a network.

    Attributes:
        row: Line of the table, from 0.
        part: Name of a part of that row's block, before the input is added, such as ``"expand"``,
            ``"depthwise"``, ``"se"`` or ``"project"`` of an inverted residual; None for the row's
            output.
    """

    row: int
    part: str | None = None


def tapped_maps(rows: nn.Sequential, x: Tensor, taps: Sequence[Tap]) -> list[Tensor]:
    """Runs rows up to the last one that is tapped.

    Args:
        rows: The modules of a table, such as ``network.rows``.
        x: What enters the first of them, (N, C, H, W).
        taps: Places, in any order.

    Returns:
        One map for each tap, in the order of the taps.

    Raises:
        ValueError: A row or a part that the network does not have.
    """
    _check(rows, taps)
    maps: dict[Tap, Tensor] = {}

    def call(index: int, row: nn.Module, *inputs: Tensor) -> Tensor:
        inside = [tap.part for tap in taps if tap.row == index and tap.part is not None]
        if not inside:
            return row(*inputs)
        y, found = _run_parts(row, *inputs, wanted=inside)
        maps.update({Tap(index, part): value for part, value in found.items()})
        return y

    used = rows[: max(tap.row for tap in taps) + 1]
    for index, y in enumerate(run_rows(used, x, call=call)):
        if Tap(index) in taps:
            maps[Tap(index)] = y
    return [maps[tap] for tap in taps]


def _run_parts(
    block: ResidualBlock, x: Tensor, *, wanted: Sequence[str]
) -> tuple[Tensor, dict[str, Tensor]]:
    """The block's output, and the outputs of some of its parts."""
    found = {}
    y = x
    for name, part in block.named_children():
        y = part(y)
        if name in wanted:
            found[name] = y
    return (x + y if block.use_residual else y), found


def _check(rows: nn.Sequential, taps: Sequence[Tap]) -> None:
    for tap in taps:
        if not 0 <= tap.row < len(rows):
            raise ValueError(f"{tap} is outside of the table's rows 0 to {len(rows) - 1}")
        parts = [name for name, _ in rows[tap.row].named_children()]
        is_block = isinstance(rows[tap.row], ResidualBlock)
        if tap.part is not None and (not is_block or tap.part not in parts):
            known = f"parts {', '.join(parts)}" if is_block else "no parts to tap"
            raise ValueError(f"row {tap.row} has no part {tap.part!r}: it has {known}")
