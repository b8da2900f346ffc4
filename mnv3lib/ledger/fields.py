"""The shape of an entry in ``data/claims/*.yaml``: which keys it has, and of which type."""

from collections.abc import Sequence
from typing import Literal

__all__ = ["Kind", "check_entry"]

Kind = Literal["exact", "ratio", "trend", "cluster"]

_NUMBERS = ("value", "tolerance", "less", "per", "cut")
_TABLES = ("answer", "explained_by", "args", "common")
_LISTS = ("claims",)


def check_entry(entry: object, *, required: Sequence[str], allowed: Sequence[str]) -> list[str]:
    """What is wrong with the keys of an entry and the types of their values.

    Args:
        entry: What YAML made of it.
        required: Keys that must be there, and not empty.
        allowed: Keys that may be there.

    Returns:
        Problems in words; none if the entry is sound.
    """
    if not isinstance(entry, dict):
        return [f"expected keys and values, got {entry!r}"]
    unknown = sorted(str(key) for key in set(entry) - set(allowed))
    missing = [key for key in required if entry.get(key) in (None, "", [])]
    problems = [f"unknown key {key}, known are {', '.join(allowed)}" for key in unknown]
    problems += [f"{key} is missing" for key in missing]
    return problems + [
        f"{key} must be {_wanted(key)}, got {value!r}"
        for key, value in entry.items()
        if key in allowed and key not in missing and not _is_sound(key, value)
    ]


def _wanted(key: str) -> str:
    if key in _NUMBERS:
        return "a number"
    if key in _TABLES:
        return "keys and values"
    return "a list" if key in _LISTS else "text"


def _is_sound(key: str, value: object) -> bool:
    if key in _NUMBERS:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if key in _TABLES:
        return isinstance(value, dict)
    return isinstance(value, list if key in _LISTS else str)
