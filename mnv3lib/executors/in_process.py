"""What an executor is, and the simplest one (chapter 8)."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

__all__ = ["Executor", "InProcess"]

T = TypeVar("T")
R = TypeVar("R")


class Executor(AbstractContextManager):
    """Computes a function of many items.

    Workers that a call of `map` needs are started by it and stopped at its end. In a ``with``
    block they live on from one call to the next::

        with Processes(workers=2) as executor:
            for batch in batches:
                for index, result in executor.map(evaluate, batch):
                    ...
    """

    @abstractmethod
    def map(self, function: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[int, R]]:
        """Computes the function of each item.

        Args:
            function: What to compute. Where other processes compute it, they import it, so it
                stands in a module; it travels with every item, so it holds no large data.
            items: What to compute it of.

        Yields:
            The index of an item and its result, as they are finished: each index once. Nothing
            is computed before the first is asked for, and what is still being computed when the
            caller stops asking is given up.

        Raises:
            WorkerDiedError: A worker died over an item, and so did those that it was given to
                then. What others are computing at that time is finished and yielded before.
            Exception: Whatever the function raises, at once.
        """


class InProcess(Executor):
    """Computes the items in this process, one after the other, each when it is asked for."""

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[int, R]]:
        """Computes the function of each item; see :meth:`Executor.map`."""
        for index, item in enumerate(items):
            yield index, function(item)

    def __exit__(self, *_: object) -> None:
        """Nothing is left behind."""
