"""The tasks by name, as recipes name them."""

from mnv3lib.train.classification import Classification

__all__ = ["TASKS"]

TASKS = {"classification": Classification}
