"""Latency of programs in files, side by side (chapter 12).

Files are compared as networks are (:mod:`mnv3lib.measure.latency`), in interleaved rounds; those of
two runtimes may be mixed, so that float and int8 of both stand in one table.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from mnv3lib.measure.image_size import Resolution
from mnv3lib.measure.interleave import interleave
from mnv3lib.measure.latency import LatencyComparison, Timing
from mnv3lib.measure.program_file import open_program, runtime_of
from mnv3lib.measure.runtimes import check_threads, find_runtime

__all__ = ["common_resolution", "compare_files", "named_paths"]


def compare_files(
    paths: Sequence[Path],
    threads: int = 1,
    *,
    rounds: int = 30,
    warmup: int = 3,
    seconds: float | None = None,
    seed: int = 0,
) -> LatencyComparison:
    """Times programs side by side.

    Args:
        paths: The files; those of several runtimes may be mixed.
        threads: Threads to compute with.
        rounds: Timed rounds; each visits all files in a shuffled order.
        warmup: Rounds before those, whose times are thrown away.
        seconds: A time budget for the timed rounds, which replaces `rounds`.
        seed: Seed of the input image and of the order.

    Returns:
        The times, by the files' names (by their paths where two names are the same).

    Raises:
        FileNotFoundError: A file or its card is missing.
        ValueError: No files, one twice, one that is damaged, files that take images of different
            sizes, or fewer than one thread or round.
        MissingRuntimeError: A runtime's package is not installed.
    """
    check_threads(threads)
    names = named_paths(paths)
    runtimes = list(dict.fromkeys(runtime_of(path) for path in paths))
    with ExitStack() as stack:
        for runtime in runtimes:
            stack.enter_context(find_runtime(runtime).threads(threads))
        programs = {name: open_program(path, threads=threads) for name, path in names.items()}
        resolution = common_resolution({name: p.card for name, p in programs.items()})
        shape = next(iter(programs.values())).program.input_shape
        x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        steps = {name: program.program.bind(x) for name, program in programs.items()}
        samples = interleave(steps, rounds=rounds, warmup=warmup, seconds=seconds, seed=seed)
    timings = {
        name: Timing(name, tuple(samples[name]), program.max_difference)
        for name, program in programs.items()
    }
    timed = len(next(iter(samples.values())))
    return LatencyComparison(timings, resolution, " and ".join(runtimes), threads, timed)


def common_resolution(cards: Mapping[str, Mapping[str, Any]]) -> Resolution:
    """The size of image that several programs take.

    Args:
        cards: By name.

    Raises:
        ValueError: They take images of different sizes.
    """
    shapes = {name: tuple(card["input"]["shape"]) for name, card in cards.items()}
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"these files take images of different sizes, time them apart: {told}")
    height, width = next(iter(shapes.values()))[-2:]
    return height if height == width else (height, width)


def named_paths(paths: Sequence[Path]) -> dict[str, Path]:
    """Names for files: without folders if that tells them apart.

    Raises:
        ValueError: No files, or one twice.
    """
    if not paths:
        raise ValueError("nothing to time: give at least one file")
    if len({path.resolve() for path in paths}) < len(paths):
        raise ValueError(f"a file is given twice: {', '.join(map(str, paths))}")
    short = {path.name: path for path in paths}
    return short if len(short) == len(paths) else {str(path): path for path in paths}
