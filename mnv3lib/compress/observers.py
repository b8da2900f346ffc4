"""Calibration: the range of an activation, chosen from the values seen (chapter 12)."""

from mnv3lib.data.needs import needs_extra
from mnv3lib.measure.silence import hushed
from mnv3lib.names import nearest_names

with needs_extra("deploy"), hushed():
    from torchao.quantization.pt2e import MinMaxObserver, ObserverBase

__all__ = ["CALIBRATIONS", "find_calibration"]

CALIBRATIONS: dict[str, type[ObserverBase]] = {"min_max": MinMaxObserver}


def find_calibration(name: str) -> type[ObserverBase]:
    """The observer of a calibration.

    Raises:
        ValueError: None has that name.
    """
    if name not in CALIBRATIONS:
        near = nearest_names(name, CALIBRATIONS)
        raise ValueError(f"unknown calibration {name!r}; did you mean {near}?")
    return CALIBRATIONS[name]
