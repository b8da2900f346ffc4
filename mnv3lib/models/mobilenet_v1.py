"""MobileNetV1: thirteen depthwise separable blocks (chapter 1).

Source: arXiv 1704.04861, Table 1. The table prints stride 2 for the last depthwise
convolution; its 7 x 7 sizes show that it is 1 (errata page).
"""

from mnv3lib.models.rows import RE, ConvRow, DenseRow, NetworkSpec, PoolRow, SeparableRow

__all__ = ["MOBILENET_V1", "MODELS"]

# fmt: off
MOBILENET_V1 = NetworkSpec(
    family="mobilenet_v1",
    source="arXiv 1704.04861, Table 1",
    rows=(
        #            k   out  act  s    input
        ConvRow(     3,   32, RE,  2),  # 224 x 224 x 3
        SeparableRow(3,   64, RE,  1),  # 112 x 112 x 32
        SeparableRow(3,  128, RE,  2),  # 112 x 112 x 64
        SeparableRow(3,  128, RE,  1),  # 56 x 56 x 128
        SeparableRow(3,  256, RE,  2),  # 56 x 56 x 128
        SeparableRow(3,  256, RE,  1),  # 28 x 28 x 256
        SeparableRow(3,  512, RE,  2),  # 28 x 28 x 256
        SeparableRow(3,  512, RE,  1),  # 14 x 14 x 512, five times
        SeparableRow(3,  512, RE,  1),
        SeparableRow(3,  512, RE,  1),
        SeparableRow(3,  512, RE,  1),
        SeparableRow(3,  512, RE,  1),
        SeparableRow(3, 1024, RE,  2),  # 14 x 14 x 512
        SeparableRow(3, 1024, RE,  1),  # 7 x 7 x 1024
        PoolRow(),                      # 7 x 7 x 1024
        DenseRow(1000),                 # 1024
    ),
    dropout=0.0,  # the paper names none
)
# fmt: on

MODELS = {"mobilenet_v1": MOBILENET_V1}
