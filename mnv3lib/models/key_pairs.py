"""Pieces of key layouts: pairs of (our module path, another library's), see the layouts."""

from collections.abc import Iterator

__all__ = ["Pairs", "unit"]

Pairs = Iterator[tuple[str, str]]
"""Module paths; below such a pair the tensors have the same names."""


def unit(ours: str, conv: str, norm: str) -> Pairs:
    """The two pairs of a :class:`mnv3lib.ops.ConvNormAct`.

    Args:
        ours: Path of the unit here.
        conv: Path of the convolution there.
        norm: Path of the norm there.
    """
    yield f"{ours}.conv", conv
    yield f"{ours}.norm", norm
