"""TinyNet-A to -E: EfficientNet-B0 made small by resolution, depth and width.

Three numbers make each network; blocks, kernels, strides and expansions stay EfficientNet-B0's.
Depths are rounded to whole blocks and widths to multiples of eight, so that nearby numbers often
make the same network: B's depth factor of 1.1 changes nothing. How the numbers are chosen is in
:mod:`mnv3lib.search.tiny_formula`.

Source: arXiv 2010.14819 and the authors' code (``tinynet_pytorch``), which builds on timm 0.1.20.
"""

from dataclasses import dataclass, replace

from mnv3lib.models.efficientnet import EFFICIENTNET_B0, STAGES
from mnv3lib.models.rows import ConvRow, DenseRow, NetworkSpec, PoolRow
from mnv3lib.models.stages import StageRow, unroll
from mnv3lib.ops import make_divisible

__all__ = ["B0", "MODELS", "TWISTS", "Base", "Twist", "twisted"]


@dataclass(frozen=True)
class Twist:
    """How far a network is turned away from its base along three axes.

    Attributes:
        resolution: Factor of the image's side.
        width: Factor of the stages' channels.
        depth: Factor of the stages' blocks.

    Raises:
        ValueError: A factor that is not above 0.
    """

    resolution: float = 1.0
    width: float = 1.0
    depth: float = 1.0

    def __post_init__(self) -> None:
        for axis, factor in vars(self).items():
            if not factor > 0:
                raise ValueError(f"the {axis} of a twist must be above 0, got {factor}")


@dataclass(frozen=True)
class Base:
    """A network at the twist (1, 1, 1).

    Attributes:
        spec: Conventions, stem, head and classifier; of its rows the first and the last three
            are used.
        stages: What is between them, a line a stage.
        divisor: Channels are multiples of it.
    """

    spec: NetworkSpec
    stages: tuple[StageRow, ...]
    divisor: int = 8

    def repeats(self, depth: float) -> tuple[int, ...]:
        """Blocks of each stage at a depth.

        Rounded as the authors' code does (to the even number when halfway), and at least one;
        EfficientNet's larger models round up instead.

        Args:
            depth: Factor of the blocks.
        """
        return tuple(max(1, round(stage.n * depth)) for stage in self.stages)

    def channels(self, width: float) -> tuple[int, ...]:
        """Output channels of each stage at a width.

        Args:
            width: Factor of the channels.
        """
        return tuple(make_divisible(stage.c * width, self.divisor) for stage in self.stages)


B0 = Base(
    replace(
        EFFICIENTNET_B0,
        resolution=224,
        bn_eps=1e-5,  # PyTorch's own numbers, in the authors' code; EfficientNet has TensorFlow's
        bn_momentum=0.1,
        initial="efficientnet",
    ),
    STAGES,
)
"""EfficientNet-B0 as TinyNets start from it."""


def twisted(twist: Twist, base: Base = B0, *, family: str = "tinynet") -> NetworkSpec:
    """The table of a twisted network.

    The stem keeps its channels and the head never gets fewer; both are a large part of a small
    network, which is why the ideal law of cost, depth * width^2 * resolution^2, misses it.

    Args:
        twist: The three factors.
        base: What is twisted.
        family: Name of the table's family.

    Returns:
        A table, whose resolution is the base's times the factor, rounded down.

    Example:
        >>> twisted(Twist(0.475, 0.51, 0.6)).resolution
        106
    """
    stem, *_, head, _, classifier = base.spec.rows
    widths = base.channels(twist.width)
    repeats = base.repeats(twist.depth)
    lines = zip(base.stages, widths, repeats, strict=True)
    stages = [replace(stage, c=c, n=n) for stage, c, n in lines]
    wide = make_divisible(head.out * max(1.0, twist.width), base.divisor)
    return replace(
        base.spec,
        family=family,
        source="arXiv 2010.14819 and the authors' code",
        rows=(
            stem,
            *unroll(stem.out, stages),
            ConvRow(head.kernel, wide, head.act),
            PoolRow(),
            DenseRow(classifier.out),
        ),
        stages=repeats,
        resolution=int(base.spec.resolution * twist.resolution),
    )


TWISTS = {
    "tinynet_a": Twist(resolution=0.86, width=1.0, depth=1.2),
    "tinynet_b": Twist(resolution=0.84, width=0.75, depth=1.1),
    "tinynet_c": Twist(resolution=0.825, width=0.54, depth=0.85),
    "tinynet_d": Twist(resolution=0.68, width=0.54, depth=0.695),
    "tinynet_e": Twist(resolution=0.475, width=0.51, depth=0.60),
}
"""The five published networks."""

MODELS = {name: twisted(twist) for name, twist in TWISTS.items()}
