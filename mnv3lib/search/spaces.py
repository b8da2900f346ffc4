"""Two spaces: MnasNet's, and a small one for tables of trained networks (chapter 8).

How large MnasNet's space is, the paper leaves open in two places (arXiv 1807.11626, section 4.1):

* Its example counts S = 432 variants a stage. The options that it lists, three operators, two
  kernels, two ratios of squeeze-and-excite, three shortcuts, three widths and three depths, give
  3 x 2 x 2 x 3 x 3 x 3 = 324. Four operators give 432: inverted residuals that expand three and
  six times count apart, as they do in the paper's results. We follow the 432.
* Depth is -1, 0 or +1 layers beside MobileNetV2's; where that has a single layer, -1 would leave
  a stage without layers, whose other choices mean nothing. We leave that option out: 288 variants.

So the example's 432^5 for five stages becomes 288^2 x 432^5 for MobileNetV2's seven;
:func:`mnv3lib.search.distinct.count_networks` tells how many different networks these are.
"""

from collections.abc import Iterator

from mnv3lib.models import model_spec
from mnv3lib.models.mnasnet import MNASNET_A1
from mnv3lib.models.rows import HS, RE
from mnv3lib.names import nearest_names
from mnv3lib.search.space import Space
from mnv3lib.search.stage import Point, Stage, StageOptions

__all__ = ["MNASNET", "MNASNET_A1_POINT", "SMALL_32", "find_space", "list_spaces"]

NO_YES = (False, True)


def _mnasnet_stages() -> Iterator[StageOptions]:
    """Stages beside MobileNetV2's: widths of three quarters to five quarters, a layer less or more.

    The fifth stage offers 112 channels in the place of 120: MnasNet-A1, which was found in this
    space, has 112 there, and neither 0.75, 1 nor 1.25 times MobileNetV2's 96 is 112.
    """
    for channels, layers, stride in (
        (16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1),
    ):  # fmt: skip
        widest = 112 if channels == 96 else channels * 5 // 4
        yield StageOptions(
            op=("conv", "dwconv", "mbconv3", "mbconv6"),
            kernel=(3, 5),
            se=NO_YES,
            skip=("pool", "identity", "none"),
            filters=(channels * 3 // 4, channels, widest),
            layers=tuple(n for n in (layers - 1, layers, layers + 1) if n > 0),
            stride=stride,
            act=RE,
        )


MNASNET = Space(
    name="mnasnet",
    source="arXiv 1807.11626, section 4.1",
    base=MNASNET_A1,
    kept_top=1,  # the first convolution
    kept_bottom=3,  # 1x1 convolution, pooling, classifier
    stages=tuple(_mnasnet_stages()),
)

# fmt: off
MNASNET_A1_POINT: Point = (  # arXiv 1807.11626, figure 7
    Stage("dwconv",  3, False, "none",     16,  1),
    Stage("mbconv6", 3, False, "identity", 24,  2),
    Stage("mbconv3", 5, True,  "identity", 40,  3),
    Stage("mbconv6", 3, False, "identity", 80,  4),
    Stage("mbconv6", 3, True,  "identity", 112, 2),
    Stage("mbconv6", 5, True,  "identity", 160, 3),
    Stage("mbconv6", 3, False, "identity", 320, 1),
)

# A stage for each map size of half of MobileNetV3-Small at 32 pixels with a stride removed. On the
# last maps, 2 x 2 pixels, a kernel of 5 would see nothing that one of 3 does not. The widths reach
# down to where they hurt: among networks that are all wide enough there is nothing to trade.
SMALL_32 = Space(
    name="small_32",
    source="our own, around arXiv 1905.02244 (final version), Table 2",
    base=model_spec("mobilenet_v3_small", width_mult=0.5, removed_strides=1),
    kept_top=2,     # the first convolution (32 x 32) and the first block (to 16 x 16)
    kept_bottom=4,  # 1x1 convolution, pooling, two dense layers
    stages=(
        #            op                      kernel  SE      skip           filters   layers
        StageOptions(("mbconv3", "mbconv6"), (3, 5), (False,), ("identity",), (8, 16),  (1, 2),
                     stride=2, act=RE),  # 16 x 16 x 8
        StageOptions(("mbconv3", "mbconv6"), (3, 5), NO_YES,   ("identity",), (16, 32), (1, 2, 3),
                     stride=2, act=HS),  # 8 x 8 x 8 or 16
        StageOptions(("mbconv3", "mbconv6"), (3,),   NO_YES,   ("identity",), (32, 64), (1, 2),
                     stride=2, act=HS),  # 4 x 4 x 16 or 32
    ),
)
# fmt: on

_SPACES = {space.name: space for space in (MNASNET, SMALL_32)}


def list_spaces() -> list[str]:
    """Names of the spaces, sorted."""
    return sorted(_SPACES)


def find_space(name: str) -> Space:
    """Returns a space by name.

    Raises:
        ValueError: Unknown name; the nearest ones are named.
    """
    if name not in _SPACES:
        raise ValueError(f"unknown space {name!r}; did you mean {nearest_names(name, _SPACES)}?")
    return _SPACES[name]
