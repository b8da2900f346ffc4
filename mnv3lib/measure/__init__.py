"""Cost of a network: parameters, multiply-adds, activation memory, latency (chapters 5 and 6)."""

from mnv3lib.measure.counting import Count, RowCount, count
from mnv3lib.measure.memory import activation_memory

__all__ = ["Count", "RowCount", "activation_memory", "count"]
