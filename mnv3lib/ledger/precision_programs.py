"""Networks in float and in int8, as programs of each runtime (chapter 12).

What the recorders :mod:`mnv3lib.ledger.record_precision_latency` and
:mod:`mnv3lib.ledger.record_precision_parts` measure. Times do not depend on what a network has
learnt, so weights are random; but ranges are calibrated and outputs compared, so batch norm gets
the statistics of random images, without which activations would fade from layer to layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.optim.swa_utils import update_bn

from mnv3lib.compress.export import FORMATS
from mnv3lib.measure.bound import BoundCall
from mnv3lib.measure.latency import image
from mnv3lib.measure.program_file import PROGRAMS, load_bytes
from mnv3lib.measure.runtimes import compile_model
from mnv3lib.models import create_model, deploy

__all__ = [
    "NETWORKS",
    "PRECISIONS",
    "PrecisionCase",
    "in_eager_form",
    "make_program",
    "networks_of",
    "program_bytes",
]

PRECISIONS = ("fp32", "int8")
_IMAGES = 8  # that batch norm and ranges are taken from

_FORMATS = {PROGRAMS[form.suffix][0]: form for form in FORMATS.values()}
"""Formats of files by runtime; eager has none."""


@dataclass(frozen=True)
class PrecisionCase:
    """A network that is measured in both precisions.

    Attributes:
        model: Its registered name.
        options: Options of the network.
        resolution: Side of the square image in pixels.
        printed_ms: Milliseconds on a Pixel 1 by precision, where the paper prints them.
    """

    model: str
    options: Mapping[str, object] = field(default_factory=dict)
    resolution: int = 224
    printed_ms: Mapping[str, float] = field(default_factory=dict)


NETWORKS: dict[str, PrecisionCase] = {
    "large": PrecisionCase("mobilenet_v3_large", printed_ms={"fp32": 51, "int8": 44}),
    "small": PrecisionCase("mobilenet_v3_small", printed_ms={"fp32": 15.8, "int8": 15.5}),
    "v2": PrecisionCase("mobilenet_v2", printed_ms={"fp32": 64, "int8": 52}),
    "v2_035": PrecisionCase(
        "mobilenet_v2", {"width_mult": 0.35}, printed_ms={"fp32": 16.6, "int8": 16.7}
    ),
    "efficientnet_b0": PrecisionCase("efficientnet_b0"),
}
"""By short name; times from arXiv 1905.02244 (final version), Tables 3 and 4."""


def networks_of(case: PrecisionCase, *, seed: int = 0) -> dict[str, nn.Module]:
    """A network with random weights, and its int8 graph, by precision.

    Args:
        case: Which.
        seed: Seed of the weights and of the images that ranges are taken from.
    """
    options = tuple(sorted(case.options.items()))
    return _networks(case.model, options, case.resolution, seed)


@cache  # the runtimes share them
def _networks(
    model: str, options: tuple[tuple[str, object], ...], resolution: int, seed: int
) -> dict[str, nn.Module]:
    from mnv3lib.compress.post_training import quantise_network

    generator = torch.Generator().manual_seed(seed)
    network = create_model(model, generator=generator, **dict(options)).eval()
    images = torch.cat([image(resolution, seed=seed + i) for i in range(_IMAGES)])
    update_bn([images], network)  # batch norm takes the statistics of these images
    return {"fp32": network, "int8": quantise_network(network, [images])}


def in_eager_form(network: nn.Module, example: Tensor) -> nn.Module:
    """The form in which PyTorch runs a network fastest: deployed, or on int8 kernels."""
    if not isinstance(network, GraphModule):
        return deploy(network)
    from mnv3lib.compress.int8_eager import lower_for_x86

    return lower_for_x86(network, example)


def program_bytes(network: nn.Module, example: Tensor, runtime: str) -> bytes:
    """The file of a network, float or int8, for a runtime that has files."""
    return _FORMATS[runtime].build(network, example)


def make_program(
    network: nn.Module, example: Tensor, *, runtime: str, threads: int = 1
) -> tuple[BoundCall, int]:
    """Makes a network ready to be timed.

    Args:
        network: In evaluation mode; a graph of
            :func:`mnv3lib.compress.post_training.quantise_network` runs in int8.
        example: The image, (1, 3, H, W).
        runtime: ``"eager"``, ``"onnxruntime"`` or ``"executorch"``.
        threads: Threads to compute with.

    Returns:
        The call, and the size of its file in bytes; in eager, of its tensors.

    Raises:
        ValueError: For int8 in eager, a processor without the instructions.
        MissingRuntimeError: The runtime's package is not installed.
    """
    if runtime == "eager":
        session = compile_model(in_eager_form(network, example), example, threads=threads)
        return session.bind(example), _tensor_bytes(network)
    content = program_bytes(network, example, runtime)
    suffix = _FORMATS[runtime].suffix
    return load_bytes(content, suffix, threads=threads).bind(example), len(content)


def _tensor_bytes(network: nn.Module) -> int:
    """Bytes of all tensors that the network computes with."""
    tensors = network.state_dict()
    if isinstance(network, GraphModule):  # keeps the float weights beside the int8 ones
        used = {node.target for node in network.graph.nodes if node.op == "get_attr"}
        tensors = {name: tensors[name] for name in used}
    return sum(tensor.nbytes for tensor in tensors.values())
