"""What only some data sets need is imported where it is used, or a sentence says how to get it."""

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["needs_extra"]


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Around imports of an optional dependency.

    Args:
        extra: The extra of the package that installs it.

    Raises:
        ImportError: It is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ImportError(
            f'{error.name} is needed for this: pip install "mnv3lib[{extra}]"'
        ) from error
