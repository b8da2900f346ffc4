"""NetAdapt: trims the widths of a network, step by step, to a latency (chapter 9).

Each step proposes, for every group of widths, the network in which this group alone pays the
step's cut; gives each the weights of the network before; trains it for a short while; and keeps
one. Steps repeat until the target is met; what they found is a table, to be trained from scratch.

Sources: arXiv 1804.03230 (NetAdapt); arXiv 1905.02244 (final version), section 4.2, for the rule
that chooses, the 1 % a step and the training from scratch. The last step makes a full cut, too, so
the result may lie below the target by about as much.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from mnv3lib.executors import Executor, InProcess
from mnv3lib.models import Network
from mnv3lib.search.adaptation import Adaptation, AdaptSettings, Step, Trial, select
from mnv3lib.search.adaptation_files import AdaptationFolder
from mnv3lib.search.carry_over import carry_over
from mnv3lib.search.cut_schedule import UnreachableError
from mnv3lib.search.proposals import Latency, Proposal, propose
from mnv3lib.search.shrinking import WidthGrid, width_grid

__all__ = ["Tune", "Tuned", "netadapt"]


class Tuned(NamedTuple):
    """A proposal after its short training.

    Attributes:
        accuracy: A share.
        network: The trained network, of the same table.
    """

    accuracy: float
    network: Network


Tune = Callable[[Network], Tuned]


def netadapt(
    network: Network,
    settings: AdaptSettings | None = None,
    *,
    latency: Latency,
    tune: Tune,
    accuracy: float,
    target_ms: float,
    executor: Executor | None = None,
    folder: Path | None = None,
    resume: bool = False,
    on_step: Callable[[Adaptation], object] | None = None,
) -> Adaptation:
    """Adapts a network to a latency.

    Args:
        network: The trained network to start from.
        settings: Cuts, rules and grid; MobileNetV3's where not given.
        latency: From a table to milliseconds, for instance
            :func:`mnv3lib.search.row_costs.table_latency_at`.
        tune: Trains a proposal for a short while and measures it. It may change the network that it
            gets. It must give the same for the same network, for runs to be repeatable and
            resumable; and be picklable, for executors with processes.
        accuracy: Accuracy of `network`, measured as `tune` does.
        target_ms: Latency to come down to.
        executor: Where the proposals of a step are trained; in this process if not given.
        folder: Keeps the state here; without one nothing is written.
        resume: Go on from the state in `folder` if there is one. The target may be another.
        on_step: Called after each step with the run so far.

    Returns:
        The run. Train its network's table from scratch.

    Raises:
        UnreachableError: The cuts never add up to the target, or no group can save a step's cut
            any more; its attribute ``reached`` then is the run so far.
        ValueError: A target not below the present latency, or a network that does not fit.
        FileExistsError: The folder holds a run, and `resume` is not asked for.
        CheckpointError: The folder holds another run, or a damaged one.
        MissingRowsError: A latency table lacks a row.
    """
    settings = settings or AdaptSettings()
    run = Adaptation(network.spec, latency(network.spec), accuracy, network)
    settings.cuts.check_target(run.start_ms, target_ms)
    files = None if folder is None else AdaptationFolder(folder, settings)
    run = run if files is None else files.open(run, resume=resume)
    stepper = _Stepper(settings, latency, tune, executor or InProcess(), files)
    while run.latency_ms > target_ms:
        run = stepper.step(run, target_ms)
        if files is not None:
            files.keep(run)
        if on_step is not None:
            on_step(run)
    return run


@dataclass(frozen=True)
class _Tuning:
    """Builds a proposal with the weights before, and trains it; where, the executor decides."""

    before: Network
    settings: AdaptSettings
    tune: Tune

    def __call__(self, proposal: Proposal) -> Tuned:
        kept = self.settings.keep
        tuned = Tuned(*self.tune(carry_over(self.before, proposal.group, proposal.width, kept)))
        if tuned.network.spec != proposal.spec:
            raise ValueError(
                f"tune gave back another table than that of the proposal for group "
                f"{proposal.group.index}: it has to train the network that it gets"
            )
        return tuned


@dataclass(frozen=True)
class _Stepper:
    """Makes single steps."""

    settings: AdaptSettings
    latency: Latency
    tune: Tune
    executor: Executor
    files: AdaptationFolder | None = field(default=None)

    def step(self, run: Adaptation, target_ms: float) -> Adaptation:
        """The run with one more step."""
        number = len(run.steps) + 1
        cut_ms = run.start_ms * self.settings.cuts.cut(number)
        proposals = propose(run.network.spec, self.latency, cut_ms, self._grid(run))
        if not proposals:
            raise UnreachableError(_no_way(run, cut_ms, target_ms), reached=run)
        tuned = self._tune_all(number, proposals, run)
        trials = tuple(_trial(p, t.accuracy) for p, t in zip(proposals, tuned, strict=True))
        before = {"accuracy": run.accuracy, "latency_ms": run.latency_ms}
        best = select(trials, self.settings.rule, **before)
        step = Step(number, cut_ms, proposals[best].group.width, trials[best], trials)
        return replace(run, network=tuned[best].network, steps=(*run.steps, step))

    def _grid(self, run: Adaptation) -> WidthGrid:
        return width_grid(run.start, self.settings.divisor, self.settings.smallest_share)

    def _tune_all(self, number: int, proposals: list[Proposal], run: Adaptation) -> list[Tuned]:
        """Trains the proposals of a step, but for those that an interrupted run has trained."""
        tuned: dict[int, Tuned] = {}
        for index, proposal in enumerate(proposals):
            found = None if self.files is None else self.files.find_trial(number, proposal)
            if found is not None:
                tuned[index] = Tuned(*found)
        rest = [index for index in range(len(proposals)) if index not in tuned]
        tuning = _Tuning(run.network, self.settings, self.tune)
        results = self.executor.map(tuning, [proposals[index] for index in rest])
        label = f"step {number}, {run.latency_ms:.4g} ms"
        for at, result in tqdm(results, label, len(rest), delay=2, disable=None, leave=False):
            index = rest[at]
            tuned[index] = result
            if self.files is not None:
                trial = _trial(proposals[index], result.accuracy)
                self.files.keep_trial(number, trial, result.network)
        return [tuned[index] for index in range(len(proposals))]


def _trial(proposal: Proposal, accuracy: float) -> Trial:
    return Trial(proposal.group.index, proposal.width, proposal.latency_ms, float(accuracy))


def _no_way(run: Adaptation, cut_ms: float, target_ms: float) -> str:
    return (
        f"no group can save another {cut_ms:.4g} ms: {len(run.steps)} steps came from "
        f"{run.start_ms:.4g} down to {run.latency_ms:.4g} ms, the target is {target_ms:.4g}; "
        "take a smaller delta or divisor, allow smaller widths, or aim higher"
    )
