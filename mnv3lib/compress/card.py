"""The card of an exported network: what a program file itself does not tell (chapter 12).

Whoever runs the file must know how to prepare an image and what the numbers that come out mean;
whoever trusts it, how far it agrees with the network that it was made from. The card is a small
JSON file beside the program. It names no folder of the machine that wrote it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mnv3lib.compress.agreement import signal_to_noise_db, top1_agreement
from mnv3lib.files import write_atomically
from mnv3lib.measure.machine import installed_versions
from mnv3lib.measure.program_file import card_path, read_checked

__all__ = [
    "Card",
    "ProgramAgreement",
    "describe_input",
    "read_card",
    "write_program",
]

_PACKAGES = ("mnv3lib", "torch", "torchao", "onnx", "onnxruntime", "executorch")


@dataclass(frozen=True)
class ProgramAgreement:
    """How far a program agrees with the float network in eager mode, on some images.

    Attributes:
        images: How many.
        of: Which, in words.
        max_difference: Largest absolute difference of a number that comes out.
        relative: The same as a fraction of the float network's largest number.
        snr_db: Signal-to-noise ratio in dB, see :mod:`mnv3lib.compress.agreement`; None if there
            is no difference.
        top1: Share of images on which both prefer the same class, for classification.
    """

    images: int
    of: str
    max_difference: float
    relative: float
    snr_db: float | None
    top1: float | None

    @classmethod
    def between(cls, expected: Tensor, found: Tensor, *, of: str, top1: bool) -> "ProgramAgreement":
        """Compares outputs.

        Args:
            expected: Of the float network, (N, ...).
            found: Of the program, the same shape.
            of: Which images they are for, in words.
            top1: The outputs are logits, (N, K).

        Raises:
            ValueError: The outputs differ in shape, or the program's are not finite.
        """
        if expected.shape != found.shape or not bool(found.isfinite().all()):
            told = "numbers that are not finite"
            if expected.shape != found.shape:
                told = f"shape {tuple(found.shape)} instead of {tuple(expected.shape)}"
            raise ValueError(f"the exported program computes {told}: nothing was written")
        difference = (found - expected).abs().max().item()
        largest = max(expected.abs().max().item(), torch.finfo(torch.float32).tiny)
        return cls(
            images=len(expected),
            of=of,
            max_difference=difference,
            relative=difference / largest,
            snr_db=signal_to_noise_db(expected, found) if difference else None,
            top1=top1_agreement(expected, found) if top1 else None,
        )


@dataclass(frozen=True)
class Card:
    """What is known about a program.

    Attributes:
        network: Name of the network.
        options: Options that it was built with.
        task: What it is for, such as ``"classification"``.
        weights: Where its weights come from, in words.
        format: ``"onnx"`` or ``"executorch"``.
        precision: ``"fp32"``, ``"fp16"`` or ``"int8"``: what it computes in; input and output are
            float32 always.
        input: Shape, layout, type, and how an image becomes it; see :func:`describe_input`.
        output: Shape and type of what comes out, and what it means.
        classes: Names of the classes, None if nobody knows them.
        calibration: For int8 the images and the rule that ranges were chosen with.
        agreement: With the float network.
        metrics: Numbers measured with this very file, by name; None if nobody has.
        network_metrics: Those of the float network: on the same images if the file was measured,
            else as its run recorded them.
        outside_kernels: For ExecuTorch, operators that XNNPACK does not compute.
        sha256: Checksum of the file.
        bytes: Its size.
        versions: Of the packages that made it.
    """

    network: str
    options: dict[str, Any]
    task: str
    weights: str
    format: str
    precision: str
    input: dict[str, Any]
    output: dict[str, Any]
    classes: list[str] | None
    calibration: dict[str, Any] | None
    agreement: ProgramAgreement
    metrics: dict[str, float] | None
    network_metrics: dict[str, float] | None
    outside_kernels: list[str] | None
    sha256: str
    bytes: int
    versions: dict[str, str] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Card":
        """The card out of what :meth:`to_dict` returned.

        Raises:
            ValueError: Keys are missing, or there are others.
        """
        expected = {entry.name for entry in fields(cls)}
        wrong = sorted(expected ^ set(data))
        if wrong:
            raise ValueError(f"no card of this package: check {', '.join(wrong)}")
        return cls(**{**data, "agreement": ProgramAgreement(**data["agreement"])})


def describe_input(
    shape: tuple[int, ...],
    *,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    view: str,
) -> dict[str, Any]:
    """What a program takes, and how an image becomes it.

    Args:
        shape: (1, 3, H, W).
        mean: Of each channel of images in [0, 1], subtracted.
        std: Of each channel, divided by.
        view: How an image of any size is made one of this size, in words.
    """
    return {
        "shape": list(shape),
        "layout": "NCHW",
        "type": "float32",
        "channels": "RGB",
        "view": view,
        "normalisation": "(pixel / 255 - mean) / std",
        "mean": list(mean),
        "std": list(std),
    }


def write_program(path: Path, content: bytes, **about: Any) -> Card:
    """Writes a program and its card, both atomically.

    Args:
        path: The program's file; the card lies beside it.
        content: The program.
        **about: What of :class:`Card` does not follow from the content.

    Returns:
        The card.

    Raises:
        OSError: A file could not be written.
    """
    checksum = hashlib.sha256(content).hexdigest()
    versions = installed_versions(_PACKAGES)
    card = Card(**about, sha256=checksum, bytes=len(content), versions=versions)
    text = json.dumps(card.to_dict(), indent=2, ensure_ascii=False)
    write_atomically(path, content)
    write_atomically(card_path(path), f"{text}\n".encode())
    return card


def read_card(path: Path) -> Card:
    """The card of a program.

    Args:
        path: The program's file.

    Raises:
        FileNotFoundError: The file or its card is missing.
        ValueError: The file is not the one that the card describes, or the card is none.
    """
    return Card.from_dict(read_checked(path)[1])
