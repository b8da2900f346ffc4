"""Which widths of a table can shrink, and the table with one of them shrunk (chapter 9).

MobileNetV3 (arXiv 1905.02244, final version, section 4.2) names two kinds of proposals:

* an *expansion*: the middle of one block ('exp size'), if it has an expansion convolution;
* a *bottleneck*: the output of all blocks that share it, because they are tied by additions.

Numbers that must stay equal are one :class:`Group` and shrink together, so that every shortcut
keeps its shape. The output of the stem belongs to a group where the first block adds it
to its own (16 -> 16 in MobileNetV3-Large). The middle of a block without expansion convolution is
its input, and follows it. The pointwise outputs of MobileNetV1 are groups of the second kind.
Nothing else shrinks: neither a stem on its own, nor the last convolution, nor dense layers.

What a group does not hold stays: where the input of a block shrinks, the count of its expansion
does not. The squeezed layer of squeeze-and-excite has no number in the table; it follows by rule
from the expansion or the input. And no width may change what a network is built of. A block
whose expansion came to equal its input would lose its expansion convolution, one whose output did
would gain a shortcut; such widths are left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from mnv3lib.models import NetworkSpec
from mnv3lib.models.rows import BneckRow, PoolRow, SeparableRow
from mnv3lib.search.row_places import RowPlace, row_places

__all__ = [
    "Group",
    "WidthGrid",
    "keeps_structure",
    "shrink",
    "width_grid",
    "width_groups",
    "with_width",
]

WidthGrid = tuple[tuple[int, ...], ...]
"""For each group of a table the widths that it may take, from the widest."""

_IMAGE = 0  # the first map: nobody's to shrink
_ADAPTED = ", with widths adapted"


@dataclass(frozen=True)
class Group:
    """Numbers of a table that are one width.

    Attributes:
        index: Place among the groups of the table. Shrinking changes no group but in its width,
            so the index means the same from the first step to the last.
        kind: ``"expansion"`` or ``"bottleneck"``.
        cells: The numbers, as (row, column), column being ``"exp"`` or ``"out"``.
        width: Their common value, in channels.
    """

    index: int
    kind: Literal["expansion", "bottleneck"]
    cells: tuple[tuple[int, str], ...]
    width: int


def width_groups(spec: NetworkSpec) -> tuple[Group, ...]:
    """Finds the groups of a table, in the order of their first rows.

    Args:
        spec: A table.

    Returns:
        Expansions and bottlenecks; a block's expansion comes before its output.

    Raises:
        ValueError: The table has other rows than the papers'.

    Example:
        >>> from mnv3lib.models import model_spec
        >>> for group in width_groups(model_spec("mobilenet_v3_large"))[:4]:
        ...     print(group.kind, group.width, group.cells)
        bottleneck 16 ((0, 'out'), (1, 'out'), (1, 'exp'))
        expansion 64 ((2, 'exp'),)
        bottleneck 24 ((2, 'out'), (3, 'out'))
        expansion 72 ((3, 'exp'),)
    """
    places = list(row_places(spec))
    found = [*_bottlenecks(spec, places)]
    found += [((i, "exp"),) for i, place in enumerate(places) if place.expands]
    found.sort(key=lambda cells: (cells[0][0], cells[0][1] == "out"))
    return tuple(
        Group(
            index,
            "expansion" if cells[0][1] == "exp" else "bottleneck",
            cells,
            width=getattr(spec.rows[cells[0][0]], cells[0][1]),
        )
        for index, cells in enumerate(found)
    )


def width_grid(spec: NetworkSpec, divisor: int = 8, smallest_share: float = 0.0) -> WidthGrid:
    """The widths that adapting a table may use.

    Args:
        spec: The table to start from.
        divisor: Widths are multiples of this, and at least as large.
        smallest_share: No width falls below this share of the one in `spec`. Above 0 it keeps
            down the number of rows that a latency table needs.

    Returns:
        For each group the multiples below its width, from the widest.

    Raises:
        ValueError: A divisor below 1, or a share outside [0, 1).
    """
    if divisor < 1:
        raise ValueError(f"divisor must be at least 1, got {divisor}; the usual choice is 8")
    if not 0 <= smallest_share < 1:
        raise ValueError(f"smallest_share must be at least 0 and below 1, got {smallest_share}")

    def widths(start: int) -> Iterator[int]:
        widest = (start - 1) // divisor * divisor
        return (w for w in range(widest, 0, -divisor) if w >= smallest_share * start)

    return tuple(tuple(widths(group.width)) for group in width_groups(spec))


def shrink(spec: NetworkSpec, group: Group, width: int) -> NetworkSpec:
    """The table with one group at a smaller width.

    Args:
        spec: A table.
        group: One of its groups.
        width: The new width, in channels.

    Raises:
        ValueError: The width is not below the present one or below 1, the group is of another
            table, or a block would lose its expansion convolution or gain a shortcut.
    """
    if group not in width_groups(spec):
        raise ValueError(f"{group} is none of the groups of this table: take them from it anew")
    if not 1 <= width < group.width:
        raise ValueError(
            f"a {group.kind} of {group.width} channels can shrink to 1 to {group.width - 1}, "
            f"not to {width}"
        )
    shrunk = with_width(spec, group, width)
    if not keeps_structure(spec, shrunk):
        raise ValueError(
            f"at {width} channels, group {group.index} would equal a width beside it: a block "
            "would lose its expansion convolution or gain a shortcut; choose another width"
        )
    return shrunk


def with_width(spec: NetworkSpec, group: Group, width: int) -> NetworkSpec:
    """The table with another number in the cells of a group, whatever comes of it."""
    rows = list(spec.rows)
    for index, column in group.cells:
        rows[index] = replace(rows[index], **{column: width})
    source = spec.source.removesuffix(_ADAPTED) + _ADAPTED
    return replace(spec, rows=tuple(rows), source=source)


def keeps_structure(spec: NetworkSpec, other: NetworkSpec) -> bool:
    """Whether the same blocks have an expansion convolution and the same have a shortcut."""
    pairs = zip(row_places(spec), row_places(other), strict=True)
    return all(a.expands == b.expands and a.adds == b.adds for a, b in pairs)


def _bottlenecks(
    spec: NetworkSpec, places: list[RowPlace]
) -> Iterator[tuple[tuple[int, str], ...]]:
    """Yields the cells of each bottleneck: outputs tied by additions, and middles that follow."""
    maps = _maps(places)
    output = maps[-1]
    for label in sorted({*maps} - {_IMAGE, output}):
        outs = [
            i for i in range(len(places)) if maps[i + 1] == label and hasattr(spec.rows[i], "out")
        ]
        if any(isinstance(spec.rows[i], BneckRow | SeparableRow) for i in outs):
            middles = [
                i
                for i, place in enumerate(places)
                if maps[i] == label and isinstance(place.row, BneckRow) and not place.expands
            ]
            yield (*((i, "out") for i in outs), *((i, "exp") for i in middles))


def _maps(places: list[RowPlace]) -> list[int]:
    """A label for the image and for the output of each row; maps of one width share theirs."""
    labels = [_IMAGE]
    for index, place in enumerate(places, start=1):
        same = place.adds or isinstance(place.row, PoolRow)
        labels.append(labels[-1] if same else index)
    return labels
