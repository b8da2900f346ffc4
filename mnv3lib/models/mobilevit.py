"""MobileViT-XXS: the light transformer that EfficientViT claims to outrun.

A MobileNetV2 whose last three stages each end in transformer layers. It takes images of any size
of at least 32 pixels; the paper's are 256 pixels. Taught in the chapter on EfficientViT.

Source: MobileViT, arXiv 2110.02178, Table 4 (network XXS), with the layout and the activation
(swish) of timm's ``mobilevit_xxs``.
"""

from mnv3lib.models.attention_rows import PatchAttentionRow
from mnv3lib.models.rows import BneckRow, ConvRow, DenseRow, NetworkSpec, PoolRow

__all__ = ["MOBILEVIT_XXS", "MODELS"]

SW, NO = "swish", False

# fmt: off
MOBILEVIT_XXS = NetworkSpec(
    family="mobilevit",
    source="arXiv 2110.02178, Table 4, and timm's mobilevit_xxs",
    rows=(
        #        k  exp  out  SE  NL  s    input
        ConvRow( 3,       16,     SW, 2),  # 256 x 256 x 3
        BneckRow(3,  32,  16, NO, SW, 1),  # 128 x 128 x 16
        BneckRow(3,  32,  24, NO, SW, 2),  # 128 x 128 x 16
        BneckRow(3,  48,  24, NO, SW, 1),  # 64 x 64 x 24
        BneckRow(3,  48,  24, NO, SW, 1),  # 64 x 64 x 24
        BneckRow(3,  48,  48, NO, SW, 2),  # 64 x 64 x 24
        PatchAttentionRow(64, 2, SW),      # 32 x 32 x 48
        BneckRow(3,  96,  64, NO, SW, 2),  # 32 x 32 x 48
        PatchAttentionRow(80, 4, SW),      # 16 x 16 x 64
        BneckRow(3, 128,  80, NO, SW, 2),  # 16 x 16 x 64
        PatchAttentionRow(96, 3, SW),      # 8 x 8 x 80
        ConvRow( 1,      320,     SW, 1),  # 8 x 8 x 80
        PoolRow(),                         # 8 x 8 x 320
        DenseRow(1000),                    # 320
    ),
    bn_eps=1e-5,
    bn_momentum=0.1,
    dropout=0.0,
    resolution=256,
)
# fmt: on

MODELS = {"mobilevit_xxs": MOBILEVIT_XXS}
