"""Cost of a network: parameters, multiply-adds, activation memory, latency (chapters 5 and 6)."""

from mnv3lib.measure.counting import Count, RowCount, count
from mnv3lib.measure.latency import LatencyComparison, compare_latency
from mnv3lib.measure.memory import activation_memory
from mnv3lib.measure.runtimes import MissingRuntimeError, WrongOutputError

__all__ = [
    "Count",
    "LatencyComparison",
    "MissingRuntimeError",
    "RowCount",
    "WrongOutputError",
    "activation_memory",
    "compare_latency",
    "count",
]
