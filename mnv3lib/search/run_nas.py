"""An architecture search by a recipe, from its first candidate to its file (chapter 8).

A searcher is deterministic given its seed, so a search that is interrupted is simply repeated:
trainings that are finished are files in its folder and cost nothing the second time. At the end
the folder holds ``network.json``, the table of the best candidate, and ``run.json``.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from mnv3lib.executors import Executor, make_executor
from mnv3lib.measure import compare_latency
from mnv3lib.models import NetworkSpec, deploy
from mnv3lib.models.tables import to_table
from mnv3lib.runs import write_run
from mnv3lib.search.benchmark import RecordedLatency, load_benchmark, load_latency
from mnv3lib.search.candidates import ShortTraining, TrainedCandidates
from mnv3lib.search.encoding import decode
from mnv3lib.search.history import Evaluator, History, Searcher, run_search
from mnv3lib.search.nas_recipe import NasRecipe
from mnv3lib.search.networks import network_of, spec_of
from mnv3lib.search.search_folder import claim_folder, stoppable, without_folders, write_network
from mnv3lib.search.searchers import SEARCHERS
from mnv3lib.search.space import Space
from mnv3lib.search.stage import Point

__all__ = ["Candidate", "NasRun", "make_searcher", "run_nas"]


@dataclass(frozen=True)
class Candidate:
    """A candidate at the end of a search.

    Attributes:
        code: Its code.
        accuracy: A share.
        latency_ms: Milliseconds: measured for finalists, else by the table.
        reward: What accuracy and this latency are worth.
        table_ms: Milliseconds by the table.
    """

    code: tuple[int, ...]
    accuracy: float
    latency_ms: float
    reward: float
    table_ms: float


@dataclass(frozen=True, eq=False)
class NasRun:
    """A finished search.

    Attributes:
        recipe: Its recipe.
        seed: The seed of the searcher.
        latency: Latencies of its space.
        history: All evaluations.
        finalists: Those that were measured on the runtime, the best first; perhaps none.
    """

    recipe: NasRecipe
    seed: int
    latency: RecordedLatency = field(repr=False)
    history: History = field(repr=False)
    finalists: tuple[Candidate, ...] = ()

    @property
    def best(self) -> Candidate:
        """The best finalist, or the best of the history."""
        return self.finalists[0] if self.finalists else _candidate(self.history, self.history.best)

    @property
    def point(self) -> Point:
        """The best candidate as a point of the space."""
        return decode(self.latency.space, torch.tensor([self.best.code]))[0]

    @property
    def spec(self) -> NetworkSpec:
        """The table of the best candidate."""
        return spec_of(self.latency.space, self.point).with_classes(self.latency.classes)

    @property
    def metrics(self) -> dict[str, Any]:
        """All results, ready for JSON."""
        series = {name: values.tolist() for name, values in vars(self.history).items()}
        return {
            "space": self.latency.space.name,
            "evaluations": len(self.history.rewards),
            "best": vars(self.best),
            "finalists": [vars(candidate) for candidate in self.finalists],
            "table": to_table(self.spec),
            "history": series,
        }


def make_searcher(recipe: NasRecipe, space: Space, seed: int) -> Searcher:
    """The searcher of a recipe.

    Args:
        recipe: The recipe.
        space: The space to search.
        seed: Decides all that is random in it.
    """
    options = recipe.searcher.model_dump(exclude={"name"}, exclude_none=True)
    return SEARCHERS[recipe.searcher.name](space, seed, **options)


def run_nas(
    recipe: NasRecipe,
    *,
    out: Path,
    name: str = "nas",
    command: str = "",
    seed: int = 0,
    resume: bool = False,
    root: str | None = None,
    on_batch: Callable[[History], None] | None = None,
) -> NasRun:
    """Searches, and writes down what came out.

    Args:
        recipe: The recipe, see :func:`mnv3lib.search.nas_recipe.load_nas`.
        out: Folder of the search.
        name: Name of the recorded run.
        command: What to type to repeat it, for the record.
        seed: Decides all that is random in the searcher.
        resume: Go on with the search that `out` holds, if there is one.
        root: Where the data lie; see :func:`mnv3lib.data.load_dataset`.
        on_batch: See :func:`mnv3lib.search.run_search`.

    Raises:
        FileExistsError: `out` holds a search, and `resume` is not asked for.
        FileNotFoundError: A recorded run or the data are not there.
        ValueError: The recipe does not fit the recorded runs, or `out` holds another search.
        MissingRowsError: The latency table lacks a row of the space.
        WorkerDiedError: A worker died again and again; what is finished stays.
        Stopped: A signal asked for it; what is finished stays.
    """
    started, start = datetime.now(UTC), time.perf_counter()
    latency = _latency(recipe)
    searcher, reward = make_searcher(recipe, latency.space, seed), recipe.reward.build()
    decisive = recipe.model_dump(mode="json", exclude={"source", "final", "executor"})
    claim_folder(out, {"seed": seed, **decisive}, resume=resume)
    with stoppable(out), ExitStack() as stack:
        executor = stack.enter_context(make_executor(**recipe.executor.model_dump()))
        evaluate = _evaluator(recipe, latency, out, executor, root)
        length = recipe.search.model_dump(include={"budget", "batch"})
        history = run_search(searcher, evaluate, reward, **length, on_batch=on_batch)
        run = NasRun(recipe, seed, latency, history, _finalists(recipe, latency, history))
    write_network(out, run.spec)
    write_run(
        name,
        command=command,
        config=without_folders(recipe.model_dump(mode="json", exclude_none=True)),
        seeds=[seed],
        metrics=run.metrics,
        started=started,
        duration_s=time.perf_counter() - start,
        path=out / "run.json",
    )
    return run


def _latency(recipe: NasRecipe) -> RecordedLatency:
    """The recorded latencies, if they are about the recipe's space."""
    found = load_latency(recipe.candidates.latencies)
    if found.space.name != recipe.search.space:
        raise ValueError(
            f"the latencies of {recipe.candidates.latencies} are about the space "
            f"{found.space.name}, not about {recipe.search.space}: name another recorded run"
        )
    return found


