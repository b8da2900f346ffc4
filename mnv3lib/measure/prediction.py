"""How well a latency table predicts: predicted against measured (chapter 6)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from torch import nn

from mnv3lib.measure.latency_table import LatencyTable

__all__ = ["PredictionReport", "judge_table"]


@dataclass(frozen=True)
class PredictionReport:
    """Predictions beside measurements of the same networks.

    Attributes:
        predicted_ms: Milliseconds by network.
        measured_ms: Milliseconds by network, in the same order.
    """

    predicted_ms: Mapping[str, float] = field(repr=False)
    measured_ms: Mapping[str, float] = field(repr=False)

    def __post_init__(self) -> None:
        if list(self.predicted_ms) != list(self.measured_ms) or len(self.predicted_ms) < 2:
            raise ValueError(
                "a report needs predictions and measurements of the same two or more networks, "
                f"got {len(self.predicted_ms)} and {len(self.measured_ms)}"
            )

    @property
    def errors(self) -> dict[str, float]:
        """Relative error by network: 0.05 if the prediction is 5 % too high."""
        return {name: self.predicted_ms[name] / ms - 1 for name, ms in self.measured_ms.items()}

    @property
    def median_error(self) -> float:
        """Median of the absolute relative errors."""
        return float(np.median(np.abs(list(self.errors.values()))))

    @property
    def largest_error(self) -> float:
        """Largest absolute relative error."""
        return float(np.max(np.abs(list(self.errors.values()))))

    @property
    def spearman(self) -> float:
        """Spearman's rank correlation: 1 if the table sorts the networks as the clock does."""
        predicted, measured = (
            _ranks(np.array(list(times.values())))
            for times in (self.predicted_ms, self.measured_ms)
        )
        return float(np.corrcoef(predicted, measured)[0, 1])

    def to_dict(self) -> dict[str, object]:
        """Everything, ready for JSON."""
        return {
            "networks": list(self.predicted_ms),
            "predicted_ms": list(self.predicted_ms.values()),
            "measured_ms": list(self.measured_ms.values()),
            "spearman": self.spearman,
            "median_error": self.median_error,
            "largest_error": self.largest_error,
        }


def judge_table(
    table: LatencyTable,
    networks: Mapping[str, tuple[nn.Module, int]],
    measured_ms: Mapping[str, float],
    calibrating: Sequence[str],
) -> dict[str, object]:
    """Calibrates a table on some networks and judges it on the others.

    Args:
        table: A table that has not been calibrated.
        networks: (network, resolution in pixels) by name.
        measured_ms: Latency of each.
        calibrating: Names of those that fit the factor.

    Returns:
        ``raw`` and ``calibrated`` reports of the others, the names and the factor of the
        calibration, and the calibrated table.
    """
    raw_ms = {name: table.predict(*network) for name, network in networks.items()}
    fitted = table.calibrated(
        [raw_ms[name] for name in calibrating], [measured_ms[name] for name in calibrating]
    )
    judged = [name for name in networks if name not in calibrating]
    measured = {name: measured_ms[name] for name in judged}
    raw = PredictionReport({name: raw_ms[name] for name in judged}, measured)
    scaled = {name: fitted.scale * raw_ms[name] for name in judged}
    return {
        "raw": raw.to_dict(),
        "calibrated": PredictionReport(scaled, measured).to_dict(),
        "calibrating": list(calibrating),
        "scale": fitted.scale,
        "table": asdict(fitted),
    }


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0, equal values sharing their mean rank. (N,) in, (N,) out."""
    smaller = (values[:, None] > values[None, :]).sum(axis=1)
    equal = (values[:, None] == values[None, :]).sum(axis=1)
    return smaller + (equal - 1) / 2
