"""EfficientNet-B0: MnasNet's space searched for multiply-adds (chapter 5 compares it).

Source: arXiv 1905.11946, Table 1, with the conventions of the authors' TPU code. Stochastic
depth, a training-time regulariser, is not part of the network here.
"""

from mnv3lib.models.rows import ConvRow, DenseRow, NetworkSpec, PoolRow
from mnv3lib.models.stages import StageRow, unroll

__all__ = ["EFFICIENTNET_B0", "MODELS", "STAGES"]

SW = "swish"

# fmt: off
STAGES = (
    #        t  c    n  s                           input
    StageRow(1, 16,  1, 1, SW, se=True),            # 112 x 112 x 32
    StageRow(6, 24,  2, 2, SW, se=True),            # 112 x 112 x 16
    StageRow(6, 40,  2, 2, SW, kernel=5, se=True),  # 56 x 56 x 24
    StageRow(6, 80,  3, 2, SW, se=True),            # 28 x 28 x 40
    StageRow(6, 112, 3, 1, SW, kernel=5, se=True),  # 14 x 14 x 80
    StageRow(6, 192, 4, 2, SW, kernel=5, se=True),  # 14 x 14 x 112
    StageRow(6, 320, 1, 1, SW, se=True),            # 7 x 7 x 192
)

EFFICIENTNET_B0 = NetworkSpec(
    family="efficientnet_b0",
    source="arXiv 1905.11946, Table 1",
    rows=(
        ConvRow(3, 32, SW, 2),   # 224 x 224 x 3
        *unroll(32, STAGES),
        ConvRow(1, 1280, SW, 1), # 7 x 7 x 320
        PoolRow(),               # 7 x 7 x 1280
        DenseRow(1000),          # 1280
    ),
    squeeze="input",
    gate="sigmoid",
    squeeze_act="swish",
)
# fmt: on

MODELS = {"efficientnet_b0": EFFICIENTNET_B0}
