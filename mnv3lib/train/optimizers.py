"""Optimisers by name: PyTorch's own, and RMSProp as TensorFlow wrote it, and LAMB.

The MobileNetV3 paper trained with TensorFlow's RMSProp, which differs from PyTorch's in two
places, epsilon and the first average; both make its first steps far smaller. Taught in chapter 7
(training).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer, RMSprop

from mnv3lib.train import recipe

__all__ = ["Lamb", "RMSpropTF", "make_optimizer", "weight_decay_groups"]

Group = dict[str, Any]


class _ListOptimizer(Optimizer):
    """An optimiser that updates all tensors of a group in one call an operation (`foreach`)."""

    state_names: ClassVar[dict[str, float]]  # state of a parameter's shape, and what it starts at

    def __init__(self, params: Iterable[Any], defaults: Group) -> None:
        for name in ("lr", "eps", "weight_decay"):
            if defaults[name] < 0:
                raise ValueError(f"{name} must not be negative, got {defaults[name]}")
        decays = (defaults.get(name, 0.0) for name in ("alpha", "momentum"))
        for value in (*decays, *defaults.get("betas", ())):
            if not 0 <= value < 1:
                raise ValueError(f"alpha, momentum and betas must lie in [0, 1), got {value}")
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Updates every parameter that has a gradient; returns what `closure` returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if params:
                self._update(params, [p.grad for p in params], group)
        return loss

    def _states(self, params: list[Tensor]) -> Iterator[list[Tensor]]:
        """For each name of the state, its tensors, one a parameter."""
        for p in params:
            if not self.state[p]:
                self.state[p] = {
                    name: torch.full_like(p, start) for name, start in self.state_names.items()
                }
        for name in self.state_names:
            yield [self.state[p][name] for p in params]

    def _update(self, params: list[Tensor], grads: list[Tensor], group: Group) -> None:
        raise NotImplementedError


class RMSpropTF(_ListOptimizer):
    """RMSProp as TensorFlow computes it.

    With gradient g, weights w and averages s and b::

        s = alpha * s + (1 - alpha) * g**2          s starts at 1
        b = momentum * b + lr * g / sqrt(s + eps)   b starts at 0
        w = w - b

    PyTorch's RMSprop starts s at 0, adds eps outside the root, and multiplies by the learning
    rate after the momentum. Used by MobileNetV2, MnasNet, MobileNetV3 and EfficientNet. Taught in
    chapter 7 (training).

    Args:
        params: Parameters, or groups of them.
        lr: Learning rate.
        alpha: Decay of the average of squares.
        momentum: Decay of the average of steps.
        eps: Added inside the root.
        weight_decay: L2 penalty: its multiple of the weights is added to the gradient.

    Raises:
        ValueError: A value out of range.
    """

    state_names: ClassVar[dict[str, float]] = {"square_avg": 1.0, "momentum_buffer": 0.0}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        *,
        alpha: float = 0.9,
        momentum: float = 0.9,
        eps: float = 1e-3,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "alpha": alpha, "momentum": momentum}
        super().__init__(params, {**defaults, "eps": eps, "weight_decay": weight_decay})

    def _update(self, params: list[Tensor], grads: list[Tensor], group: Group) -> None:
        squares, steps = self._states(params)
        if group["weight_decay"]:
            grads = torch._foreach_add(grads, params, alpha=group["weight_decay"])
        torch._foreach_mul_(squares, group["alpha"])
        torch._foreach_addcmul_(squares, grads, grads, value=1 - group["alpha"])
        roots = torch._foreach_add(squares, group["eps"])
        torch._foreach_sqrt_(roots)
        torch._foreach_mul_(steps, group["momentum"])
        torch._foreach_addcdiv_(steps, grads, roots, value=group["lr"])
        torch._foreach_sub_(params, steps)


class Lamb(_ListOptimizer):
    """LAMB: Adam whose step has, layer by layer, the size of the weights.

    With Adam's averages m and v, both divided by one minus their decay to the power of the step::

        u = m / (sqrt(v) + eps) + weight_decay * w
        w = w - lr * |w| / |u| * u

    Parameters without weight decay (biases, batch norm) take Adam's step, as in timm; the factor
    is also left out where one of the norms is zero. From You et al. 2019 (arXiv:1904.00962,
    algorithm 2). Taught in chapter 7 (training).

    Args:
        params: Parameters, or groups of them.
        lr: Learning rate.
        betas: Decays of the averages of gradients and of their squares.
        eps: Added to the root.
        weight_decay: Multiple of the weights that is added to the step.

    Raises:
        ValueError: A value out of range.
    """

    state_names: ClassVar[dict[str, float]] = {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    def _update(self, params: list[Tensor], grads: list[Tensor], group: Group) -> None:
        averages, squares = self._states(params)
        counts = self._count(params)
        beta1, beta2 = group["betas"]
        torch._foreach_lerp_(averages, grads, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, grads, grads, value=1 - beta2)
        roots = torch._foreach_div(squares, [1 - beta2**n for n in counts])
        torch._foreach_sqrt_(roots)
        torch._foreach_add_(roots, group["eps"])
        updates = torch._foreach_div(averages, [1 - beta1**n for n in counts])
        torch._foreach_div_(updates, roots)
        if group["weight_decay"]:
            torch._foreach_add_(updates, params, alpha=group["weight_decay"])
            torch._foreach_mul_(updates, _trust_ratios(params, updates))
        torch._foreach_add_(params, updates, alpha=-group["lr"])

    def _count(self, params: list[Tensor]) -> list[float]:
        """Steps of each parameter, this one included."""
        for p in params:
            # On the CPU, as PyTorch's Adam: reading it must not wait for a GPU.
            self.state[p].setdefault("step", torch.zeros(()))
            self.state[p]["step"] += 1
        return [self.state[p]["step"].item() for p in params]


def _trust_ratios(params: list[Tensor], updates: list[Tensor]) -> list[Tensor]:
    """Norm of the weights over norm of the update, 1 where one of them is zero."""
    sizes = torch.stack(torch._foreach_norm(params))
    steps = torch.stack(torch._foreach_norm(updates))
    return list(torch.where((sizes > 0) & (steps > 0), sizes / steps, 1.0).unbind())


_OPTIMIZERS: dict[str, tuple[type[Optimizer], tuple[str, ...]]] = {
    "sgd": (SGD, ("momentum", "nesterov")),
    "rmsprop": (RMSprop, ("momentum", "alpha", "eps")),
    "rmsprop_tf": (RMSpropTF, ("momentum", "alpha", "eps")),
    "adamw": (AdamW, ("betas", "eps")),
    "lamb": (Lamb, ("betas", "eps")),
}


def weight_decay_groups(
    model: nn.Module, weight_decay: float, *, decay_all: bool = False
) -> list[Group]:
    """Parameters that decay, and those that do not: biases and batch norm, unless `decay_all`.

    Nor do those that a module lists by name in ``without_weight_decay``, as the biases of
    :class:`mnv3lib.ops.RelativeBias`, unless `decay_all`.
    """
    spared = {
        id(getattr(module, name))
        for module in model.modules()
        for name in getattr(module, "without_weight_decay", ())
    }

    def decays(p: Tensor) -> bool:
        return decay_all or (p.ndim >= 2 and id(p) not in spared)

    params = [p for p in model.parameters() if p.requires_grad]
    decayed = [p for p in params if decays(p)]
    others = [p for p in params if not decays(p)]
    groups = ((decayed, weight_decay), (others, 0.0))
    return [{"params": found, "weight_decay": decay} for found, decay in groups if found]


def make_optimizer(model: nn.Module, config: recipe.Optimizer) -> Optimizer:
    """The optimiser of a recipe for a network.

    The state is tensors only, in the memory layout of the weights, also after loading.

    Args:
        model: Network; parameters that need no gradient are left out.
        config: Section of the recipe; `clip_norm` is the loop's.

    Raises:
        ValueError: A value that the optimiser does not allow, such as Nesterov's form without
            momentum.
    """
    kind, names = _OPTIMIZERS[config.name]
    values = {name: getattr(config, name) for name in names}
    if values.get("eps", 0) is None:
        del values["eps"]
    if kind.__module__.startswith("torch."):
        values["foreach"] = True
    groups = weight_decay_groups(model, config.weight_decay, decay_all=config.decay_all)
    optimizer = kind(groups, lr=config.lr, **values)
    optimizer.register_load_state_dict_post_hook(_match_layout)
    return optimizer


def _match_layout(optimizer: Optimizer) -> None:
    """Gives loaded state the layout of its parameter: LAMB's norms add in memory order."""
    for p, state in optimizer.state.items():
        for name, value in state.items():
            if torch.is_tensor(value) and value.shape == p.shape and value.stride() != p.stride():
                state[name] = torch.empty_like(p, dtype=value.dtype).copy_(value)
