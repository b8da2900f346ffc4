"""The loop of a search, random search and evolution: by hand, and what holds for all of them."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnv3lib.search import MNASNET, SMALL_32, Reward, Space, StageOptions, sample_codes
from mnv3lib.search.encoding import check_codes, ranks
from mnv3lib.search.evolution import RegularizedEvolution, mutate_codes
from mnv3lib.search.history import Evaluation, History, run_search
from mnv3lib.search.policy_gradient import PPO, Reinforce
from mnv3lib.search.random_search import RandomSearch

SEARCHERS = [RandomSearch, RegularizedEvolution, Reinforce, PPO]
seeds = st.integers(0, 2**32)
AT_TARGET = Reward.soft(1)  # latencies of 1 leave the accuracy as it is


def tiny(**options) -> Space:
    """A space of one stage, in which only `options` can be chosen."""
    content = {
        "op": ("conv",), "kernel": (3,), "se": (False,), "skip": ("none",), "filters": (8,),
        "layers": (1,),
    }  # fmt: skip
    return replace(MNASNET, name="tiny", stages=(StageOptions(**{**content, **options}),))


def reward_of(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def copy_of(generator: torch.Generator) -> torch.Generator:
    copy = torch.Generator()
    copy.set_state(generator.get_state())
    return copy


def drawn(space: Space, count: int, seed: int = 0) -> torch.Tensor:
    return sample_codes(space, count, torch.Generator().manual_seed(seed))


def height(codes: torch.Tensor) -> Evaluation:
    """Accuracy grows with every index; all are equally fast. A point at random has one half."""
    highest = sum(SMALL_32.sizes) - len(SMALL_32.sizes)
    return Evaluation(codes.double().sum(1) / highest, torch.ones(len(codes), dtype=torch.float64))


# --- the loop ----------------------------------------------------------------------------------


class Scripted:
    """A searcher that proposes given points and remembers what it was told."""

    def __init__(self, codes):
        self.codes = list(codes)
        self.told = []

    def ask(self, count):
        asked, self.codes = self.codes[:count], self.codes[count:]
        return torch.stack(asked)

    def tell(self, codes, rewards):
        self.told.append((codes, rewards))


def test_a_search_by_hand():
    # Two batches of two and a rest of one; latencies at and beyond a hard target of 1.
    searcher, parts = Scripted(drawn(SMALL_32, 5)), []
    accuracy, latency = iter([[0.5, 0.6], [0.8, 0.6], [0.3]]), iter([[1, 1], [2, 1], [0.5]])

    def evaluate(codes):
        return Evaluation(reward_of(next(accuracy)), reward_of(next(latency)))

    history = run_search(
        searcher, evaluate, Reward.hard(1), budget=5, batch=2, on_batch=parts.append
    )
    assert history.rewards.tolist() == [0.5, 0.6, 0.4, 0.6, 0.3]
    assert history.best == 1  # the first of two that are equal
    assert history.best_so_far.tolist() == [0.5, 0.6, 0.6, 0.6, 0.6]
    assert history.accuracy.tolist() == [0.5, 0.6, 0.8, 0.6, 0.3]
    assert history.latency_ms.tolist() == [1, 1, 2, 1, 0.5]
    assert torch.equal(history.codes, drawn(SMALL_32, 5))
    assert [rewards.tolist() for _, rewards in searcher.told] == [[0.5, 0.6], [0.4, 0.6], [0.3]]
    assert [part.accuracy.tolist() for part in parts] == [[0.5, 0.6], [0.8, 0.6], [0.3]]


def test_evaluations_become_float64():
    def evaluate(codes):
        return Evaluation(torch.full((len(codes),), 0.5), torch.ones(len(codes)))

    history = run_search(RandomSearch(SMALL_32, 0), evaluate, AT_TARGET, budget=2, batch=2)
    assert {field.dtype for field in vars(history).values()} == {torch.int64, torch.float64}


@pytest.mark.parametrize("searcher", SEARCHERS)
@pytest.mark.parametrize("space", [SMALL_32, MNASNET])
def test_seeds_decide(searcher, space):
    def first_kernel(codes) -> Evaluation:
        return Evaluation(codes[:, 1].double(), torch.ones(len(codes)))

    def search(seed) -> History:
        return run_search(searcher(space, seed), first_kernel, AT_TARGET, budget=70, batch=30)

    state = torch.get_rng_state()
    once, again, other = search(1), search(1), search(2)
    assert torch.equal(once.codes, again.codes)
    assert not torch.equal(once.codes, other.codes)
    assert torch.equal(torch.get_rng_state(), state)  # nothing comes from the global generator
    assert once.codes.shape == (70, len(space.sizes))
    check_codes(space, once.codes)


@pytest.mark.parametrize("searcher", SEARCHERS[1:])
def test_learning_beats_drawing(searcher):
    def last_rewards(searcher) -> float:
        found = run_search(searcher(SMALL_32, 0), height, AT_TARGET, budget=300, batch=10)
        return found.rewards[-100:].mean().item()

    assert last_rewards(RandomSearch) == pytest.approx(0.5, abs=0.05)
    assert last_rewards(searcher) > 0.75


@pytest.mark.parametrize(("budget", "batch"), [(0, 1), (5, 0), (5, 6), (-1, -1)])
def test_budgets_out_of_range(budget, batch):
    with pytest.raises(ValueError, match=f"got batch {batch} and budget {budget}"):
        run_search(RandomSearch(SMALL_32, 0), height, AT_TARGET, budget=budget, batch=batch)


@pytest.mark.parametrize(
    ("accuracy", "latency", "message"),
    [
        ([0.5, float("nan")], [1, 1], r"accuracy of candidate \[0, 0, 0, 0, 1, 0\] is nan"),
        ([0.5, 0.5], [float("inf"), 1], r"latency of candidate \[0, 0, 0, 0, 0, 0\] is inf"),
        ([0.5], [1, 1], r"2 candidates need one accuracy each, got the shape \(1,\)"),
        ([0.5, 0.5], [[1, 1]], r"2 candidates need one latency each, got the shape \(1, 2\)"),
        ([0.5, 75.0], [1, 1], r"accuracy must be a share in \[0, 1\], got 75"),
    ],
)
def test_bad_evaluations(accuracy, latency, message):
    codes = torch.tensor([[0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0]])
    evaluation = Evaluation(reward_of(accuracy), reward_of(latency))
    with pytest.raises(ValueError, match=message):
        run_search(Scripted(codes), lambda _: evaluation, AT_TARGET, budget=2, batch=2)


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_what_is_told_is_checked(searcher):
    codes = drawn(SMALL_32, 2)
    with pytest.raises(ValueError, match="2 candidates need one reward each"):
        searcher(SMALL_32, 0).tell(codes, reward_of([1]))
    with pytest.raises(ValueError, match=r"the reward of candidate .* is nan"):
        searcher(SMALL_32, 0).tell(codes, reward_of([1, float("nan")]))
    with pytest.raises(ValueError, match="codes of mnasnet are int64"):
        searcher(MNASNET, 0).tell(codes, reward_of([1, 1]))


# --- random search -----------------------------------------------------------------------------


def test_random_search_draws_every_point_once_a_round():
    space = tiny(kernel=(3, 5), layers=(1, 2, 3))
    searcher = RandomSearch(space, 0)
    drawn_ranks = torch.cat([ranks(space, searcher.ask(4)) for _ in range(3)]).tolist()
    assert Counter(drawn_ranks[:6]) == Counter(range(6))
    assert Counter(drawn_ranks[6:]) == Counter(range(6))


def test_random_search_does_not_repeat_itself():
    searcher = RandomSearch(SMALL_32, 0)
    codes = torch.cat([searcher.ask(500) for _ in range(4)])
    assert len(ranks(SMALL_32, codes).unique()) == 2000
    assert searcher.ask(0).shape == (0, len(SMALL_32.sizes))


# --- evolution ---------------------------------------------------------------------------------


def test_evolution_by_hand():
    # A single choice of two kernels: a mutation is the other kernel. Of twenty draws among two,
    # the better one is missing once in a million times.
    evolution = RegularizedEvolution(tiny(kernel=(3, 5)), 0, population=2, tournament=20)
    small, large = torch.zeros(1, 6, dtype=torch.int64), torch.zeros(1, 6, dtype=torch.int64)
    large[0, 1] = 1
    evolution.tell(small, reward_of([0.9]))
    evolution.tell(large, reward_of([0.1]))
    # 0.9 wins: its child is the large kernel. Lucky this time, the child gets 0.5.
    assert torch.equal(evolution.ask(1), large)
    evolution.tell(large, reward_of([0.5]))
    # The oldest is gone, the best though it was: large 0.1 and large 0.5 are left.
    assert evolution.rewards.tolist() == [0.1, 0.5]
    assert torch.equal(evolution.codes, torch.cat([large, large]))
    assert torch.equal(evolution.ask(1), small)
    evolution.tell(small, reward_of([0.2]))
    # large 0.5 wins against small 0.2.
    assert evolution.rewards.tolist() == [0.5, 0.2]
    assert torch.equal(evolution.ask(1), small)


def test_evolution_begins_at_random():
    evolution = RegularizedEvolution(SMALL_32, 0, population=4)
    for told in (0, 3):  # fewer than four
        assert len(evolution.codes) == told
        expected = sample_codes(SMALL_32, 3, copy_of(evolution.generator))
        codes = evolution.ask(3)
        assert torch.equal(codes, expected)
        evolution.tell(codes, reward_of([0.1, 0.2, 0.3]))
    assert evolution.rewards.tolist() == [0.3, 0.1, 0.2, 0.3]
    expected = sample_codes(SMALL_32, 3, copy_of(evolution.generator))
    assert not torch.equal(evolution.ask(3), expected)


def test_children_of_a_batch_have_parents_of_the_population():
    evolution = RegularizedEvolution(SMALL_32, 0, population=5, tournament=1)
    evolution.tell(drawn(SMALL_32, 5), reward_of([0.1] * 5))
    children = evolution.ask(50)
    changed = (children[:, None] != evolution.codes).sum(2).min(1).values  # (50,)
    assert changed.tolist() == [1] * 50


@given(seed=seeds, space=st.sampled_from([MNASNET, SMALL_32]), count=st.integers(0, 10))
def test_mutation_changes_exactly_one_choice(seed, space, count):
    codes = drawn(space, count, seed)
    before = codes.clone()
    mutated = mutate_codes(space, codes, torch.Generator().manual_seed(seed))
    check_codes(space, mutated)
    assert torch.equal(codes, before)
    assert (codes != mutated).sum(1).tolist() == [1] * count


def test_mutations_are_equally_likely():
    # Two open choices; the first has one other option, the second two.
    space = tiny(kernel=(3, 5), layers=(1, 2, 3))
    codes = torch.zeros(1200, 6, dtype=torch.int64)
    mutated = mutate_codes(space, codes, torch.Generator().manual_seed(0))
    times = Counter(map(tuple, mutated[:, [1, 5]].tolist()))
    assert times.keys() == {(1, 0), (0, 1), (0, 2)}
    assert abs(times[1, 0] - 600) < 5 * (1200 / 4) ** 0.5
    assert abs(times[0, 1] - 300) < 5 * (1200 * 3 / 16) ** 0.5


def test_evolution_refuses():
    with pytest.raises(ValueError, match="at least 1, got 0 and 10"):
        RegularizedEvolution(SMALL_32, 0, population=0)
    with pytest.raises(ValueError, match="at least 1, got 50 and 0"):
        RegularizedEvolution(SMALL_32, 0, tournament=0)
    with pytest.raises(ValueError, match="tiny has a single point: there is nothing to mutate"):
        RegularizedEvolution(tiny(), 0)
