"""Optimisers: first steps by hand, lists of tensors against single ones, resuming bit for bit."""

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from mnv3lib import create_model
from mnv3lib.ops import RelativeBias
from mnv3lib.train.optimizers import Lamb, RMSpropTF, make_optimizer, weight_decay_groups
from mnv3lib.train.recipe import Optimizer

NAMES = ("sgd", "rmsprop", "rmsprop_tf", "adamw", "lamb")


def parameter(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values))


def stepped(optimizer: torch.optim.Optimizer, p: nn.Parameter, *grad: float) -> list[float]:
    """What one step subtracts from a parameter."""
    before = p.detach().clone()
    p.grad = torch.tensor(grad)
    optimizer.step()
    return (before - p.detach()).tolist()


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))


def configuration(name: str, **changes: object) -> Optimizer:
    return Optimizer(**{"name": name, "lr": 0.01, "weight_decay": 0.01, **changes})


def set_gradients(model: nn.Module, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    for p in model.parameters():
        p.grad = torch.randn(p.shape, generator=generator)


# --- by hand -----------------------------------------------------------------------------------


def test_rmsprop_first_steps_of_tensorflow_and_pytorch() -> None:
    p = parameter(0.0, 0.0)
    assert stepped(RMSpropTF([p], 0.064), p, 0.1, 1.0) == pytest.approx(
        [0.0067387, 0.0639680], 1e-5
    )
    p = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(p.weight)
    p.weight.grad = torch.tensor([[0.1, 1.0]])
    make_optimizer(p, Optimizer(name="rmsprop", lr=0.064, eps=0.0316)).step()
    assert (-p.weight).flatten().tolist() == pytest.approx([0.1012293, 0.1839991], 1e-5)


def test_rmsprop_folds_the_rate_into_the_momentum() -> None:
    p = parameter(0.0)
    optimizer = RMSpropTF([p], 0.1, alpha=0.5, momentum=0.5, eps=0.0)
    assert stepped(optimizer, p, 1.0) == pytest.approx([0.1])  # average (1 + 1) / 2
    optimizer.param_groups[0]["lr"] = 0.2
    assert stepped(optimizer, p, 1.0) == pytest.approx([0.05 + 0.2])
    assert stepped(optimizer, p, 0.0) == pytest.approx([0.125])


def test_rmsprop_penalty_joins_the_gradient() -> None:
    p = parameter(2.0)
    optimizer = RMSpropTF([p], 1.0, alpha=0.5, eps=0.0, weight_decay=0.5)
    assert stepped(optimizer, p, 0.0) == pytest.approx([1.0])  # as a gradient of 0.5 * 2


def test_lamb_first_step() -> None:
    p = parameter(3.0, 4.0)  # norm 5
    update = [1 + 0.1 * 3, 1 + 0.1 * 4]  # Adam's first step is the sign of the gradient
    ratio = 5 / math.hypot(*update)
    step = stepped(Lamb([p], 0.01, eps=0.0, weight_decay=0.1), p, 0.1, 7.0)
    assert step == pytest.approx([0.01 * ratio * u for u in update], 1e-5)
    assert step == pytest.approx([0.0340226, 0.0366397], 1e-5)


def test_lamb_second_step() -> None:
    p = parameter(1.0)
    optimizer = Lamb([p], 0.01, betas=(0.5, 0.5), eps=0.0)
    stepped(optimizer, p, 1.0)
    # m = (0.25 * 1 + 0.5 * 3) / 0.75, v = (0.25 * 1 + 0.5 * 9) / 0.75
    expected = 0.01 * (1.75 / 0.75) / math.sqrt(4.75 / 0.75)
    assert stepped(optimizer, p, 3.0) == pytest.approx([expected], 1e-5)


@pytest.mark.parametrize(("decay", "weight"), [(0.1, 0.0), (0.0, 5.0)])
def test_lamb_without_ratio_is_adam(decay: float, weight: float) -> None:
    """Weights of zero, and parameters that do not decay."""
    p = parameter(weight)
    assert stepped(Lamb([p], 0.01, eps=0.0, weight_decay=decay), p, 0.3) == pytest.approx(
        [0.01], 1e-4
    )


# --- lists of tensors are single tensors --------------------------------------------------------


def reference_rmsprop(w: Tensor, state: dict, g: Tensor, decay: float) -> Tensor:
    g = g + decay * w
    s = 0.9 * state.get("s", torch.ones_like(w)) + 0.1 * g**2
    b = 0.9 * state.get("b", torch.zeros_like(w)) + 0.01 * g / torch.sqrt(s + 1e-3)
    state.update(s=s, b=b)
    return w - b


def reference_lamb(w: Tensor, state: dict, g: Tensor, decay: float) -> Tensor:
    n = state.get("n", 0) + 1
    m = 0.9 * state.get("m", torch.zeros_like(w)) + 0.1 * g
    v = 0.999 * state.get("v", torch.zeros_like(w)) + 0.001 * g**2
    state.update(n=n, m=m, v=v)
    u = (m / (1 - 0.9**n)) / (torch.sqrt(v / (1 - 0.999**n)) + 1e-6) + decay * w
    ratio = w.norm() / u.norm() if decay and w.norm() > 0 and u.norm() > 0 else 1.0
    return w - 0.01 * ratio * u


@pytest.mark.parametrize(
    ("kind", "reference"), [(RMSpropTF, reference_rmsprop), (Lamb, reference_lamb)]
)
@given(
    shapes=st.lists(st.lists(st.integers(1, 4), max_size=3), min_size=1, max_size=5),
    decay=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 1000),
)
def test_lists_equal_single_tensors(kind, reference, shapes, decay, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    params = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    expected = [p.detach().clone() for p in params]
    states = [{} for _ in params]
    optimizer = kind(params, 0.01, weight_decay=decay)
    for _ in range(3):
        for i, p in enumerate(params):
            # Now and then a parameter has no gradient, and keeps its weights and its state.
            present = torch.rand((), generator=generator) < 0.8
            p.grad = torch.randn(p.shape, generator=generator) if present else None
            if present:
                expected[i] = reference(expected[i], states[i], p.grad, decay)
        optimizer.step()
    for p, w in zip(params, expected, strict=True):
        torch.testing.assert_close(p.detach(), w)


def test_closure_and_gradients_stay() -> None:
    p = parameter(1.0, 2.0)
    optimizer = RMSpropTF([p], 0.1, weight_decay=0.1)

    def closure() -> float:
        loss = p.square().sum()
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == 5.0
    assert p.grad.tolist() == [2.0, 4.0]  # the penalty is not written into it


# --- resuming ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_resumed_equals_uninterrupted_bit_for_bit(name: str, layout: torch.memory_format) -> None:
    model = network().to(memory_format=layout)
    optimizer = make_optimizer(model, configuration(name))
    for step in range(3):
        set_gradients(model, step)
        optimizer.step()
    resumed = copy.deepcopy(model)
    again = make_optimizer(resumed, configuration(name))
    saved = copy.deepcopy(optimizer.state_dict())
    for state in saved["state"].values():  # as files of tensors keep them
        state.update({key: value.contiguous() for key, value in state.items() if value is not None})
    again.load_state_dict(saved)
    for step in range(3, 6):
        for one, its in ((model, optimizer), (resumed, again)):
            set_gradients(one, step)
            its.step()
    for p, q in zip(model.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(p, q)
        assert all(v.stride() == q.stride() for v in again.state[q].values() if v.shape == q.shape)


@pytest.mark.parametrize("name", NAMES)
def test_state_is_tensors(name: str) -> None:
    model = network()
    optimizer = make_optimizer(model, configuration(name))
    set_gradients(model, 0)
    optimizer.step()
    states = optimizer.state_dict()["state"].values()
    assert len(states) == len(list(model.parameters()))
    assert all(torch.is_tensor(value) for state in states for value in state.values())


# --- from a recipe -----------------------------------------------------------------------------


def test_biases_and_batch_norm_do_not_decay() -> None:
    model = create_model("mobilenet_v3_small", width_mult=0.35)
    model.rows[0].requires_grad_(False)
    decayed, others = weight_decay_groups(model, 1e-5)
    assert (decayed["weight_decay"], others["weight_decay"]) == (1e-5, 0.0)
    assert min(p.ndim for p in decayed["params"]) == 2
    assert {p.ndim for p in others["params"]} == {1}
    trained = sum(p.requires_grad for p in model.parameters())
    assert len(decayed["params"]) + len(others["params"]) == trained
    (everything,) = weight_decay_groups(model, 1e-5, decay_all=True)
    assert len(everything["params"]) == trained
    assert everything["weight_decay"] == 1e-5


def test_a_module_names_parameters_that_do_not_decay() -> None:
    model = nn.Sequential(nn.Linear(3, 2), RelativeBias(2, 3))
    decayed, others = weight_decay_groups(model, 1e-5)
    assert [id(p) for p in decayed["params"]] == [id(model[0].weight)]
    assert {id(p) for p in others["params"]} == {id(model[0].bias), id(model[1].attention_biases)}
    assert len(weight_decay_groups(model, 1e-5, decay_all=True)) == 1


@pytest.mark.parametrize("name", NAMES)
def test_values_of_the_recipe_arrive(name: str) -> None:
    config = configuration(name, momentum=0.7, alpha=0.8, betas=(0.6, 0.95), eps=0.25)
    group = make_optimizer(network(), config).param_groups[0]
    wanted = {"lr": 0.01, "momentum": 0.7, "alpha": 0.8, "betas": (0.6, 0.95), "eps": 0.25}
    assert {key: group[key] for key in wanted if key in group} == {
        key: value for key, value in wanted.items() if key in group
    }
    assert "momentum" in group or "betas" in group


@pytest.mark.parametrize(
    ("name", "eps"), [("rmsprop", 1e-8), ("rmsprop_tf", 1e-3), ("adamw", 1e-8), ("lamb", 1e-6)]
)
def test_own_epsilon_where_none_is_given(name: str, eps: float) -> None:
    assert make_optimizer(network(), configuration(name)).param_groups[0]["eps"] == eps


@pytest.mark.parametrize("name", NAMES)
def test_every_optimiser_learns(name: str) -> None:
    model = network()
    optimizer = make_optimizer(model, configuration(name))
    images = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(8) % 2
    losses = []
    for _ in range(20):
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize(
    ("kind", "options", "named"),
    [
        (RMSpropTF, {"lr": -1.0}, "lr must not be negative, got -1"),
        (RMSpropTF, {"lr": 0.1, "alpha": 1.0}, "got 1.0"),
        (RMSpropTF, {"lr": 0.1, "momentum": -0.5}, "got -0.5"),
        (Lamb, {"lr": 0.1, "eps": -1e-3}, "eps must not be negative"),
        (Lamb, {"lr": 0.1, "weight_decay": -1e-3}, "weight_decay must not be negative"),
        (Lamb, {"lr": 0.1, "betas": (0.9, 1.5)}, "betas must lie in .*, got 1.5"),
    ],
)
def test_values_out_of_range(kind, options: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        kind([parameter(0.0)], **options)
