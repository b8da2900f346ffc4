"""The loop: what each rule keeps, when it ends, and that an interruption changes nothing."""

import math
import pickle
from dataclasses import dataclass, field, replace

import pytest
import torch

from mnv3lib.models import Network, NetworkSpec
from mnv3lib.models.rows import BneckRow, ConvRow, DenseRow, PoolRow
from mnv3lib.search.adaptation import AdaptSettings, Trial, select
from mnv3lib.search.adaptation_files import load_adaptation
from mnv3lib.search.cut_schedule import CutSchedule, UnreachableError
from mnv3lib.search.netadapt import Tuned, netadapt
from mnv3lib.search.row_costs import macs_at
from mnv3lib.search.shrinking import width_grid, width_groups
from mnv3lib.train.checkpoint import CheckpointError

SPEC = NetworkSpec(
    "tiny",
    (
        ConvRow(3, 16, "relu", 2),
        BneckRow(3, 40, 16, False, "relu"),
        BneckRow(3, 48, 24, True, "hard_swish", 2),
        PoolRow(),
        DenseRow(3),
    ),
    "made up",
)
MACS = macs_at(32)
START = MACS(SPEC)
SETTINGS = AdaptSettings(CutSchedule(delta=0.06))


class Interrupted(Exception):
    """Stands for whatever ends a process half way."""


@dataclass
class Training:
    """Stands for a short training: changes the weights, and measures something that they decide."""

    fails_after: float = math.inf
    widths: list = field(default_factory=list)

    def __call__(self, network):
        if len(self.widths) >= self.fails_after:
            raise Interrupted
        self.widths.append([group.width for group in width_groups(network.spec)])
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(0.9).add_(0.01)
        total = sum(p.abs().mean().item() for p in network.parameters())
        return Tuned(0.5 + 0.4 * math.sin(100 * total), network)


class Backwards:
    """An executor whose workers see only what can be pickled, and finish in any order."""

    def map(self, function, items):
        for index in reversed(range(len(items))):
            copy, item = pickle.loads(pickle.dumps((function, items[index])))
            yield index, copy(item)


def start_network():
    return Network(SPEC, generator=torch.Generator().manual_seed(0))


def adapt(tune=None, settings=SETTINGS, target=0.5 * START, **options):
    options = {"latency": MACS, "accuracy": 0.6, "target_ms": target, **options}
    return netadapt(start_network(), settings, tune=tune or Training(), **options)


def same(a, b):
    weights = zip(a.network.state_dict().items(), b.network.state_dict().items(), strict=True)
    return (
        a.network.spec == b.network.spec
        and a.steps == b.steps
        and all(n == m and torch.equal(v, w) for (n, v), (m, w) in weights)
    )


# --- rules -------------------------------------------------------------------------------------

BEFORE = {"accuracy": 0.75, "latency_ms": 10.0}


@pytest.mark.parametrize(
    ("trials", "by_accuracy", "by_ratio"),
    [
        ([(9.0, 0.74), (6.0, 0.73)], 0, 1),  # loses 1 point and 0.5 points a millisecond
        ([(9.0, 0.76), (6.0, 0.77)], 1, 0),  # gains: the ratio prefers the small cut
        ([(9.0, 0.74), (6.0, 0.75)], 1, 1),
        ([(9.0, 0.75), (6.0, 0.75)], 0, 0),  # ties go to the first, however much others save
        ([(8.0, 0.625), (6.0, 0.5)], 0, 0),  # equal ratios
    ],
)
def test_rules(trials, by_accuracy, by_ratio):
    found = [Trial(index, 8, *trial) for index, trial in enumerate(trials)]
    assert select(found, "accuracy", **BEFORE) == by_accuracy
    assert select(found, "ratio", **BEFORE) == by_ratio


def test_an_accuracy_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="the trial of group 3 is nan"):
        select([Trial(3, 8, 9.0, math.nan)], "ratio", **BEFORE)


@pytest.mark.parametrize(("name", "known"), [("rule", "'ratio'"), ("keep", "'l2'")])
def test_unknown_settings_are_refused(name, known):
    with pytest.raises(ValueError, match=f"unknown {name} 'best'.*{known}"):
        AdaptSettings(**{name: "best"})


# --- the loop ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["ratio", "accuracy"])
@pytest.mark.parametrize("decay", [1.0, 0.98])
def test_every_step_saves_its_cut(rule, decay):
    cuts = CutSchedule(delta=0.06, decay=decay)
    run = adapt(settings=AdaptSettings(cuts, rule=rule, keep="l2"))
    latencies = [run.start_ms, *(step.kept.latency_ms for step in run.steps)]
    for step, before, after in zip(run.steps, latencies[:-1], latencies[1:], strict=True):
        assert step.cut_ms == pytest.approx(0.06 * START * decay ** (step.number - 1))
        assert after <= before - step.cut_ms
    assert latencies[-1] == run.latency_ms == MACS(run.network.spec)
    assert latencies[-1] <= 0.5 * START < latencies[-2]
    grid = width_grid(SPEC)
    assert all(
        group.width in (start.width, *grid[start.index])
        for group, start in zip(width_groups(run.network.spec), width_groups(SPEC), strict=True)
    )


