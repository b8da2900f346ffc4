"""Data sets by name, and the views that make square images of them (chapter 7)."""

from mnv3lib.data.base import (
    DataNotFoundError,
    ImageArray,
    ImageDataset,
    ImageFiles,
    generator_for,
)
from mnv3lib.data.cards import DatasetCard
from mnv3lib.data.catalogue import dataset_card, list_datasets
from mnv3lib.data.registry import load_dataset
from mnv3lib.data.views import CenterView, RandomView

__all__ = [
    "CenterView",
    "DataNotFoundError",
    "DatasetCard",
    "ImageArray",
    "ImageDataset",
    "ImageFiles",
    "RandomView",
    "dataset_card",
    "generator_for",
    "list_datasets",
    "load_dataset",
]
