"""MnasNet-A1: the network that MobileNetV3-Large starts from (chapter 5).

Source: arXiv 1807.11626, figure 7, with the conventions of the authors' TPU code
(``official/mnasnet``): batch norm eps 1e-3, a sigmoid gate, the 1280-channel layer never scaled.
"""

from mnv3lib.models.rows import RE, ConvRow, DenseRow, NetworkSpec, PoolRow
from mnv3lib.models.stages import StageRow, unroll

__all__ = ["MNASNET_A1", "MODELS"]

# fmt: off
MNASNET_A1 = NetworkSpec(
    family="mnasnet_a1",
    source="arXiv 1807.11626, figure 7",
    rows=(
        ConvRow(3, 32, RE, 2),                            # 224 x 224 x 3
        *unroll(32, (
            #        t  c    n  s                           input
            StageRow(1, 16,  1, 1, RE),                    # 112 x 112 x 32, 'SepConv'
            StageRow(6, 24,  2, 2, RE),                    # 112 x 112 x 16
            StageRow(3, 40,  3, 2, RE, kernel=5, se=True), # 56 x 56 x 24
            StageRow(6, 80,  4, 2, RE),                    # 28 x 28 x 40
            StageRow(6, 112, 2, 1, RE, se=True),           # 14 x 14 x 80
            StageRow(6, 160, 3, 2, RE, kernel=5, se=True), # 14 x 14 x 112
            StageRow(6, 320, 1, 1, RE),                    # 7 x 7 x 160
        )),
        ConvRow(1, 1280, RE, 1, scaling="never"),         # 7 x 7 x 320
        PoolRow(),                                        # 7 x 7 x 1280
        DenseRow(1000),                                   # 1280
    ),
    squeeze="input",
    gate="sigmoid",
)
# fmt: on

MODELS = {"mnasnet_a1": MNASNET_A1}
