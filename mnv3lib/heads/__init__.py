"""Heads: SSDLite for detection (chapter 10), R-ASPP and LR-ASPP for segmentation (chapter 11)."""
