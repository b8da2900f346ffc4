"""Timing several things side by side so that their ratios mean something (chapter 6).

A computer is never equally fast for long: its clock changes, other programs run, the memory is
busy. Timing A a hundred times and then B a hundred times compares two moments as much as A and B.
So all candidates are timed in rounds. Every round visits each of them once, in a new random order,
and whatever disturbs a round disturbs all of them alike.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from tqdm import tqdm

__all__ = ["Clock", "interleave"]

Clock = Callable[[], int]
"""Returns the time in nanoseconds since some fixed moment."""

_FEWEST_ROUNDS = 5
_SHOW_PROGRESS_AFTER_S = 2.0


def interleave(
    steps: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 30,
    warmup: int = 3,
    seconds: float | None = None,
    seed: int = 0,
    before: Callable[[str], object] | None = None,
    clock: Clock = time.perf_counter_ns,
) -> dict[str, list[float]]:
    """Time calls in rounds that each visit all of them in a shuffled order.

    Args:
        steps: Calls without arguments, by name.
        rounds: Timed rounds.
        warmup: Rounds before those, whose times are thrown away.
        seconds: A time budget that replaces `rounds`: as many rounds as fit, judged by the last
            warm-up round, but at least five.
        seed: Seed of the order.
        before: Called with a step's name before its time starts.
        clock: Where the time comes from.

    Returns:
        For each name its times in milliseconds, one a round, in the order of the rounds.

    Raises:
        ValueError: No steps, fewer than one round, a negative warm-up, or no time.
    """
    _check(steps, rounds, warmup, seconds)
    order = random.Random(seed)
    samples: dict[str, list[float]] = {name: [] for name in steps}
    with _without_garbage_collection():
        round_ms = 0.0
        for _ in range(max(warmup, 1 if seconds is not None else 0)):
            round_ms = sum(_one_round(steps, order, before, clock).values())
        if seconds is not None:
            rounds = max(_FEWEST_ROUNDS, int(seconds * 1e3 / max(round_ms, 1e-6)))
        bar = {"desc": "timing", "unit": "round", "delay": _SHOW_PROGRESS_AFTER_S, "leave": False}
        for _ in tqdm(range(rounds), disable=None, **bar):
            for name, elapsed_ms in _one_round(steps, order, before, clock).items():
                samples[name].append(elapsed_ms)
    return samples


def _one_round(
    steps: Mapping[str, Callable[[], object]],
    order: random.Random,
    before: Callable[[str], object] | None,
    clock: Clock,
) -> dict[str, float]:
    """Run every step once and return the times in milliseconds."""
    names = list(steps)
    order.shuffle(names)
    elapsed_ms = {}
    for name in names:
        step = steps[name]
        if before is not None:
            before(name)
        start = clock()
        step()
        elapsed_ms[name] = (clock() - start) / 1e6
    return elapsed_ms


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Keep Python's garbage collector from running in the middle of a measurement."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _check(steps: Mapping[str, object], rounds: int, warmup: int, seconds: float | None) -> None:
    """Raise a ValueError for arguments of `interleave` that make no measurement."""
    if not steps:
        raise ValueError("nothing to time: give at least one model")
    if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 1:
        raise ValueError(f"rounds must be an integer of at least 1, got {rounds!r}")
    if isinstance(warmup, bool) or not isinstance(warmup, int) or warmup < 0:
        raise ValueError(f"warmup must be an integer of at least 0, got {warmup!r}")
    if seconds is not None and not seconds > 0:
        raise ValueError(f"seconds must be above 0, got {seconds!r}")
