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
        fixed: Arguments for this module's ``load`` that are the data set's own.
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
        title="Emoji by five designers",
        task="classification",
        splits=("train", "test"),
        layout="part of the package: emoji/*.webp, index.csv, SHA256SUMS",
        source="Noto, Twemoji, OpenMoji and Fluent emoji",
        licence="Apache-2.0, CC-BY-4.0, CC-BY-SA-4.0 and MIT, by style",
        module="emoji",
        shipped=True,
    ),
    DatasetCard(
        name="cifar10",
        title="CIFAR-10",
        task="classification",
        splits=("train", "test"),
        layout="<split>.parquet, or the hub's plain_text/<split>-*.parquet (columns img, label)",
        source="hub data set uoft-cs/cifar10: `mnv3 data download cifar10`",
        licence="not stated by its authors; A. Krizhevsky, 2009",
        module="hub_parquet",
        fixed={
            "name": "cifar10",
            "title": "CIFAR-10",
            "image_column": "img",
            "label_column": "label",
        },
        hub="uoft-cs/cifar10",
    ),
)

CARDS: Mapping[str, DatasetCard] = MappingProxyType({card.name: card for card in _CARDS})
