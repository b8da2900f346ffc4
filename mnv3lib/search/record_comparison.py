"""Records searches over a benchmark, with many seeds: who finds more, and what w does (chapter 8).

    python -m mnv3lib.search.record_comparison --out data/runs/search-comparison.json

Each searcher has the same number of evaluations. The controller also searches with other rewards,
and the latencies of the last networks that it writes are kept.
"""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from mnv3lib.recorder import record_from_command_line
from mnv3lib.runs import RecordedRun, write_run
from mnv3lib.search.benchmark import Benchmark, load_benchmark
from mnv3lib.search.history import History, Searcher, run_search
from mnv3lib.search.policy_gradient import PPO
from mnv3lib.search.reward import Reward
from mnv3lib.search.searchers import SEARCHERS

__all__ = ["compare", "main", "possible_gain", "record", "rewards_at"]

_MODULE = "mnv3lib.search.record_comparison"
_LAST = 100  # networks at the end of a search that tell what the controller has come to write


def rewards_at(target_ms: float) -> dict[str, Reward]:
    """The rewards that are compared: the papers' soft ones, a stronger one, and the hard one."""
    soft = {f"w{w:g}": Reward.soft(target_ms, w) for w in (-0.07, -0.15, -0.4)}
    return {**soft, "hard": Reward.hard(target_ms)}


def possible_gain(benchmark: Benchmark, reward: Reward, found: Tensor) -> Tensor:
    """Where rewards lie between that of the mean network, 0, and that of the best one, 1.

    Args:
        benchmark: Knows all networks of its space.
        reward: The reward.
        found: Rewards, of any shape.
    """
    whole = reward(*benchmark(benchmark.every))
    return (found - whole.mean()) / (whole.max() - whole.mean())


def compare(benchmark: Benchmark, *, budget: int, batch: int, seeds: int) -> dict[str, Any]:
    """Runs all searches.

    Args:
        benchmark: Evaluates the networks.
        budget: Networks that each search evaluates.
        batch: Networks at a time.
        seeds: How many seeds, from 0.

    Returns:
        For each searcher its shares of the possible gain; for each reward, the mean and the
        deviation of the latencies that PPO came to write, over the target; and the differences
        that answer questions, all seed by seed.

    Raises:
        ValueError: A budget below the batch, or fewer than one of either.
    """
    target_ms = benchmark.latency(benchmark.every).median().item()
    rewards = rewards_at(target_ms)
    gains: dict[str, list[float]] = {name: [] for name in SEARCHERS}
    middles: dict[str, list[float]] = {name: [] for name in rewards}
    widths: dict[str, list[float]] = {name: [] for name in rewards}
    for seed in tqdm(range(seeds), "seeds", delay=2, disable=None, leave=False):

        def search(kind: Callable[..., Searcher], reward: Reward, seed: int = seed) -> History:
            searcher = kind(benchmark.space, seed)
            return run_search(searcher, benchmark, reward, budget=budget, batch=batch)

        for name, kind in SEARCHERS.items():
            best = search(kind, rewards["w-0.07"]).best_so_far[-1]
            gains[name].append(possible_gain(benchmark, rewards["w-0.07"], best).item())
        for name, reward in rewards.items():
            last = search(PPO, reward).latency_ms[-_LAST:] / target_ms
            middles[name].append(last.mean().item())
            widths[name].append(last.std().item())
    return {
        "target_ms": target_ms,
        "gain": gains,
        "latency_over_target": middles,
        "latency_deviation": widths,
        "differences": _differences(gains, middles, widths),
    }


def record(out: Path, *, budget: int = 300, batch: int = 10, seeds: int = 20) -> RecordedRun:
    """Runs the searches on the recorded benchmark and writes the run.

    Args:
        out: The run's file; its stem is the run's name.
        budget: Networks that each search evaluates.
        batch: Networks at a time.
        seeds: How many seeds, from 0.

    Returns:
        The run as written; its metrics are those of :func:`compare`.

    Raises:
        FileNotFoundError: The benchmark is not recorded.
        ValueError: As in :func:`compare`.
    """
    started, start = datetime.now(UTC), time.perf_counter()
    options = {"budget": budget, "batch": batch, "seeds": seeds}
    metrics = compare(load_benchmark(), **options)
    words = " ".join(f"--{name} {value}" for name, value in options.items())
    return write_run(
        out.stem,
        command=f"python -m {_MODULE} {words} --out data/runs/{out.name}",
        config={**options, "last": _LAST},
        seeds=list(range(seeds)),
        metrics=metrics,
        started=started,
        duration_s=time.perf_counter() - start,
        path=out,
    )


def _differences(
    gains: dict[str, list[float]], middles: dict[str, list[float]], widths: dict[str, list[float]]
) -> dict[str, list[float]]:
    """The questions, seed by seed: gains in points of the possible one, latencies over target."""
    asked = {
        **{f"{name}_over_random": (gains[name], gains["random"], 100) for name in SEARCHERS},
        "latency_saved_by_w": (middles["w-0.07"], middles["w-0.15"], 1),
        "spread_of_soft_over_hard": (widths["w-0.07"], widths["hard"], 1),
    }
    del asked["random_over_random"]
    return {
        question: [unit * (a - b) for a, b in zip(one, other, strict=True)]
        for question, (one, other, unit) in asked.items()
    }


def _describe(run: RecordedRun) -> str:
    lines = [
        f"{name}: {100 * sum(found) / len(found):.1f} % of the possible gain"
        for name, found in run.metrics["gain"].items()
    ]
    return "\n".join([*lines, f"{run.duration_s:.0f} s"])


def main(arguments: list[str] | None = None) -> int:
    """Records a run from the command line; see :mod:`mnv3lib.recorder`."""
    return record_from_command_line(
        record,
        module=_MODULE,
        summary=__doc__.splitlines()[0],
        describe=_describe,
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