def _evaluator(
    recipe: NasRecipe, latency: RecordedLatency, out: Path, executor: Executor, root: str | None
) -> Evaluator:
    candidates = recipe.candidates
    if candidates.by == "benchmark":
        return load_benchmark(candidates.trained, latency)
    training = ShortTraining(
        candidates.load(), out / "trainings", seeds=candidates.seeds, executor=executor, root=root
    )
    return TrainedCandidates(latency.space, training, latency.latency)


def _finalists(
    recipe: NasRecipe, latency: RecordedLatency, history: History
) -> tuple[Candidate, ...]:
    """The best different candidates, measured side by side on the runtime of the table."""
    order = history.rewards.argsort(descending=True, stable=True).tolist()
    unique = {tuple(history.codes[at].tolist()): at for at in reversed(order)}
    chosen = sorted(unique.values(), key=order.index)[: recipe.final.measure]
    if not chosen:
        return ()
    points = decode(latency.space, history.codes[chosen])
    networks = {
        str(at): deploy(network_of(latency.space, point, num_classes=latency.classes))
        for at, point in zip(chosen, points, strict=True)
    }
    where = (latency.resolution, latency.runtime, latency.threads)
    measured = compare_latency(networks, *where, rounds=recipe.final.rounds)
    reward = recipe.reward.build()
    found = [_candidate(history, at, measured[str(at)].median_ms, reward) for at in chosen]
    return tuple(sorted(found, key=lambda candidate: -candidate.reward))


def _candidate(
    history: History, at: int, measured_ms: float | None = None, reward: Callable | None = None
) -> Candidate:
    accuracy, table_ms = history.accuracy[at].item(), history.latency_ms[at].item()
    by_table = measured_ms is None
    return Candidate(
        tuple(history.codes[at].tolist()),
        accuracy,
        latency_ms=table_ms if by_table else measured_ms,
        reward=history.rewards[at].item() if by_table else reward(accuracy, measured_ms),
        table_ms=table_ms,
    )
