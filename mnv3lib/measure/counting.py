"""Parameters and multiply-adds of a network, with the convention stated beside the number.

Published counts differ by a tenth and more for the same network, because each library decides
silently whether batch norm, activations and pooling count. Here the caller decides, and the
result says so. Taught in chapter 5 (the two networks).
"""

import copy
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn

from mnv3lib.measure.image_size import Resolution, image_size, own_resolution
from mnv3lib.measure.operators import ARITHMETIC, ELEMENTWISE, HANDLERS
from mnv3lib.models.builder import Network
from mnv3lib.models.deploy import deploy

__all__ = ["BatchNorm", "Count", "RowCount", "count", "row_modules"]

BatchNorm = Literal["free", "counted", "folded"]

_CONVENTIONS: dict[str, str] = {
    "free": "batch norm: its parameters count, its arithmetic does not",
    "counted": "batch norm: parameters count, and one MAC an element",
    "folded": "batch norm folded into the convolutions: a bias a channel, no arithmetic",
}


@dataclass(frozen=True)
class RowCount:
    """Cost of one row of the table.

    Attributes:
        index: Line of the table, from 0.
        operator: The row in words, as ``bneck 3x3``.
        input_shape: Shape of the input without the batch axis, (C, H, W) or (C,); None for a part
            whose modules are called one by one, as the heads of a detector are.
        output_shape: Shape of the output without the batch axis.
        params: Learnable numbers.
        macs: Multiply-adds for one image, one per fused multiply-add.
        operators: Operations by kind of operator, whether or not the convention counts them.
    """

    index: int
    operator: str
    input_shape: tuple[int, ...] | None
    output_shape: tuple[int, ...] | None
    params: int
    macs: int
    operators: dict[str, int]


@dataclass(frozen=True)
class Count:
    """Cost of a network for one image.

    Attributes:
        params: Learnable numbers.
        macs: Multiply-adds, one per fused multiply-add.
        resolution: Side of the square input, or its height and width, in pixels.
        convention: What the two numbers include, in words.
        rows: The same, row by row; they add up to the totals.
        operators: Operations by kind: ``conv``, ``pointwise``, ``depthwise``, ``linear``, and
            elementwise ones, whether or not the convention counts them.
    """

    params: int
    macs: int
    resolution: Resolution
    convention: str
    rows: tuple[RowCount, ...]
    operators: dict[str, int]


def row_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The parts that a network is reported by: table rows, or direct children, by name."""
    if isinstance(model, Network):
        return {f"rows.{name}": row for name, row in model.rows.named_children()}
    return dict(model.named_children())


def count(
    model: nn.Module,
    resolution: Resolution | None = None,
    *,
    batch_norm: BatchNorm = "free",
    activations: bool = False,
) -> Count:
    """Counts parameters and multiply-adds of a network for one RGB image.

    Convolutions (squeeze-and-excite's included) and linear layers always count, without their
    bias additions, and so do the two products of matrices in an attention: one MAC per fused
    multiply-add. That is all that the papers of this book count, and the default.

    Args:
        model: The network; it is left as it was.
        resolution: Side of a square image, or height and width, in pixels, at least 32; the
            network's own, which mostly is 224, if not given.
        batch_norm: ``"free"``, ``"counted"`` or ``"folded"``; see the returned convention.
        activations: Also count one operation for each element that an activation, a
            multiplication by a gate, a residual addition or a pooling touches.

    Returns:
        Totals, rows and the convention in words.

    Raises:
        ValueError: A resolution below the network's smallest (32 if it names none), or an unknown
            batch norm convention.

    Example:
        >>> from mnv3lib import create_model
        >>> count(create_model("mobilenet_v3_large")).macs
        216589760
    """
    resolution = own_resolution(model) if resolution is None else resolution
    size = image_size(resolution, getattr(model, "min_resolution", 32))
    if batch_norm not in _CONVENTIONS:
        raise ValueError(f"unknown batch_norm {batch_norm!r}; choose one of {list(_CONVENTIONS)}")
    counted = {*ARITHMETIC}
    counted |= {"batch_norm"} if batch_norm == "counted" else set()
    counted |= {*ELEMENTWISE} if activations else set()
    traced = _trace(model, size)
    counted_form = deploy(model) if batch_norm == "folded" else model
    weights = row_modules(counted_form)

    def macs(operators: Counter) -> int:
        return sum(number for kind, number in operators.items() if kind in counted)

    rows = tuple(
        RowCount(
            index,
            _operator(model, index, module),
            *traced.shapes.get(name, (None, None)),
            params=_params(weights[name]),
            macs=macs(traced.operators[name]),
            operators=dict(traced.operators[name]),
        )
        for index, (name, module) in enumerate(row_modules(model).items())
    )
    total = traced.operators[""]
    convention = _describe(batch_norm, activations, products="matmul" in total)
    return Count(_params(counted_form), macs(total), resolution, convention, rows, dict(total))


def _operator(model: nn.Module, index: int, module: nn.Module) -> str:
    return model.spec.rows[index].operator if isinstance(model, Network) else type(module).__name__


def _describe(batch_norm: str, activations: bool, *, products: bool) -> str:
    extra = "one per element of activations, gates, additions and pooling" if activations else None
    layers = "convolutions, linear layers and products of attention"
    counted = layers if products else "convolutions and linear layers"
    parts = [f"one MAC per fused multiply-add of {counted}"]
    return "; ".join([*parts, *([extra] if extra else []), _CONVENTIONS[batch_norm]])


def _params(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@dataclass(frozen=True)
class _Trace:
    operators: dict[str, Counter]
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]


def _trace(model: nn.Module, size: tuple[int, int]) -> _Trace:
    """Follows one image through a copy of the network with fvcore's tracer."""
    twin = _twin(model)
    shapes = _note_shapes(twin)
    analysis = FlopCountAnalysis(twin, torch.zeros(1, 3, *size)).set_op_handle(**HANDLERS)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    analysis.tracer_warnings("none")
    operators = analysis.by_module_and_operator()
    unknown = analysis.unsupported_ops()
    if unknown:
        warnings.warn(f"not counted, no handler for: {', '.join(sorted(unknown))}", stacklevel=3)
    return _Trace(operators, shapes)


def _twin(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode, in float32 on the CPU; weights that are so already are shared."""
    tensors = (*model.parameters(), *model.buffers())
    shared = {id(t): t for t in tensors if t.dtype == torch.float32 and t.device.type == "cpu"}
    return copy.deepcopy(model, shared).cpu().float().eval()


def _note_shapes(twin: nn.Module) -> dict[str, tuple]:
    """A dictionary that gets the input and output shape of each row once an image passes."""
    shapes: dict[str, tuple] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
            # While it traces, PyTorch has tensors in the place of these numbers.
            shapes[name] = tuple(tuple(map(int, t.shape[1:])) for t in (inputs[0], output))

        return hook

    for name, module in row_modules(twin).items():
        module.register_forward_hook(note(name))
    return shapes
