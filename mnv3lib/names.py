"""The nearest names to one that is not known, for error messages."""

import difflib
from collections.abc import Iterable

__all__ = ["nearest_names"]


def nearest_names(name: str, known: Iterable[str]) -> str:
    """Names that `name` may have meant, joined by "or"; all of them if none is near.

    Example:
        >>> nearest_names("mobilenet_v2_small", ["mobilenet_v2", "mnasnet_a1"])
        'mobilenet_v2'
    """
    known = sorted(known)
    return " or ".join(difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known)
