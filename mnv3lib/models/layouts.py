"""What other libraries call our modules: torchvision's and timm's key layouts.

A layout is a list of (our module path, their module path); below such a pair the tensors have
the same names (``weight``, ``bias``, ``running_mean``, ...). Checkpoints of both libraries load
through it and are written by it, see :mod:`mnv3lib.models.weights`.

Networks that are no plain table, such as those of :mod:`mnv3lib.heads`, bring their own pairs in a
method ``key_pairs`` (:class:`BringsKeys`) and build them from the pieces here.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import nn

from mnv3lib.models.attention_layouts import timm_efficientvit, timm_mobilevit
from mnv3lib.models.builder import Network
from mnv3lib.models.key_pairs import Pairs, unit
from mnv3lib.models.rows import BneckRow, ConvRow, DenseRow, SeparableRow

__all__ = ["LAYOUTS", "BringsKeys", "Pairs", "layout_pairs", "numbered_block", "unit"]


@runtime_checkable
class BringsKeys(Protocol):
    """A network that knows itself what another library calls its modules."""

    def key_pairs(self, layout: str) -> dict[str, str]:
        """Maps our module paths to theirs, as :func:`layout_pairs` does; ValueError if it has none.

        Args:
            layout: ``"torchvision"`` or ``"timm"``.
        """


def _parts(block: nn.Module) -> list[str]:
    """The parts of an inverted residual that exist, in the order of the data flow."""
    names = ("expand", "depthwise", "se", "project")
    return [name for name in names if getattr(block, name) is not None]


def numbered_block(ours: str, block: nn.Module, theirs: str) -> Pairs:
    """The newer blocks of torchvision: ``block.<part>.0`` is the conv, ``.1`` the norm.

    Args:
        ours: Path of the block here.
        block: The :class:`mnv3lib.ops.InvertedResidual` itself.
        theirs: Path of what holds the numbered parts there, such as ``features.1.block``.
    """
    for number, part in enumerate(_parts(block)):
        if part == "se":
            yield f"{ours}.se.reduce", f"{theirs}.{number}.fc1"
            yield f"{ours}.se.expand", f"{theirs}.{number}.fc2"
        else:
            yield from unit(f"{ours}.{part}", f"{theirs}.{number}.0", f"{theirs}.{number}.1")


def _torchvision_v2_block(ours: str, block: nn.Module, theirs: str) -> Pairs:
    """MobileNetV2 in torchvision: the projection is not wrapped, its norm counts as a part."""
    *inner, last = _parts(block)
    for number, part in enumerate(inner):
        yield from unit(f"{ours}.{part}", f"{theirs}.{number}.0", f"{theirs}.{number}.1")
    yield from unit(f"{ours}.{last}", f"{theirs}.{len(inner)}", f"{theirs}.{len(inner) + 1}")


def _stage_positions(network: Network) -> list[tuple[int, int]]:
    """(stage, block in the stage) of every block, both from 0."""
    lengths = network.spec.stages
    return [(stage, block) for stage, length in enumerate(lengths) for block in range(length)]


def _torchvision_flat(block_name: str, block_pairs: Callable[..., Pairs], head: tuple) -> Callable:
    """MobileNets in torchvision: ``features.<row>``, then ``classifier.<position>``."""

    def pairs(network: Network) -> Pairs:
        dense = iter(head)
        for index, (row, module) in enumerate(zip(network.spec.rows, network.rows, strict=True)):
            ours, theirs = f"rows.{index}", f"features.{index}"
            if isinstance(row, ConvRow):
                yield from unit(ours, f"{theirs}.0", f"{theirs}.1")
            elif isinstance(row, BneckRow):
                yield from block_pairs(ours, module, f"{theirs}.{block_name}")
            elif isinstance(row, DenseRow):
                yield f"{ours}.linear", f"classifier.{next(dense)}"

    return pairs


def _torchvision_efficientnet(network: Network) -> Pairs:
    """EfficientNet in torchvision: ``features.<stage + 1>.<block>.block.<part>``."""
    positions = iter(_stage_positions(network))
    features = 0
    for index, (row, module) in enumerate(zip(network.spec.rows, network.rows, strict=True)):
        ours = f"rows.{index}"
        if isinstance(row, ConvRow):
            yield from unit(ours, f"features.{features}.0", f"features.{features}.1")
            features = len(network.spec.stages) + 1
        elif isinstance(row, BneckRow):
            stage, block = next(positions)
            yield from numbered_block(ours, module, f"features.{stage + 1}.{block}.block")
        elif isinstance(row, DenseRow):
            yield f"{ours}.linear", "classifier.1"


def _timm_block(ours: str, block: nn.Module, theirs: str) -> Pairs:
    """Blocks in timm: without expansion the projection is called ``conv_pw``."""
    parts = [part for part in _parts(block) if part != "se"]
    convs = ("conv_pw", "conv_dw", "conv_pwl") if len(parts) == 3 else ("conv_dw", "conv_pw")
    for number, (part, conv) in enumerate(zip(parts, convs, strict=True), start=1):
        yield from unit(f"{ours}.{part}", f"{theirs}.{conv}", f"{theirs}.bn{number}")
    if block.se is not None:
        yield f"{ours}.se.reduce", f"{theirs}.se.conv_reduce"
        yield f"{ours}.se.expand", f"{theirs}.se.conv_expand"


def _timm(network: Network) -> Pairs:
    """Networks in timm: stem, ``blocks.<stage>.<block>``, last convolution, classifier.

    Where a dense row stands before the classifier, ``conv_head`` is that one, and the last
    convolution is a stage.
    """
    positions, stage = iter(_stage_positions(network)), len(network.spec.stages)
    last_conv = ("conv_head", "bn2")
    if sum(isinstance(row, DenseRow) for row in network.spec.rows) > 1:
        last_conv = (f"blocks.{stage}.0.conv", f"blocks.{stage}.0.bn1")
    final = len(network.spec.rows) - 1
    for index, (row, module) in enumerate(zip(network.spec.rows, network.rows, strict=True)):
        ours = f"rows.{index}"
        if isinstance(row, ConvRow):
            yield from unit(ours, *(("conv_stem", "bn1") if index == 0 else last_conv))
        elif isinstance(row, DenseRow):
            yield f"{ours}.linear", "classifier" if index == final else "conv_head"
        elif isinstance(row, BneckRow | SeparableRow):
            theirs = "blocks.{}.{}".format(*next(positions))
            if isinstance(row, BneckRow):
                yield from _timm_block(ours, module, theirs)
            else:
                yield from unit(f"{ours}.depthwise", f"{theirs}.conv_dw", f"{theirs}.bn1")
                yield from unit(f"{ours}.pointwise", f"{theirs}.conv_pw", f"{theirs}.bn2")


LAYOUTS: dict[str, dict[str, Callable[[Network], Pairs]]] = {
    "torchvision": {
        "mobilenet_v2": _torchvision_flat("conv", _torchvision_v2_block, head=(1,)),
        "mobilenet_v3": _torchvision_flat("block", numbered_block, head=(0, 3)),
        "efficientnet_b0": _torchvision_efficientnet,
    },
    "timm": {
        "mobilenet_v1": _timm,
        "mobilenet_v2": _timm,
        "mnasnet_a1": _timm,
        "efficientnet_b0": _timm,
        "mobilenet_v3": _timm,
        "tinynet": _timm,
        "efficientvit": timm_efficientvit,
        "mobilevit": timm_mobilevit,
    },
}


def layout_pairs(network: Network | BringsKeys, layout: str) -> dict[str, str]:
    """Maps our module paths to those of another library.

    Args:
        network: A network of ours; one that brings its own keys is asked for them.
        layout: ``"torchvision"`` or ``"timm"``.

    Raises:
        ValueError: Unknown layout, or that library has no such network.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}; choose one of {['mnv3lib', *LAYOUTS]}")
    if isinstance(network, BringsKeys):
        return network.key_pairs(layout)
    family = network.spec.family
    if family not in LAYOUTS[layout]:
        others = ["mnv3lib", *(name for name in LAYOUTS if family in LAYOUTS[name])]
        raise ValueError(f"{layout} has no key layout for {family}; choose one of {others}")
    return dict(LAYOUTS[layout][family](network))
