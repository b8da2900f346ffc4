"""A latency table: one time for each row and input shape, and the sum for a network (chapter 6).

Searching for a network asks for the latency of thousands of candidates. A table answers without
running any of them: the time of a network is the sum of the times of its rows (MnasNet's and
NetAdapt's tables, arXiv 1807.11626 and 1804.03230, are of this kind). For the sum to come out
right, a row's time must be what it costs *inside* a network:

* Its weights come from memory, its input from the cache, where the row before has just left it,
  and the runtime is warm from running that row. So rows are timed in interleaved rounds, each
  visited once a round; just before, its input is written and a small foreign row is run.
* Handing a map over to a runtime and back costs time that a network pays once, not at every row:
  the call itself and, in runtimes with a layout of their own, the conversion of the map. So half of
  the hand-over of the input's shape and half of that of the output's are taken off; the sum over a
  network leaves the first half and the last, which the network pays, too.

What is left is a factor near one that all networks share. It is fitted on networks that take no
part in judging the table, and kept in the table beside the times.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import numpy as np
from torch import nn

from mnv3lib.files import write_atomically
from mnv3lib.measure.placed_rows import PlacedRow, placed_rows, shape_text
from mnv3lib.models import Network, NetworkSpec, deploy

__all__ = ["LatencyTable", "MissingRowsError", "deployed_rows"]


class MissingRowsError(ValueError):
    """A network has rows that the table has no time for."""


@dataclass(frozen=True)
class LatencyTable:
    """Times of rows on one runtime of one machine.

    Attributes:
        runtime: Name of the runtime.
        threads: Threads it used.
        rounds: Timed rounds; every time is a median over them.
        rows_ms: Milliseconds of a row alone, by :class:`PlacedRow` key.
        handover_ms: Milliseconds to hand a map of this shape to the runtime and back.
        scale: The factor that all predictions share; see :meth:`calibrated`.
        machine: The machine in words.
    """

    runtime: str
    threads: int
    rounds: int
    rows_ms: dict[str, float] = field(repr=False)
    handover_ms: dict[str, float] = field(repr=False)
    scale: float = 1.0
    machine: dict[str, object] = field(repr=False, default_factory=dict)

    def row_ms(self, row: PlacedRow) -> float:
        """What a row costs inside a network, milliseconds.

        Raises:
            MissingRowsError: The table has no such row.
        """
        self._check_known([row])
        handover_ms = self._half(row.input_shape) + self._half(row.output_shape)
        return self.scale * (self.rows_ms[row.key] - handover_ms)

    def predict(self, model: nn.Module | NetworkSpec, resolution: int | None = None) -> float:
        """Predicts the latency of a network in deploy form as the sum of its rows.

        Args:
            model: A network or its table.
            resolution: Side of the square image in pixels; the network's own if not given.

        Returns:
            Milliseconds.

        Raises:
            MissingRowsError: The table lacks rows; the message names them.
            ValueError: A resolution below 32, or a model without rows.
        """
        return self.predict_rows(deployed_rows(model, resolution))

    def predict_rows(self, rows: Sequence[PlacedRow]) -> float:
        """Predicts the latency of rows that follow one another, milliseconds."""
        self._check_known(rows)
        ends_ms = self._half(rows[0].input_shape) + self._half(rows[-1].output_shape)
        return self.scale * ends_ms + sum(self.row_ms(row) for row in rows)

    def missing(self, model: nn.Module | NetworkSpec, resolution: int | None = None) -> list[str]:
        """The keys of a network's rows that the table has no time for."""
        return self._unknown(deployed_rows(model, resolution))

    def calibrated(
        self, predicted_ms: Sequence[float], measured_ms: Sequence[float]
    ) -> "LatencyTable":
        """Returns this table with its scale multiplied by the median of measured / predicted.

        Args:
            predicted_ms: This table's predictions for some networks.
            measured_ms: Their measured latencies. Judge the result on other networks.
        """
        if not predicted_ms or len(predicted_ms) != len(measured_ms):
            raise ValueError(
                "calibration needs one measured time for each prediction, got "
                f"{len(measured_ms)} for {len(predicted_ms)}"
            )
        factor = float(np.median(np.divide(measured_ms, predicted_ms)))
        return replace(self, scale=self.scale * factor)

    def save(self, path: Path) -> None:
        """Writes the table as JSON, atomically."""
        write_atomically(path, (json.dumps(asdict(self), indent=1) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> "LatencyTable":
        """Reads a table.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is no latency table.
        """
        if not path.is_file():
            raise FileNotFoundError(
                f"no latency table {path.name!r}: measure one and save it there"
            )
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{path.name} is not a latency table: {error}; measure again"
            ) from error

    @classmethod
    def from_dict(cls, content: Mapping[str, object]) -> "LatencyTable":
        """Builds a table from what :func:`dataclasses.asdict` made of one.

        Raises:
            ValueError: The content is no latency table.
        """
        try:
            return cls(**content)
        except TypeError as error:
            wanted = ", ".join(f.name for f in fields(cls))
            raise ValueError(
                f"not a latency table (an object with {wanted}): {error}; measure again"
            ) from error

    def _half(self, shape: tuple[int, ...]) -> float:
        return 0.5 * self.handover_ms[shape_text(shape)]

    def _unknown(self, rows: Sequence[PlacedRow]) -> list[str]:
        shapes = (row.key for row in rows if row.key not in self.rows_ms)
        return list(dict.fromkeys(shapes))

    def _check_known(self, rows: Sequence[PlacedRow]) -> None:
        unknown = self._unknown(rows)
        if unknown:
            raise MissingRowsError(
                f"the table has no time for {len(unknown)} rows, first {unknown[0]!r}: measure "
                "them with mnv3lib.measure.row_latency.measure_table"
            )


def deployed_rows(model: nn.Module | NetworkSpec, resolution: int | None = None) -> list[PlacedRow]:
    """The rows of a network in deploy form: batch norm folded, channels last.

    Args:
        model: A network that is not deployed yet, or its table.
        resolution: Side of the square image in pixels; the network's own if not given.
    """
    network = Network(model) if isinstance(model, NetworkSpec) else model
    return placed_rows(deploy(network), resolution)
