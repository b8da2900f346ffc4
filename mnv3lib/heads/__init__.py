"""Heads: SSDLite for detection (chapter 10), R-ASPP and LR-ASPP for segmentation (chapter 11)."""

from mnv3lib.heads.aspp import LRASPP, RASPP, LRASPPTorchvision
from mnv3lib.heads.segmenter import Segmenter, SegmenterSpec, create_segmenter

__all__ = [
    "LRASPP",
    "RASPP",
    "LRASPPTorchvision",
    "Segmenter",
    "SegmenterSpec",
    "create_segmenter",
]
