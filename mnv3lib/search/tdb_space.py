"""The spaces of MobileDets: inverted residuals alone, with fused ones, and with Tucker blocks too.

The third is called TDB, for tensor-decomposition-based. Each contains the one before. Source: arXiv
2004.14525, section 4. The paper's lists of options could not be checked; those here are what its
released networks use: kernels 3 and 5 and expansions 4 and 8 (inverted and fused), ratios of 0.25
and 0.75 (Tucker, kernel 3). Two things are inferred from these networks: the first block may have
an inverted residual that does not expand, and widths are multiples (0.5 to 2) of those of
MobileNetEdgeTPU, rounded to eight. The networks for CPU, EdgeTPU and DSP are points of this space;
the one for GPU has widths that it does not offer.

The small spaces are ours, for searches that take minutes: fewer layers, one width a block, four
strides, for images of about 96 pixels. Taught in the chapter on MobileDets.
"""

from collections.abc import Iterator
from itertools import product

from mnv3lib.models.layer_kinds import Fused, Inverted, LayerKind, Tucker
from mnv3lib.models.mobiledet import mobiledet_spec
from mnv3lib.names import nearest_names
from mnv3lib.ops import nearest_multiple
from mnv3lib.search.layer_space import BlockOptions, LayerSpace

__all__ = ["KINDS", "MULTIPLIERS", "find_layer_space", "full_space", "small_space"]

_INVERTED = tuple(Inverted(k, e) for k, e in product((3, 5), (4, 8)))
_FUSED = tuple(Fused(k, e) for k, e in product((3, 5), (4, 8)))
_TUCKER = tuple(Tucker(a, b) for a, b in product((0.25, 0.75), (0.25, 0.75)))
_UNEXPANDED = Inverted(3, 1)

KINDS: dict[str, tuple[LayerKind, ...]] = {
    "ibn": _INVERTED,
    "ibn_fused": (*_INVERTED, *_FUSED),
    "tdb": (*_INVERTED, *_FUSED, *_TUCKER),
}
"""What a layer may be, by the name of the space."""

MULTIPLIERS = (0.5, 0.625, 0.75, 1.0, 1.25, 1.5, 2.0)
"""Of the base widths, in the full spaces; the list is that of TuNAS's code."""

# Base width, stride and layers of the blocks behind the stem, whose base width is 32.
_FULL = ((16, 1, 1), (32, 2, 4), (48, 2, 4), (96, 2, 4), (96, 1, 4), (160, 2, 4), (192, 1, 1))
_SMALL = ((8, 1, 1), (16, 2, 2), (32, 2, 2), (64, 2, 2))
_SMALL_MULTIPLIERS = (0.5, 1.0, 1.5)


def full_space(kinds: str = "tdb", *, stem: int = 32, **options: object) -> LayerSpace:
    """The space at full size, for images of 320 pixels.

    Args:
        kinds: A key of :data:`KINDS`.
        stem: Channels of the first convolution.
        **options: ``act`` and ``se``; ReLU6 and no squeeze-and-excite when not given.

    Raises:
        ValueError: Unknown kinds.
    """
    return _space(kinds, kinds, _FULL, MULTIPLIERS, stem=stem, **options)


def small_space(kinds: str = "tdb", *, widths: bool = False) -> LayerSpace:
    """A space for minutes, for images of about 96 pixels.

    Args:
        kinds: A key of :data:`KINDS`.
        widths: Whether blocks also choose their width, among three.

    Raises:
        ValueError: Unknown kinds.
    """
    multipliers = _SMALL_MULTIPLIERS if widths else (1.0,)
    name = f"{kinds}_small{'_widths' if widths else ''}"
    return _space(name, kinds, _SMALL, multipliers, stem=16)


def find_layer_space(name: str) -> LayerSpace:
    """A space by name, such as ``"tdb"``, ``"ibn_small"`` or ``"tdb_small_widths"``.

    Raises:
        ValueError: Unknown name; the nearest ones are named.
    """
    spaces = {space.name: space for space in _all_spaces()}
    if name not in spaces:
        raise ValueError(f"unknown space {name!r}; did you mean {nearest_names(name, spaces)}?")
    return spaces[name]


def _all_spaces() -> Iterator[LayerSpace]:
    for kinds in KINDS:
        yield full_space(kinds)
        yield small_space(kinds)
        yield small_space(kinds, widths=True)


def _space(
    name: str,
    kinds: str,
    blocks: tuple[tuple[int, int, int], ...],
    multipliers: tuple[float, ...],
    *,
    stem: int,
    act: str = "relu6",
    se: bool = False,
) -> LayerSpace:
    if kinds not in KINDS:
        raise ValueError(f"unknown kinds {kinds!r}; choose one of {', '.join(KINDS)}")
    base = mobiledet_spec((), stem=stem, act=act, se=se, source="arXiv 2004.14525, section 4")
    options = tuple(
        _block(*block, KINDS[kinds], multipliers, top=index == 0)
        for index, block in enumerate(blocks)
    )
    return LayerSpace(name, base.source, base, 1, 2, options, act, se)


def _block(
    width: int,
    stride: int,
    layers: int,
    kinds: tuple[LayerKind, ...],
    multipliers: tuple[float, ...],
    *,
    top: bool,
) -> BlockOptions:
    # Multiples of small widths may round to the same; each is offered once.
    filters = tuple(dict.fromkeys(nearest_multiple(m * width) for m in multipliers))
    first = (_UNEXPANDED, *kinds) if top else kinds
    return BlockOptions(filters, stride, first, (*kinds, None), layers)
