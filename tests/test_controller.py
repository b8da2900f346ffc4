"""The controller is a probability over the space, and its gradients are the exact ones."""

import math
from collections import Counter
from dataclasses import replace

import pytest
import torch

from mnv3lib.search import MNASNET, SMALL_32, Space, StageOptions, sample_codes
from mnv3lib.search.controller import Controller
from mnv3lib.search.encoding import from_ranks
from mnv3lib.search.policy_gradient import PPO, Reinforce, clipped_loss, reinforce_loss

# Two open choices among six: two kernels, three depths.
TINY = replace(
    MNASNET,
    name="tiny",
    stages=(StageOptions(("conv",), (3, 5), (False,), ("none",), (8,), (1, 2, 3)),),
)
KERNEL, LAYERS = 1, 5


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def controller_of(space: Space, hidden: int = 5, spread: float = 1.0) -> Controller:
    """A controller in float64 whose weights, and so whose probabilities, differ widely."""
    controller = Controller(space, hidden=hidden, generator=generator()).double()
    for weight in controller.parameters():
        torch.nn.init.normal_(weight, std=spread, generator=generator(weight.numel()))
    return controller


def every_code(space: Space) -> torch.Tensor:
    return from_ranks(space, torch.arange(space.cardinality))


def doubles(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


# --- a probability -----------------------------------------------------------------------------


@pytest.mark.parametrize("space", [TINY, SMALL_32])
def test_probabilities_of_the_space_add_up_to_1(space):
    log_prob, _ = controller_of(space)(every_code(space))
    assert log_prob.exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert log_prob.std() > 0.1  # and are not all the same


def test_the_chain_rule_by_hand():
    # Step by step with the parts: read the beginning, then each choice, and take the softmax.
    controller = controller_of(TINY)
    code = torch.tensor([[0, 1, 0, 0, 0, 2]])
    options = [9, 0, 2, 3, 4, 5, 8]  # beginning; op 0, kernels 1-2, se 3, skip 4, filters 5, ...
    memory, log_prob = None, 0.0
    for choice, (read, own) in enumerate(
        zip(options, [[0], [1, 2], [3], [4], [5], [6, 7, 8]], strict=False)
    ):
        output, memory = controller.lstm(controller.embedding(torch.tensor([[read]])), memory)
        probabilities = controller.head(output)[0, 0, own].softmax(0)
        log_prob += probabilities[own.index(options[choice + 1])].log().item()
    assert controller(code)[0].item() == pytest.approx(log_prob, abs=1e-12)


def test_single_options_are_certain():
    controller = controller_of(TINY)
    conditionals = controller.conditionals(every_code(TINY))  # (6, 6, 9)
    assert conditionals[:, 0, 0].tolist() == [0.0] * 6
    assert conditionals.exp()[:, 0, 1:].sum() == 0
    single = replace(TINY, stages=(StageOptions(("conv",), (3,), (False,), ("none",), (8,), (1,)),))
    log_prob, entropy = controller_of(single)(torch.zeros(1, 6, dtype=torch.int64))
    assert log_prob.item() == entropy.item() == 0
    assert torch.equal(controller_of(single).sample(3, generator()), torch.zeros(3, 6).long())


def test_samples_follow_the_probabilities():
    controller, count = controller_of(TINY), 6000
    times = Counter(map(tuple, controller.sample(count, generator()).tolist()))
    for code, log_prob in zip(every_code(TINY), controller(every_code(TINY))[0], strict=True):
        p = log_prob.exp().item()
        assert abs(times[tuple(code.tolist())] - count * p) < 5 * math.sqrt(count * p * (1 - p))


def test_entropy_is_that_of_the_distribution():
    # Weighted by their probabilities, sums over choices are minus the mean of log p.
    controller = controller_of(TINY)
    log_prob, entropy = controller(every_code(TINY))
    expected = -(log_prob.exp() * log_prob).sum()
    assert (log_prob.exp() * entropy).sum().item() == pytest.approx(expected.item(), abs=1e-12)


def test_a_fresh_controller_is_undecided():
    # Weights within 0.1 hardly tell options apart: ln n for each choice of n options.
    controller = Controller(SMALL_32, generator=generator())
    _, entropy = controller(sample_codes(SMALL_32, 20, generator()))
    expected = math.log(SMALL_32.cardinality)
    assert entropy.mean().item() == pytest.approx(expected, rel=0.01)
    assert max(weight.abs().max() for weight in controller.parameters()) <= 0.1


def test_marginals():
    controller = controller_of(TINY)
    found = controller.probabilities(4000, generator())
    exact = controller(every_code(TINY))[0].exp()
    assert [len(row) for row in found] == list(TINY.sizes)
    for choice in (KERNEL, LAYERS):
        for option in range(TINY.sizes[choice]):
            p = exact[every_code(TINY)[:, choice] == option].sum().item()
            assert found[choice][option].item() == pytest.approx(p, abs=0.04)
    assert found[0].tolist() == [1.0]


def test_controllers_refuse():
    with pytest.raises(ValueError, match="at least 1 hidden unit, got 0"):
        Controller(TINY, hidden=0, generator=generator())
    with pytest.raises(ValueError, match="codes of tiny are int64"):
        controller_of(TINY)(torch.zeros(1, 5, dtype=torch.int64))


# --- gradients ---------------------------------------------------------------------------------


def gradients(controller: Controller, value: torch.Tensor) -> torch.Tensor:
    found = torch.autograd.grad(value, list(controller.parameters()))
    return torch.cat([gradient.flatten() for gradient in found])


@pytest.mark.parametrize("baseline", [0.0, 0.7])
def test_reinforce_estimates_the_gradient_of_the_expected_reward(baseline):
    # Averaged over all codes by their probability, the estimate is the exact gradient.
    controller, codes = controller_of(TINY), every_code(TINY)
    rewards = doubles([0.3, 0.9, 0.1, 0.5, 0.2, 0.8])
    exact = gradients(controller, (controller(codes)[0].exp() * rewards).sum())
    estimate = torch.zeros_like(exact)
    for code, reward in zip(codes.split(1), rewards.split(1), strict=True):
        log_prob, _ = controller(code)
        loss = reinforce_loss(log_prob, reward - baseline)
        estimate -= log_prob.exp().item() * gradients(controller, loss)
    assert exact.norm() > 1e-3
    assert torch.allclose(estimate, exact, rtol=0, atol=1e-12)


def test_ppo_begins_as_reinforce():
    controller, codes = controller_of(TINY), every_code(TINY)
    advantages = doubles([0.3, -0.9, 0.1, -0.5, 0.2, 0.8])
    log_prob, _ = controller(codes)
    clipped = clipped_loss(log_prob, log_prob.detach(), advantages, clip=0.2)
    expected = gradients(controller, reinforce_loss(controller(codes)[0], advantages))
    assert torch.allclose(gradients(controller, clipped), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("ratio", "advantage", "gain", "slope"),
    [
        (1.1, 10, 11, 10),  # within the clip: ratio times advantage
        (2.0, 10, 12, 0),  # more probable already: nothing more to win
        (0.5, 10, 5, 10),  # less probable although it was good: pulled back
        (0.5, -10, -8, 0),  # less probable already
        (2.0, -10, -20, -10),  # more probable although it was bad: pulled back
    ],
)
def test_clipping_by_hand(ratio, advantage, gain, slope):
    ratios = doubles([ratio]).requires_grad_()
    loss = clipped_loss(ratios.log(), doubles([0]), doubles([advantage]), clip=0.2)
    loss.backward()
    assert -loss.item() == pytest.approx(gain, abs=1e-12)
    assert -ratios.grad.item() == pytest.approx(slope, abs=1e-12)


def test_losses_are_means():
    log_prob, advantages = doubles([-1, -2]), doubles([3, -5])
    assert reinforce_loss(log_prob, advantages).item() == -(-1 * 3 + -2 * -5) / 2
    assert clipped_loss(log_prob, log_prob, advantages, clip=0.2).item() == -(3 - 5) / 2


# --- searchers ---------------------------------------------------------------------------------


def test_the_baseline_is_a_moving_average():
    searcher = Reinforce(TINY, 0, baseline_decay=0.75)
    for rewards, advantages, baseline in (
        ([0.4, 0.6], [-0.1, 0.1], 0.5),  # the first batch is its own
        ([0.9, 0.9], [0.4, 0.4], 0.6),
        ([0.6, 0.2], [0.0, -0.4], 0.55),
    ):
        found = searcher._advantages(doubles(rewards))
        assert found.tolist() == pytest.approx(advantages)
        assert searcher.baseline == pytest.approx(baseline)


@pytest.mark.parametrize("searcher", [Reinforce, PPO])
def test_rewarded_options_become_probable(searcher):
    found = searcher(TINY, 0)
    before = found.probabilities()
    for _ in range(20):
        codes = found.ask(10)
        # A kernel of 5 and the second depth are good.
        rewards = 0.5 * (codes[:, KERNEL] == 1).double() + 0.5 * (codes[:, LAYERS] == 1).double()
        found.tell(codes, rewards)
    after = found.probabilities()
    assert before[KERNEL][1] < 0.6 < 0.9 < after[KERNEL][1]
    assert before[LAYERS][1] < 0.5 < 0.9 < after[LAYERS][1]


def test_an_entropy_bonus_alone_keeps_all_options_open():
    searcher = Reinforce(TINY, 0, entropy_weight=1.0)
    with torch.no_grad():
        searcher.controller.head.bias[1] += 2.0  # the kernel of 3
    before = searcher.probabilities()[KERNEL][0]
    for _ in range(60):
        searcher.tell(searcher.ask(10), torch.ones(10, dtype=torch.float64))
    assert before > 0.8
    assert searcher.probabilities()[KERNEL][0].item() == pytest.approx(0.5, abs=0.15)


def test_one_epoch_of_ppo_is_reinforce():
    codes, rewards = sample_codes(SMALL_32, 8, generator()), doubles([0.1 * i for i in range(8)])
    weights = []
    for searcher in (Reinforce(SMALL_32, 3), PPO(SMALL_32, 3, epochs=1)):
        searcher.tell(codes, rewards)
        weights.append(searcher.controller.head.weight)
    assert torch.allclose(*weights, rtol=0, atol=1e-5)


def test_looking_at_probabilities_leaves_the_search_alone():
    looked, blind = PPO(SMALL_32, 0), PPO(SMALL_32, 0)
    assert torch.equal(looked.probabilities(10)[0], looked.probabilities(10)[0])
    assert torch.equal(looked.ask(5), blind.ask(5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0}, "learning_rate must be above 0, got 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0, got nan"),
        ({"entropy_weight": -1}, "must not be negative, .* got -1 and"),
        ({"baseline_decay": 1.0}, r"baseline_decay in \[0, 1\); got .* and 1\.0"),
        ({"epochs": 0}, "epochs must be above 0, got 0"),
        ({"clip": 0}, "clip must be above 0, got 0"),
    ],
)
def test_bad_hyper_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        PPO(TINY, 0, **options)
