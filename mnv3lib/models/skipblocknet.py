"""SkipblockNet: MobileNetV3-Large with two blocks that carry the first map far down.

Against MobileNetV3-Large: an expansion in the first block and hard swish there, the third block of
40 channels doubled in the middle and with hard swish, and two skip blocks. Source: arXiv 2107.11170
(ICCV 2021; SkipNet in its versions 1 and 2) and its code, ``lusinlu/bias-loss-skipblocknet``.

The sizes of the family are only named in figures: parameters, multiply-adds, accuracy. M is
confirmed: its code gives the published numbers to the unit. Its authors say that the others differ
by the width alone, but not which width, and their code cannot build most of them: skip blocks there
expect 16 channels at any width. S and L are the widths that come closest once the skip blocks read
the channels that there are. XS also has the smaller head of the code's ``mode="small"``.

=================== ===== ====== =================== ============================
name                width hidden published           ours, batch norm as fvcore
=================== ===== ====== =================== ============================
``skipblocknet_xs`` 0.5   1024   2.3 M, 80 M MACs    2.33 M, 82 M
``skipblocknet_s``  0.7   1280   3.6 M, 150 M        3.69 M, 153 M
``skipblocknet_m``  1     1280   5.5 M, 246 M        5.53 M, 247 M
``skipblocknet_l``  1.15  1280   7.1 M, 365 M        7.13 M, 365 M
=================== ===== ====== =================== ============================

Taught in chapter 14.
"""

from dataclasses import replace

from mnv3lib.models.rows import HS, RE, BneckRow, ConvRow, DenseRow, NetworkSpec, PoolRow
from mnv3lib.models.scaling import scale_rows
from mnv3lib.models.skip_rows import SkipBlockRow

__all__ = ["MODELS", "SKIPBLOCKNET_M"]

YES, NO = True, False
_BASE = 1  # the row that both skip blocks read

# fmt: off
SKIPBLOCKNET_M = NetworkSpec(
    family="skipblocknet",
    source="arXiv 2107.11170 and its code, width 1, mode 'large'",
    rows=(
        #        k  exp  out  SE   NL  s    input
        ConvRow( 3,       16,      HS, 2),  # 224 x 224 x 3
        BneckRow(3,  16,  16, NO,  HS, 1),  # 112 x 112 x 16, expanded to as many channels
        BneckRow(3,  64,  24, NO,  RE, 2),  # 112 x 112 x 16
        BneckRow(3,  72,  24, NO,  RE, 1),  # 56 x 56 x 24
        BneckRow(5,  72,  40, YES, RE, 2),  # 56 x 56 x 24
        BneckRow(5, 120,  40, YES, RE, 1),  # 28 x 28 x 40
        BneckRow(5, 240,  40, YES, HS, 1),  # 28 x 28 x 40
        SkipBlockRow(5, 6,  40, RE, source=_BASE),  # 28 x 28 x 40, from 112 x 112 x 16
        BneckRow(3, 240,  80, NO,  HS, 2),  # 28 x 28 x 40
        BneckRow(3, 200,  80, NO,  HS, 1),  # 14 x 14 x 80
        BneckRow(3, 184,  80, NO,  HS, 1),  # 14 x 14 x 80
        BneckRow(3, 184,  80, NO,  HS, 1),  # 14 x 14 x 80
        SkipBlockRow(3, 2.3, 80, RE, source=_BASE),  # 14 x 14 x 80, from 112 x 112 x 16
        BneckRow(3, 480, 112, YES, HS, 1),  # 14 x 14 x 80
        BneckRow(3, 672, 112, YES, HS, 1),  # 14 x 14 x 112
        BneckRow(5, 672, 160, YES, HS, 2),  # 14 x 14 x 112
        BneckRow(5, 960, 160, YES, HS, 1),  # 7 x 7 x 160
        BneckRow(5, 960, 160, YES, HS, 1),  # 7 x 7 x 160
        ConvRow( 1,      960,      HS, 1),  # 7 x 7 x 160
        PoolRow(),                          # 7 x 7 x 960
        DenseRow(1280, HS, scaling="wider"),  # 1 x 1 x 960
        DenseRow(1000),                     # 1 x 1 x 1280
    ),
    always_expand=True,
    bn_eps=1e-5,
    bn_momentum=0.1,
)
# fmt: on


def _at_width(width_mult: float, *, hidden: int = 1280) -> NetworkSpec:
    rows = list(SKIPBLOCKNET_M.rows)
    rows[-2] = replace(rows[-2], out=hidden)
    return replace(
        SKIPBLOCKNET_M,
        rows=scale_rows(tuple(rows), width_mult),
        source=f"arXiv 2107.11170 and its code; the width {width_mult:g} is ours",
    )


MODELS = {
    "skipblocknet_xs": _at_width(0.5, hidden=1024),
    "skipblocknet_s": _at_width(0.7),
    "skipblocknet_m": SKIPBLOCKNET_M,
    "skipblocknet_l": _at_width(1.15),
}
