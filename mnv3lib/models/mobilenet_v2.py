"""MobileNetV2: inverted residuals with linear bottlenecks (chapter 2).

Source: arXiv 1801.04381, Table 2. The text counts 19 bottlenecks, the table has 17.
Batch norm follows the authors' code (slim: eps 1e-3); torchvision's checkpoints want
``bn_eps=1e-5``.
"""

from mnv3lib.models.rows import ConvRow, DenseRow, NetworkSpec, PoolRow
from mnv3lib.models.stages import StageRow, unroll

__all__ = ["MOBILENET_V2", "MODELS"]

R6 = "relu6"

# fmt: off
MOBILENET_V2 = NetworkSpec(
    family="mobilenet_v2",
    source="arXiv 1801.04381, Table 2",
    rows=(
        ConvRow(3, 32, R6, 2),         # 224 x 224 x 3
        *unroll(32, (
            #        t  c    n  s         input
            StageRow(1, 16,  1, 1, R6),  # 112 x 112 x 32
            StageRow(6, 24,  2, 2, R6),  # 112 x 112 x 16
            StageRow(6, 32,  3, 2, R6),  # 56 x 56 x 24
            StageRow(6, 64,  4, 2, R6),  # 28 x 28 x 32
            StageRow(6, 96,  3, 1, R6),  # 14 x 14 x 64
            StageRow(6, 160, 3, 2, R6),  # 14 x 14 x 96
            StageRow(6, 320, 1, 1, R6),  # 7 x 7 x 160
        )),
        ConvRow(1, 1280, R6, 1, scaling="wider"),  # 7 x 7 x 320
        PoolRow(),                     # 7 x 7 x 1280
        DenseRow(1000),                # 1280
    ),
    bn_momentum=0.003,  # the authors' code (slim): decay 0.997
)
# fmt: on

MODELS = {"mobilenet_v2": MOBILENET_V2}
