"""Latency of whole networks, compared side by side on a real runtime (chapter 6).

The protocol, which every time in this book follows: compile for the runtime, check the output
against eager, warm up, then time all candidates in interleaved rounds (see
`mnv3lib.measure.interleave`) at a stated number of threads. A time is given as the median with its
quartiles, and a comparison as the median of the ratios within each round, which is steadier than
the ratio of two medians because both times of a round share the machine's state of that moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from mnv3lib.measure.image_size import Resolution, image_size, own_resolution, size_text
from mnv3lib.measure.interleave import interleave
from mnv3lib.measure.machine import describe_machine
from mnv3lib.measure.runtimes import Session, check_threads, compile_model, find_runtime

__all__ = [
    "LatencyComparison",
    "Spread",
    "Timing",
    "compare_latency",
    "image",
    "latency",
]


@dataclass(frozen=True)
class Spread:
    """A median and its quartiles; half of the samples lie between `q1` and `q3`."""

    median: float
    q1: float
    q3: float

    @classmethod
    def of(cls, samples: list[float] | np.ndarray) -> Spread:
        """Summarise samples of any unit."""
        q1, median, q3 = np.percentile(samples, [25, 50, 75])
        return cls(float(median), float(q1), float(q3))


@dataclass(frozen=True)
class Timing:
    """The times of one model.

    Attributes:
        name: The model's name in the comparison.
        samples_ms: Milliseconds of each timed round, in the order of the rounds.
        max_difference: Largest absolute difference of the output from eager's.
    """

    name: str
    samples_ms: tuple[float, ...] = field(repr=False)
    max_difference: float = 0.0

    @property
    def spread(self) -> Spread:
        """Median and quartiles, milliseconds."""
        return Spread.of(list(self.samples_ms))

    @property
    def median_ms(self) -> float:
        """The median, milliseconds."""
        return self.spread.median

    @property
    def q1(self) -> float:
        """The lower quartile, milliseconds."""
        return self.spread.q1

    @property
    def q3(self) -> float:
        """The upper quartile, milliseconds."""
        return self.spread.q3


@dataclass(frozen=True)
class LatencyComparison:
    """Times of several models from one set of interleaved rounds.

    Attributes:
        timings: By name.
        resolution: Side of the square input, or its height and width, in pixels; the batch is
            one image.
        runtime: Name of the runtime.
        threads: Threads it used.
        rounds: Timed rounds.
        machine: The machine in words, see `mnv3lib.measure.machine`.
    """

    timings: dict[str, Timing]
    resolution: Resolution
    runtime: str
    threads: int
    rounds: int
    machine: dict[str, object] = field(repr=False, default_factory=describe_machine)

    def __getitem__(self, name: str) -> Timing:
        if name not in self.timings:
            raise ValueError(f"no model {name!r} here: choose one of {', '.join(self.timings)}")
        return self.timings[name]

    def ratio(self, a: str, b: str) -> Spread:
        """Return how long `a` takes in units of `b`, from the ratios within each round."""
        paired = zip(self[a].samples_ms, self[b].samples_ms, strict=True)
        return Spread.of([first / second for first, second in paired])

    def rows(self) -> list[dict[str, object]]:
        """Return one row a model for a table: name, median, quartiles, difference from eager."""
        return [
            {
                "model": timing.name,
                "median_ms": timing.median_ms,
                "q1_ms": timing.q1,
                "q3_ms": timing.q3,
                "max_difference": timing.max_difference,
            }
            for timing in self.timings.values()
        ]

    def to_dict(self) -> dict[str, object]:
        """Return everything, samples included, ready for JSON."""
        samples = {name: list(timing.samples_ms) for name, timing in self.timings.items()}
        return {
            "protocol": str(self).splitlines()[0],
            "resolution": self.resolution,
            "runtime": self.runtime,
            "threads": self.threads,
            "rounds": self.rounds,
            "machine": self.machine,
            "models": self.rows(),
            "samples_ms": samples,
        }

    def __str__(self) -> str:
        plural = "thread" if self.threads == 1 else "threads"
        head = (
            f"{self.runtime}, {self.threads} {plural}, {size_text(self.resolution)}, batch 1: "
            f"median ms [quartiles] of {self.rounds} interleaved rounds"
        )
        width = max(map(len, self.timings))
        lines = [
            f"{t.name:<{width}}  {t.median_ms:8.2f}  [{t.q1:.2f}, {t.q3:.2f}]"
            for t in self.timings.values()
        ]
        return "\n".join([head, *lines])


def compare_latency(
    models: Mapping[str, nn.Module],
    resolution: Resolution | None = None,
    runtime: str = "eager",
    threads: int = 1,
    *,
    rounds: int = 30,
    warmup: int = 3,
    seconds: float | None = None,
    seed: int = 0,
) -> LatencyComparison:
    """Time several models side by side on one runtime.

    Eager runs each model as it is given, so the caller decides whether batch norm is folded and
    in which layout the weights lie (see `mnv3lib.deploy`); the other two runtimes do their own
    optimising. Compiling is not timed.

    Args:
        models: Modules that take an image, (1, 3, H, W), to one tensor, by name.
        resolution: Side of the square input, or height and width; the networks' own if None.
        runtime: "eager", "onnxruntime" or "executorch".
        threads: Threads to compute with.
        rounds: Timed rounds; each visits all models in a shuffled order.
        warmup: Rounds before those, whose times are thrown away.
        seconds: A time budget for the timed rounds, which replaces `rounds`.
        seed: Seed of the input image and of the order.

    Returns:
        The times.

    Raises:
        ValueError: No models, something that is not a module, a resolution below 32, fewer than
            one thread or round, or an unknown runtime.
        MissingRuntimeError: The runtime's package is not installed.
        WrongOutputError: The runtime's output differs from eager's.
    """
    _check_models(models)
    resolution = own_resolution(*models.values()) if resolution is None else resolution
    example = image(resolution, seed=seed)
    found = find_runtime(runtime)
    with found.threads(check_threads(threads)):
        sessions = _compile_all(models, example, runtime, threads)
        steps = {name: session.bind(example) for name, session in sessions.items()}
        samples = interleave(steps, rounds=rounds, warmup=warmup, seconds=seconds, seed=seed)
    timings = {
        name: Timing(name, tuple(samples[name]), done.max_difference)
        for name, done in sessions.items()
    }
    timed_rounds = len(next(iter(samples.values())))
    return LatencyComparison(timings, resolution, runtime, threads, timed_rounds)


def latency(
    model: nn.Module,
    resolution: Resolution | None = None,
    runtime: str = "eager",
    threads: int = 1,
    **protocol: float,
) -> Timing:
    """Time one model; see `compare_latency` for the arguments, the errors and `protocol`.

    Comparing two results of this function compares two moments of the machine: use
    `compare_latency` for that.
    """
    comparison = compare_latency({"model": model}, resolution, runtime, threads, **protocol)
    return comparison["model"]


def image(resolution: Resolution, *, seed: int = 0) -> Tensor:
    """Return one random image (1, 3, H, W), standard normal."""
    size = image_size(resolution)
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, 3, *size, generator=generator)


def _check_models(models: Mapping[str, nn.Module]) -> None:
    if not models:
        raise ValueError("nothing to time: give at least one model, as {name: model}")
    for name, model in models.items():
        if not isinstance(model, nn.Module):
            raise ValueError(
                f"model {name!r} must be a torch.nn.Module, got {type(model).__name__}: "
                "build it first, for instance with mnv3lib.create_model"
            )


def _compile_all(
    models: Mapping[str, nn.Module], example: Tensor, runtime: str, threads: int
) -> dict[str, Session]:
    """Compile every model, with a progress bar once it has taken two seconds."""
    bar = tqdm(models.items(), desc=f"compiling for {runtime}", delay=2, disable=None, leave=False)
    return {
        name: compile_model(model, example, runtime=runtime, threads=threads) for name, model in bar
    }