def test_the_kept_trial_is_the_best_and_its_weights_go_on():
    training = Training()
    run = adapt(training, AdaptSettings(CutSchedule(0.06), rule="accuracy"))
    for step in run.steps:
        assert step.kept.accuracy == max(trial.accuracy for trial in step.trials)
    assert run.accuracy == run.steps[-1].kept.accuracy
    assert len(training.widths) == sum(len(step.trials) for step in run.steps)
    # 0.9 w + 0.01 at each step, for a weight that all steps keep.
    weight = start_network().rows[4].linear.bias[0].item()
    for _ in run.steps:
        weight = 0.9 * weight + 0.01
    assert run.network.rows[4].linear.bias[0].item() == pytest.approx(weight, rel=1e-5)


def test_the_executor_makes_no_difference():
    assert same(adapt(), adapt(executor=Backwards()))


def test_each_step_is_told():
    seen = []
    run = adapt(on_step=lambda run: seen.append((len(run.steps), run.latency_ms)))
    assert seen == [(step.number, step.kept.latency_ms) for step in run.steps]


def test_the_smallest_share_is_kept():
    settings = AdaptSettings(CutSchedule(0.05), smallest_share=0.5)
    run = adapt(settings=settings, target=0.6 * START)
    pairs = zip(width_groups(run.network.spec), width_groups(SPEC), strict=True)
    assert all(group.width >= 0.5 * start.width for group, start in pairs)


# --- an end half way ---------------------------------------------------------------------------


@pytest.mark.parametrize("fails_after", [0, 1, 5, 9])
def test_an_interrupted_run_ends_the_same(tmp_path, fails_after):
    whole, first, second = Training(), Training(fails_after), Training()
    expected = adapt(whole)
    with pytest.raises(Interrupted):
        adapt(first, folder=tmp_path)
    resumed = adapt(second, folder=tmp_path, resume=True)
    assert same(resumed, expected)
    assert first.widths + second.widths == whole.widths  # no trial was lost, none made twice
    assert [file.name for file in tmp_path.iterdir()] == ["adaptation.safetensors"]
    assert same(load_adaptation(tmp_path), expected)


def test_a_finished_run_can_go_on_to_a_lower_target(tmp_path):
    expected = adapt(target=0.4 * START)
    adapt(target=0.6 * START, folder=tmp_path)
    assert same(adapt(target=0.4 * START, folder=tmp_path, resume=True), expected)
    again = Training()
    adapt(again, target=0.4 * START, folder=tmp_path, resume=True)
    assert again.widths == []


def test_a_folder_in_use_is_not_overwritten(tmp_path):
    adapt(folder=tmp_path, target=0.9 * START)
    with pytest.raises(FileExistsError, match="already holds a run: resume it"):
        adapt(folder=tmp_path)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"settings": AdaptSettings(CutSchedule(0.05))}, "cuts"),
        ({"settings": replace(SETTINGS, rule="accuracy")}, "rule"),
        ({"latency": macs_at(64), "target": 0.5 * macs_at(64)(SPEC)}, "start_ms"),
        ({"accuracy": 0.7}, "start_accuracy"),
    ],
)
def test_another_run_is_not_resumed(tmp_path, changes, name):
    adapt(folder=tmp_path, target=0.9 * START)
    with pytest.raises(CheckpointError, match=f"holds a run with another {name}"):
        adapt(folder=tmp_path, resume=True, **changes)


def test_a_damaged_state_is_named(tmp_path):
    (tmp_path / "adaptation.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="is damaged"):
        adapt(folder=tmp_path, resume=True)


# --- bad input ---------------------------------------------------------------------------------


def test_a_target_that_is_met_already():
    with pytest.raises(ValueError, match="there is nothing to adapt"):
        adapt(target=START)


def test_cuts_that_never_add_up_are_refused_before_any_training():
    training = Training()
    with pytest.raises(UnreachableError, match=r"add up to less than 50\.0%") as caught:
        adapt(training, AdaptSettings(CutSchedule(0.05, 0.9)), target=0.3 * START)
    assert caught.value.reached is None
    assert training.widths == []


def test_a_target_below_the_grid_says_how_far_it_came(tmp_path):
    with pytest.raises(
        UnreachableError, match=r"no group can save another .* steps came"
    ) as caught:
        adapt(target=0.01 * START, folder=tmp_path)
    reached = caught.value.reached
    assert reached.latency_ms < 0.6 * START
    assert same(load_adaptation(tmp_path), reached)


def test_training_another_network_is_refused():
    def swap(network):
        return Tuned(0.5, start_network())

    with pytest.raises(ValueError, match="gave back another table"):
        adapt(swap)
