"""How far an int8 network is from its float network, and which layer is to blame (chapter 12).

Two numbers, neither of which needs labels. *Top-1 agreement* is the share of images on which both
networks prefer the same class. The *signal-to-noise ratio* compares the outputs themselves: the
energy of the float outputs over the energy of the differences, in decibels, so that 20 dB are
errors of a tenth, and every further bit is worth 6 dB.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node

from mnv3lib.compress.post_training import checked_batches, record
from mnv3lib.measure.silence import hushed

__all__ = [
    "Agreement",
    "LayerSensitivity",
    "compare_networks",
    "layer_sensitivity",
    "signal_to_noise_db",
    "top1_agreement",
]


@dataclass(frozen=True)
class Agreement:
    """How a network agrees with its float network.

    Attributes:
        top1: Share of the images on which both prefer the same class.
        snr_db: Signal-to-noise ratio of the outputs, in dB.
        images: Images that were compared.
    """

    top1: float
    snr_db: float
    images: int


@dataclass(frozen=True)
class LayerSensitivity:
    """What one operator in int8 does to the outputs of the network.

    Attributes:
        layer: The module that the operator belongs to, such as ``rows.3.depthwise.conv``.
        operator: The operator, such as ``conv2d`` or ``mul``.
        alone_db: Signal-to-noise ratio if only this operator reads int8, in dB.
        spared_db: The ratio if all but this operator read int8, in dB.
    """

    layer: str
    operator: str
    alone_db: float
    spared_db: float


def top1_agreement(reference: Tensor, other: Tensor) -> float:
    """Share of the rows whose largest entry is at the same place; (N, K) each."""
    return (reference.argmax(1) == other.argmax(1)).double().mean().item()


def signal_to_noise_db(reference: Tensor, other: Tensor) -> float:
    """Energy of the reference over energy of the difference, in dB; infinite if they are equal.

    Raises:
        ValueError: The shapes differ.
    """
    if reference.shape != other.shape:
        raise ValueError(f"cannot compare {tuple(reference.shape)} with {tuple(other.shape)}")
    noise = (reference.double() - other.double()).square().sum().item()
    signal = reference.double().square().sum().item()
    return 10 * math.log10(signal / noise) if noise else math.inf


@torch.no_grad()
def compare_networks(
    network: Callable[[Tensor], Tensor],
    other: Callable[[Tensor], Tensor],
    batches: Sequence[Tensor],
) -> Agreement:
    """Compares the logits of two networks.

    Args:
        network: The float network, in evaluation mode.
        other: The int8 network, or a program made of it.
        batches: Images, (N, 3, H, W) each; not those of the calibration.

    Raises:
        ValueError: No images, or outputs of different shapes.
    """
    if not batches:
        raise ValueError("no images to compare the networks on; give at least one batch")
    reference = torch.cat([network(batch) for batch in batches])
    found = torch.cat([other(batch) for batch in batches])
    ratio = signal_to_noise_db(reference, found)
    return Agreement(top1_agreement(reference, found), ratio, len(reference))


@torch.no_grad()
def layer_sensitivity(
    network: nn.Module, batches: Sequence[Tensor], *, calibration: str = "min_max"
) -> list[LayerSensitivity]:
    """Measures each operator of a network alone in int8, and each alone in float.

    An operator is in int8 if the tensors that it reads are: its input and its weights. (What it
    writes belongs to its reader. If two operators read a tensor, it is int8 for both of them.)
    Takes two passes over the images for each operator, some hundred and fifty in all for
    MobileNetV3-Small, so a few dozen images are enough.

    Args:
        network: From images to logits, in evaluation mode; it is left alone.
        batches: Images, (N, 3, H, W) each, which also calibrate.
        calibration: See :func:`mnv3lib.compress.post_training.quantise_network`.

    Returns:
        The operators in the order in which they run; at last ``output``, the logits themselves.

    Raises:
        ValueError: As :func:`mnv3lib.compress.post_training.quantise_network`.
    """
    batches = list(checked_batches(batches)[1])
    graph = _with_switches(network, batches, calibration)
    switches = [getattr(graph, node.target) for node in graph.graph.nodes if _is_switch(node)]
    reference = torch.cat([graph(batch) for batch in batches])  # all switches are off

    def ratio(chosen: Callable[[nn.Module], bool]) -> float:
        for switch in switches:
            switch.enable_fake_quant(chosen(switch))
        return signal_to_noise_db(reference, torch.cat([graph(batch) for batch in batches]))

    found = []
    for node in graph.graph.nodes:
        own = [getattr(graph, read.target) for read in node.all_input_nodes if _is_switch(read)]
        if own and not _is_switch(node):
            alone = ratio(lambda switch, own=own: switch in own)
            spared = ratio(lambda switch, own=own: switch not in own)
            found.append(LayerSensitivity(*_names(node), alone, spared))
    return found


def _with_switches(network: nn.Module, batches: Sequence[Tensor], calibration: str) -> GraphModule:
    """The recorded network with calibrated fake quantisation, all of it switched off."""
    from mnv3lib.compress.observers import find_calibration
    from mnv3lib.compress.quantiser import Quantiser, switchable

    config = switchable(find_calibration(calibration))
    with hushed():
        from torchao.quantization.pt2e import disable_fake_quant, disable_observer
        from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e

        graph = prepare_pt2e(record(network, batches[0]), Quantiser(config))
    graph.apply(disable_fake_quant)
    for batch in batches:
        graph(batch)
    return graph.apply(disable_observer)


def _is_switch(node: Node) -> bool:
    return node.op == "call_module" and "activation_post_process" in str(node.target)


def _names(node: Node) -> tuple[str, str]:
    """The innermost module that an operator belongs to, and the operator."""
    if node.op == "output":
        return "output", "output"
    modules = [path for path, _ in node.meta.get("nn_module_stack", {}).values()]
    return modules[-1] if modules else "", node.target.__name__.split(".")[0].rstrip("_")
