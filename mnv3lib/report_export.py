"""What ``mnv3 export`` prints: the card of the program that it wrote, as JSON or for reading."""

from pathlib import Path
from typing import Any

from mnv3lib.compress.card import Card, ProgramAgreement
from mnv3lib.measure.image_size import size_text
from mnv3lib.report import number

__all__ = ["card_data", "card_text"]

_SHOWN_CLASSES = 5


def card_data(card: Card, path: Path) -> dict[str, Any]:
    """A card with the name of its file, ready for JSON."""
    return {"file": path.name, **card.to_dict()}


def card_text(card: Card, path: Path) -> str:
    """A card as lines of a name and what it is, those left out that say nothing."""
    lines = {
        "network": f"{card.network}, {card.task}",
        "weights": card.weights,
        "input": _input(card),
        "output": "{type} {shape}: {meaning}".format(**card.output),
        "classes": _classes(card.classes),
        "calibration": _calibration(card.calibration),
        "agreement": _agreement(card.agreement),
        "this file": _metrics(card.metrics),
        "float network": _metrics(card.network_metrics),
        "not XNNPACK's": None if not card.outside_kernels else ", ".join(card.outside_kernels),
        "sha256": card.sha256,
    }
    width = max(map(len, lines))
    head = f"{path.name}: {card.format}, {card.precision}, {card.bytes:,} bytes"
    return "\n".join([head, "", *(f"{k:<{width}}  {v}" for k, v in lines.items() if v)])


def _input(card: Card) -> str:
    told = card.input
    size = size_text(tuple(told["shape"][-2:]))
    numbers = (f"{name} {', '.join(f'{x:g}' for x in told[name])}" for name in ("mean", "std"))
    return f"{told['type']} {told['layout']}, {told['channels']}, {size}; {'; '.join(numbers)}"


def _classes(classes: list[str] | None) -> str | None:
    if classes is None:
        return None
    more = "" if len(classes) <= _SHOWN_CLASSES else ", ..."
    return f"{len(classes)}: {', '.join(classes[:_SHOWN_CLASSES])}{more}"


def _calibration(calibration: dict[str, Any] | None) -> str | None:
    return calibration and "{rule}, {images} training images of {data}".format(**calibration)


def _agreement(agreement: ProgramAgreement) -> str:
    parts = [f"largest difference {agreement.relative:.2g} of the largest output"]
    if agreement.snr_db is not None:
        parts.append(f"{agreement.snr_db:.1f} dB")
    if agreement.top1 is not None:
        parts.append(f"same class for {agreement.top1:.0%}")
    return f"{', '.join(parts)} ({agreement.images} x {agreement.of})"


def _metrics(metrics: dict[str, float] | None) -> str | None:
    return metrics and ", ".join(f"{name} {number(value)}" for name, value in metrics.items())
