"""An int8 network on PyTorch's own int8 kernels, without a compiler (chapter 12).

The graph that :func:`mnv3lib.compress.post_training.quantise_network` makes computes in float32:
it dequantises what it has just quantised. `lower_for_x86` turns it into one that computes in bytes,
in four steps.

1. *Unsigned activations.* An instruction of the processor (VNNI) multiplies unsigned by signed
   bytes and adds four products up at once. So 128 is added to levels and zero points of
   activations; the numbers that they stand for stay the same.
2. *No clamp twice.* ReLU and ReLU6 in front of a quantisation whose range ends where they clamp
   do nothing that it does not do; they go.
3. *Packed layers.* torchao's lowering folds the weights and replaces each dequantise, convolution
   or linear layer, and quantise by one kernel of oneDNN.
4. *Tables.* Between kernels remain functions of one number, such as hard swish. A function of one
   byte has 256 values: they are computed once and looked up. Sums, products and means still
   dequantise and quantise, in several passes over memory; a compiler would make one of them.

Kernels apart, no bit changes. The kernels differ from the graph where a sum lies within
float32's rounding of the middle between two levels; there, the result is the neighbouring level.

Source: torchao 0.18, ``lower_pt2e_quantized_to_x86``; oneDNN, "Nuances of int8 computations".
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node

from mnv3lib.measure.silence import hushed

__all__ = ["PackedNetwork", "has_int8_instructions", "look_up", "lower_for_x86", "with_unsigned"]

_LEVELS = 256
_OFFSET = 128  # from int8 to uint8
_aten = torch.ops.aten
_POINTWISE = (
    _aten.hardsigmoid.default,
    _aten.hardswish.default,
    _aten.hardtanh.default,
    _aten.relu.default,
    _aten.sigmoid.default,
    _aten.silu.default,
)
"""Functions of one number, and of constants."""
_RELU = (_aten.relu.default, _aten.relu_.default)
_HARDTANH = (_aten.hardtanh.default, _aten.hardtanh_.default)


class PackedNetwork(nn.Module):
    """Runs a lowered graph on inputs of one shape.

    Packed weights cannot be copied, so a deep copy is the network itself; nothing in it changes.

    Args:
        program: The lowered graph.
        shape: Shape of its input, (N, 3, H, W).
    """

    def __init__(self, program: GraphModule, shape: torch.Size) -> None:
        super().__init__()
        self._run = program.forward  # a function: the graph has no training mode to switch
        self._shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """Computes the network's output for float32 images, in any memory layout."""
        if x.shape != self._shape:
            raise ValueError(
                f"the network was lowered for inputs of shape {tuple(self._shape)}, got "
                f"{tuple(x.shape)}: lower it again with an example of that shape"
            )
        return self._run(x.contiguous(memory_format=torch.channels_last))

    def __deepcopy__(self, memo: dict[int, Any]) -> "PackedNetwork":
        return self


def has_int8_instructions() -> bool:
    """Whether the processor can add products of bytes up without an overflow (VNNI)."""
    features = torch.cpu.get_capabilities()
    return any(features.get(name) for name in ("avx512_vnni", "avx_vnni"))


def lower_for_x86(quantised: GraphModule, example: Tensor) -> PackedNetwork:
    """Puts an int8 network on oneDNN's int8 kernels.

    Args:
        quantised: A graph that :func:`mnv3lib.compress.post_training.quantise_network` made; it is
            left alone.
        example: Images, (N, 3, H, W); their shape is fixed in the result.

    Returns:
        A module for images of that shape. It takes no gradient and can be neither copied nor saved:
        save the graph.

    Raises:
        ValueError: The network is no int8 graph, or the processor lacks the instructions: without
            them oneDNN adds pairs of products in 16 bits, which overflow.

    Example:
        >>> packed = lower_for_x86(int8, images)  # doctest: +SKIP
    """
    if not has_int8_instructions():
        raise ValueError(
            "this processor has no VNNI instructions, without which int8 products overflow: "
            "run the int8 graph itself, or export it to ONNX Runtime or ExecuTorch"
        )
    with hushed(), torch.no_grad():
        from torchao.quantization.pt2e.lowering import lower_pt2e_quantized_to_x86

        unsigned = with_unsigned(quantised)
        _drop_clamps(unsigned)
        layout = torch.channels_last
        program = lower_pt2e_quantized_to_x86(unsigned, (example.contiguous(memory_format=layout),))
        _use_tables(program)
        _use_plain_calls(program)
    return PackedNetwork(program, example.shape)


