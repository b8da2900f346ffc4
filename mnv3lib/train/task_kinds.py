"""The tasks by name, as recipes name them."""

from mnv3lib.train.classification import Classification
from mnv3lib.train.detection import Detection
from mnv3lib.train.segmentation import Segmentation

__all__ = ["TASKS"]

TASKS = {
    "classification": Classification,
    "detection": Detection,
    "segmentation": Segmentation,
}
