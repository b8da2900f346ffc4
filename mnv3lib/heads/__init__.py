"""Heads: SSDLite for detection (chapter 10), R-ASPP and LR-ASPP for segmentation (chapter 11)."""

from mnv3lib.heads.anchors import AnchorLayout
from mnv3lib.heads.aspp import LRASPP, RASPP, LRASPPTorchvision
from mnv3lib.heads.backbones import load_backbone
from mnv3lib.heads.box_coder import decode, encode
from mnv3lib.heads.boxes import box_area, box_iou, clip_boxes
from mnv3lib.heads.detection_loss import DetectionLoss, detection_loss, focal_loss
from mnv3lib.heads.detections import Detections, detect
from mnv3lib.heads.matching import BACKGROUND, match_anchors
from mnv3lib.heads.predictions import OneOutput, Predictions
from mnv3lib.heads.segmenter import Segmenter, SegmenterSpec, create_segmenter
from mnv3lib.heads.ssdlite import SSDLite, create_ssdlite
from mnv3lib.heads.ssdlite_spec import SSDLiteSpec, detector_spec

__all__ = [
    "BACKGROUND",
    "LRASPP",
    "RASPP",
    "AnchorLayout",
    "DetectionLoss",
    "Detections",
    "LRASPPTorchvision",
    "OneOutput",
    "Predictions",
    "SSDLite",
    "SSDLiteSpec",
    "Segmenter",
    "SegmenterSpec",
    "box_area",
    "box_iou",
    "clip_boxes",
    "create_segmenter",
    "create_ssdlite",
    "decode",
    "detect",
    "detection_loss",
    "detector_spec",
    "encode",
    "focal_loss",
    "load_backbone",
    "match_anchors",
]
