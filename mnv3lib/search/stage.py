"""A stage of a searched network: what it may choose, and what it chose (chapter 8).

The six choices are those of MnasNet's factorised hierarchical space, arXiv 1807.11626, section
4.1. The expansion of an inverted residual belongs to its operator, as in the paper's figures
(MBConv3, MBConv6): an operator without a middle has none to choose.
"""

import re
from dataclasses import dataclass

__all__ = ["CHOICES", "Point", "Stage", "StageOptions", "expansion_of"]

CHOICES = ("op", "kernel", "se", "skip", "filters", "layers")
SKIPS = ("none", "identity", "pool")


@dataclass(frozen=True)
class Stage:
    """What a point chooses for one stage; all layers of the stage are alike.

    Attributes:
        op: ``"conv"``, ``"dwconv"`` (depthwise separable) or ``"mbconvT"``, an inverted residual
            that expands its input T times.
        kernel: Side of the kernel.
        se: Whether layers have squeeze-and-excite.
        skip: What is added to a layer's output where the shapes agree: ``"identity"`` (the
            input), ``"pool"`` (its 3x3 average) or ``"none"``.
        filters: Output channels.
        layers: Number of layers.
    """

    op: str
    kernel: int
    se: bool
    skip: str
    filters: int
    layers: int


Point = tuple[Stage, ...]


@dataclass(frozen=True)
class StageOptions:
    """What a stage may choose, field by field as in :class:`Stage`, and what is fixed.

    Attributes:
        op: Options of the operator.
        kernel: Options of the kernel's side.
        se: Options of squeeze-and-excite.
        skip: Options of the shortcut.
        filters: Options of the output channels.
        layers: Options of the number of layers, each at least 1.
        stride: Stride of the first layer; the others have 1.
        act: Activation.

    Raises:
        ValueError: A choice without options or with one option twice, an unknown operator or
            shortcut, or a stage that could have no layer.
    """

    op: tuple[str, ...]
    kernel: tuple[int, ...]
    se: tuple[bool, ...]
    skip: tuple[str, ...]
    filters: tuple[int, ...]
    layers: tuple[int, ...]
    stride: int = 1
    act: str = "relu"

    def __post_init__(self) -> None:
        for name in CHOICES:
            options = getattr(self, name)
            if not options or len(set(options)) < len(options):
                raise ValueError(f"{name} needs different options, at least one; got {options}")
        for op in self.op:
            expansion_of(op)
        if unknown := sorted(set(self.skip) - set(SKIPS)):
            raise ValueError(f"unknown skip {unknown[0]!r}; choose from {', '.join(SKIPS)}")
        if min(self.layers) < 1 or min(self.filters) < 1:
            raise ValueError(
                f"a stage needs a layer and a channel: layers {self.layers}, filters {self.filters}"
            )


def expansion_of(op: str) -> int | None:
    """How often an operator expands its input.

    Args:
        op: Name of an operator, as in :class:`Stage`.

    Returns:
        T of ``"mbconvT"``, 1 for ``"dwconv"``, None for ``"conv"``, which has no middle.

    Raises:
        ValueError: Unknown operator.
    """
    if op in ("conv", "dwconv"):
        return None if op == "conv" else 1
    matched = re.fullmatch(r"mbconv([1-9]\d*)", op)
    if matched is None:
        raise ValueError(f"unknown op {op!r}; choose 'conv', 'dwconv' or 'mbconv' and a number")
    return int(matched[1])
