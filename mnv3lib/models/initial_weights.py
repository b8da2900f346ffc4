"""How the weights of a fresh network start.

A rule says it for the layers that all networks share; a module with a method ``draw_weights`` says
it for itself.
"""

import math
from collections.abc import Callable, Iterator

import torch
from torch import nn

__all__ = ["RULES", "InitialRule", "initialise", "start_mobilenet"]

InitialRule = Callable[[nn.Module, torch.Generator | None], None]


def start_mobilenet(module: nn.Module, generator: torch.Generator | None) -> None:
    """He-normal by fan-out for a convolution, N(0, 0.01) for a dense layer, norms at identity.

    The fan-out of a grouped convolution is that of one group, as in MnasNet's and timm's code;
    counted over all groups it would start depthwise layers too small by sqrt(channels).

    Args:
        module: One module; what lies inside it is not touched.
        generator: Source of the weights.
    """
    if isinstance(module, nn.Conv2d):
        fan_out = module.weight[0, 0].numel() * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out), generator=generator)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01, generator=generator)
    _start_norm(module)
    if isinstance(getattr(module, "bias", None), nn.Parameter):
        nn.init.zeros_(module.bias)


def start_efficientnet(module: nn.Module, generator: torch.Generator | None) -> None:
    """As :func:`start_mobilenet`, but a dense layer is uniform within 1 / sqrt(outputs).

    Args:
        module: One module; what lies inside it is not touched.
        generator: Source of the weights.
    """
    if isinstance(module, nn.Linear):
        reach = module.out_features**-0.5
        nn.init.uniform_(module.weight, -reach, reach, generator=generator)
        nn.init.zeros_(module.bias)
    else:
        start_mobilenet(module, generator)


def start_torch(module: nn.Module, generator: torch.Generator | None) -> None:
    """As PyTorch's layers start: uniform within 1 / sqrt(inputs of an output), norms at identity.

    Args:
        module: One module; what lies inside it is not touched.
        generator: Source of the weights.
    """
    if isinstance(module, nn.Conv2d | nn.Linear):
        reach = module.weight[0].numel() ** -0.5
        nn.init.uniform_(module.weight, -reach, reach, generator=generator)
        if module.bias is not None:
            nn.init.uniform_(module.bias, -reach, reach, generator=generator)
    else:
        start_mobilenet(module, generator)


def _start_norm(module: nn.Module) -> None:
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        module.reset_running_stats()
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm):
        nn.init.ones_(module.weight)


RULES: dict[str, InitialRule] = {
    "mobilenet": start_mobilenet,
    "efficientnet": start_efficientnet,
    "torch": start_torch,
}
"""Rules by the name that :attr:`mnv3lib.models.NetworkSpec.initial` calls them."""


@torch.no_grad()
def initialise(
    network: nn.Module, generator: torch.Generator | None = None, *, rule: str = "mobilenet"
) -> None:
    """Draws initial weights, module by module.

    A module with a method ``draw_weights(generator)`` is left out with all that lies inside it,
    and sets its own parameters and buffers after all others.

    Args:
        network: A network or a part of one; its tensors may hold anything.
        generator: Source of the weights; PyTorch's global one when not given.
        rule: A name in :data:`RULES`.

    Raises:
        ValueError: A rule of another name.
    """
    if rule not in RULES:
        raise ValueError(f"unknown rule {rule!r} for initial weights; choose one of {list(RULES)}")
    selfish: list[nn.Module] = []
    for module in _walk(network, selfish):
        RULES[rule](module, generator)
    for module in selfish:
        module.draw_weights(generator)


def _walk(module: nn.Module, selfish: list[nn.Module]) -> Iterator[nn.Module]:
    """Yields modules from the outside in; those that draw their own weights go to the list."""
    if hasattr(module, "draw_weights"):
        selfish.append(module)
        return
    yield module
    for child in module.children():
        yield from _walk(child, selfish)