def with_unsigned(quantised: GraphModule) -> GraphModule:
    """Returns a copy of an int8 graph in which activations are uint8, of the same values.

    Args:
        quantised: A graph whose activations are int8, from -128 to 127; weights stay int8.

    Raises:
        ValueError: It has no such activations.
    """
    with hushed():  # copying a graph warns of its own old types
        unsigned = copy.deepcopy(quantised)
    nodes = [*_calls(unsigned, "quantize"), *_calls(unsigned, "dequantize")]
    if not nodes:
        raise ValueError("the network has no int8 activations: make it with quantise_network")
    for node in nodes:
        x, scale, zero_point, low, high, _ = node.args
        shifted = (number + _OFFSET for number in (zero_point, low, high))
        node.args = (x, scale, *shifted, torch.uint8)
    unsigned.recompile()
    return unsigned


def look_up(x: Tensor, table: Tensor) -> Tensor:
    """Replaces each byte by its entry in a table.

    Args:
        x: uint8, any shape, dense in memory.
        table: 256 entries.

    Returns:
        The entries, in the shape and layout of x.
    """
    found = torch.empty_like(x, dtype=table.dtype)
    in_memory_order = (x.numel(),), (1,)
    index = x.as_strided(*in_memory_order).int()
    torch.index_select(table, 0, index, out=found.as_strided(*in_memory_order))
    return found


def _drop_clamps(unsigned: GraphModule) -> None:
    """Removes ReLU and ReLU6 where the next quantisation clamps at the same numbers."""
    for node in _calls(unsigned, "quantize"):
        clamp, scale, zero_point = node.args[:3]
        if clamp.target in _RELU:
            limits = (0.0, float("inf"))
        elif clamp.target in _HARDTANH:
            limits = clamp.args[1:]
        else:
            continue
        levels = _quantise(torch.tensor(limits), scale, zero_point).tolist()
        if levels == [0, _LEVELS - 1] and len(clamp.users) == 1:
            clamp.replace_all_uses_with(clamp.args[0])
            unsigned.graph.erase_node(clamp)
    unsigned.recompile()


def _use_tables(program: GraphModule) -> None:
    """Replaces dequantise, functions of one number, quantise by a table."""
    graph = program.graph
    for number, node in enumerate(_calls(program, "quantize")):
        chain = _pointwise_chain(node)
        if chain is None:
            continue
        start, *functions = chain
        values = torch.arange(_LEVELS, dtype=torch.uint8)
        for function in (start, *functions, node):
            values = function.target(values, *function.args[1:])
        program.register_buffer(f"table_{number}", values)
        with graph.inserting_before(node):
            table = graph.get_attr(f"table_{number}")
            node.replace_all_uses_with(graph.call_function(look_up, (start.args[0], table)))
    graph.eliminate_dead_code()
    program.recompile()


def _pointwise_chain(quantise: Node) -> list[Node] | None:
    """From a dequantise to the last function before `quantise`, or None if it is no chain."""
    chain = [quantise.args[0]]
    while chain[0].target in _POINTWISE:
        chain.insert(0, chain[0].args[0])
    return chain if chain[0].target is _target("dequantize") else None


def _use_plain_calls(program: GraphModule) -> None:
    """Lets what remains of quantise and dequantise compute in place and without checks."""
    for name, function in (("quantize", _quantise), ("dequantize", _dequantise)):
        for node in _calls(program, name):
            node.target, node.args = function, node.args[:3]
    program.recompile()


def _quantise(x: Tensor, scale: float, zero_point: int) -> Tensor:
    """Levels of floats, uint8; rounds as the operator that it replaces, bit for bit."""
    levels = x.mul(1.0 / scale).round_().add_(zero_point)
    return levels.clamp_(0, _LEVELS - 1).to(torch.uint8)


def _dequantise(levels: Tensor, scale: float, zero_point: int) -> Tensor:
    """Floats that uint8 levels stand for."""
    return levels.float().sub_(zero_point).mul_(scale)


def _calls(program: GraphModule, name: str) -> list[Node]:
    """The calls of ``quantize`` or ``dequantize`` with one scale a tensor."""
    target = _target(name)
    return [node for node in program.graph.nodes if node.target is target]


def _target(name: str) -> Any:
    return getattr(torch.ops.quantized_decomposed, f"{name}_per_tensor").default
