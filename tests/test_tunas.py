"""TuNAS: its controller by hand, its schedule, and that it finds what is best in a small space."""

import math
from dataclasses import replace

import pytest
import torch

from mnv3lib.search import MNASNET, SMALL_32, Evaluation, StageOptions, run_search, sample_codes
from mnv3lib.search.absolute_reward import AbsoluteReward
from mnv3lib.search.encoding import from_ranks
from mnv3lib.search.independent_controller import IndependentController
from mnv3lib.search.policy_gradient import reinforce_loss
from mnv3lib.search.tunas import TuNAS

# Two open choices among six: two kernels, three depths.
TINY = replace(
    MNASNET,
    name="tiny",
    stages=(StageOptions(("conv",), (3, 5), (False,), ("none",), (8,), (1, 2, 3)),),
)
KERNEL, LAYERS = 1, 5
EVERY = from_ranks(TINY, torch.arange(TINY.cardinality))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- the controller --------------------------------------------------------------------------


@pytest.mark.parametrize("space", [TINY, SMALL_32])
def test_at_the_start_every_point_is_equally_probable(space):
    codes = sample_codes(space, 5, seeded())
    log_prob, entropy = IndependentController(space)(codes)
    expected = math.log(space.cardinality)
    assert log_prob.tolist() == pytest.approx([-expected] * 5, abs=1e-12)
    assert entropy.tolist() == pytest.approx([expected] * 5, abs=1e-12)


def test_log_probability_of_a_single_choice():
    controller = IndependentController(TINY)
    with torch.no_grad():
        controller.logits[LAYERS, :3] = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    log_prob, _ = controller(torch.tensor([[0, 1, 0, 0, 0, 2]]))
    softmax = math.exp(3) / (math.exp(1) + math.exp(2) + math.exp(3))
    assert log_prob.item() == pytest.approx(math.log(softmax / 2), abs=1e-12)
    assert controller(EVERY)[0].exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert controller.most_probable().tolist() == [0, 0, 0, 0, 0, 2]
    assert [len(p) for p in controller.probabilities()] == list(TINY.sizes)


def test_gradient_is_minus_advantage_times_onehot_less_softmax():
    controller = IndependentController(TINY)
    with torch.no_grad():
        controller.logits[LAYERS, :3] = torch.tensor([0.5, -0.5, 0.0], dtype=torch.float64)
    softmax = controller.logits[LAYERS, :3].detach().softmax(0)
    log_prob, _ = controller(torch.tensor([[0, 0, 0, 0, 0, 1]]))
    reinforce_loss(log_prob, torch.tensor([0.7], dtype=torch.float64)).backward()
    one_hot = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(controller.logits.grad[LAYERS, :3], -0.7 * (one_hot - softmax))
    assert controller.logits.grad[0].abs().sum() == 0  # a choice with a single option


def test_samples_follow_the_probabilities():
    controller = IndependentController(TINY)
    with torch.no_grad():
        controller.logits[LAYERS, :3] = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64).log()
    codes = controller.sample(4000, seeded())
    shares = torch.bincount(codes[:, LAYERS], minlength=3) / 4000
    assert shares.tolist() == pytest.approx([0.6, 0.3, 0.1], abs=0.03)
    assert codes[:, 0].unique().tolist() == [0]


# --- the searcher ----------------------------------------------------------------------------


def test_nothing_is_learned_in_the_first_quarter_and_the_rate_grows_tenfold():
    searcher = TuNAS(TINY, 0, steps=100, learning_rate=0.01)
    assert searcher.learning_rate_at(24) == 0
    assert searcher.learning_rate_at(25) == pytest.approx(0.01 * 10**0.25)
    assert searcher.learning_rate_at(50) == pytest.approx(0.01 * 10**0.5)
    assert searcher.learning_rate_at(100) == pytest.approx(0.1)
    for _ in range(25):
        searcher.tell(searcher.ask(), torch.rand(1, generator=seeded(), dtype=torch.float64))
    assert searcher.controller.logits.abs().max() == 0
    searcher.tell(torch.zeros(1, 6, dtype=torch.int64), torch.tensor([9.0], dtype=torch.float64))
    assert searcher.controller.logits[KERNEL].tolist()[0] > 0


def test_baseline_is_a_moving_average():
    searcher = TuNAS(TINY, 0, steps=10, baseline_decay=0.5)
    for reward in (1.0, 0.0, 1.0):
        searcher.tell(searcher.ask(), torch.tensor([reward], dtype=torch.float64))
    assert searcher.baseline == pytest.approx(0.5 * (0.5 * 1 + 0.5 * 0) + 0.5 * 1)


def quality(codes: torch.Tensor) -> torch.Tensor:
    """Deeper is better, a larger kernel a little."""
    return 0.2 * codes[:, LAYERS] + 0.05 * codes[:, KERNEL] + 0.3


def cost(codes: torch.Tensor) -> torch.Tensor:
    return (codes[:, LAYERS] + 1) * (1.0 + codes[:, KERNEL])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("beta", "kernel", "layers"),
    [
        (-0.01, 1, 2),  # the cost hardly matters: the largest
        (-0.5, 0, 1),  # of the two points at the target, the one of higher quality
    ],
)
def test_finds_the_best_point_of_a_small_space(seed, beta, kernel, layers):
    reward = AbsoluteReward(target=2.0, beta=beta)
    searcher = TuNAS(TINY, seed, steps=600, learning_rate=0.02)
    history = run_search(
        searcher, lambda codes: Evaluation(quality(codes), cost(codes)), reward, budget=600, batch=1
    )
    assert len(history.rewards) == 600
    found = searcher.found()
    assert found[[KERNEL, LAYERS]].tolist() == [kernel, layers]
    best = EVERY[reward(quality(EVERY), cost(EVERY)).argmax()]
    assert torch.equal(found, best)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "at least one step"),
        ({"steps": 1, "learning_rate": 0.0}, "learning rate above 0"),
        ({"steps": 1, "warmup": 1.0}, r"in \[0, 1\)"),
        ({"steps": 1, "baseline_decay": -0.1}, r"in \[0, 1\)"),
    ],
)
def test_refuses_settings(options, message):
    with pytest.raises(ValueError, match=message):
        TuNAS(TINY, 0, **options)
