"""What one network changes against another, block by block, from their tables.

Blocks are compared where they stand: among those whose maps have the same stride, since only they
can take each other's place. Taught on the page of the lineage.
"""

from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest

from mnv3lib.models.rows import NetworkSpec, Row, with_input

__all__ = ["Step", "block_in_words", "compare_blocks"]

_SYMBOLS = {"relu": "RE", "hard_swish": "HS", "relu6": "R6", "swish": "SW"}


@dataclass(frozen=True)
class Step:
    """A line of a comparison.

    Attributes:
        stride: Pixels of the image for a pixel of the block's output, along one side.
        mark: ``"="`` the same, ``"≠"`` another block in its place, ``"+"`` only in the network,
            ``"−"`` only in what it is compared with.
        reference: The other's block in words; empty if it has none here.
        block: The network's own, likewise.
    """

    stride: int
    mark: str
    reference: str
    block: str


def block_in_words(row: Row, in_channels: int) -> str:
    """A row with its channels: ``bneck 5x5, 24 → 72 → 40, SE, RE, /2``.

    Args:
        row: Any kind of row before pooling.
        in_channels: Channels that enter it.
    """
    widths = [in_channels, getattr(row, "exp", None), getattr(row, "out", in_channels)]
    act, stride = getattr(row, "act", None), getattr(row, "stride", 1)
    parts = [
        row.operator,
        " → ".join(str(width) for width in widths if width is not None),
        "SE" if getattr(row, "se", False) else "",
        _SYMBOLS.get(act, act or ""),
        f"/{stride}" if stride > 1 else "",
    ]
    return ", ".join(part for part in parts if part)


def compare_blocks(spec: NetworkSpec, reference: NetworkSpec) -> list[Step]:
    """Sets the blocks of a network beside those of another one.

    Args:
        spec: The network.
        reference: What it is compared with, such as MobileNetV3-Large.

    Returns:
        A line for each block before pooling of either of them, from the image on.

    Example:
        >>> from mnv3lib.models import model_spec
        >>> large, one = model_spec("mobilenet_v3_large"), model_spec("skipblocknet_m")
        >>> [step.block for step in compare_blocks(one, large) if step.mark == "+"]
        ['skip 5x5 from row 1, 40 → 40, RE', 'skip 3x3 from row 1, 80 → 80, RE']
    """
    theirs, ours = _by_stride(reference), _by_stride(spec)
    return [
        step
        for stride in sorted({*theirs, *ours})
        for step in _at_stride(stride, theirs.get(stride, []), ours.get(stride, []))
    ]


def _by_stride(spec: NetworkSpec) -> dict[int, list[str]]:
    """The blocks in words, by the stride of their output."""
    found: dict[int, list[str]] = {}
    stride = 1
    for row, in_channels in with_input(spec.map_rows):
        stride *= getattr(row, "stride", 1)
        found.setdefault(stride, []).append(block_in_words(row, in_channels))
    return found


def _at_stride(stride: int, theirs: list[str], ours: list[str]) -> list[Step]:
    """Blocks of one stride, equal ones side by side and the others in order."""
    steps = []
    matches = SequenceMatcher(None, theirs, ours, autojunk=False).get_opcodes()
    for _, first, last, own_first, own_last in matches:
        pairs = zip_longest(theirs[first:last], ours[own_first:own_last], fillvalue="")
        steps += [Step(stride, _mark(*pair), *pair) for pair in pairs]
    return steps


def _mark(reference: str, block: str) -> str:
    if reference == block:
        return "="
    return "≠" if reference and block else "+" if block else "−"
