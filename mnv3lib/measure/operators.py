"""What one operator costs: fvcore handlers for everything that the book's networks run.

fvcore counts convolutions, linear layers, batch norm and pooling; it warns about hard swish,
hard sigmoid and elementwise arithmetic and leaves them out. The handlers here name every
operator, so that :func:`mnv3lib.measure.count` can state what is in a number and what is not.
Taught in chapter 1 (convolutions) and chapter 5 (whole networks). Attention's two products of
matrices count like linear layers; fvcore would overlook them inside of PyTorch's fused call
``scaled_dot_product_attention``, which no network here uses.
"""

from collections import Counter
from collections.abc import Callable
from math import prod

from fvcore.nn.jit_handles import conv_flop_count, get_shape

__all__ = ["ARITHMETIC", "ELEMENTWISE", "HANDLERS"]

ARITHMETIC = ("conv", "pointwise", "depthwise", "linear", "matmul")
ELEMENTWISE = (
    "relu",
    "relu6",
    "swish",
    "sigmoid",
    "hard_swish",
    "hard_sigmoid",
    "multiply",
    "add",
    "divide",
    "pool",
    "softmax",
    "layer_norm",
)

Handler = Callable[[list, list], Counter]


def conv_kind(weight_shape: list[int], groups: int) -> str:
    """Names a convolution from the shape of its weights, (C', C / groups, k, k).

    Returns:
        ``"depthwise"`` (one input channel a filter, several groups), ``"pointwise"`` (1x1) or
        ``"conv"``.
    """
    if groups > 1 and weight_shape[1] == 1:
        return "depthwise"
    return "pointwise" if weight_shape[2:] == [1, 1] else "conv"


def _conv(inputs: list, outputs: list) -> Counter:
    x, weight, out = get_shape(inputs[0]), get_shape(inputs[1]), get_shape(outputs[0])
    groups = inputs[8].toIValue()
    return Counter({conv_kind(weight, groups): conv_flop_count(x, weight, out)})


def _elements(name: str) -> Handler:
    """One operation for each element of the output."""

    def handler(inputs: list, outputs: list) -> Counter:
        return Counter({name: prod(get_shape(outputs[0]))})

    return handler


def _input_elements(name: str) -> Handler:
    """One operation for each element of the input."""

    def handler(inputs: list, outputs: list) -> Counter:
        return Counter({name: prod(get_shape(inputs[0]))})

    return handler


def _matmul(inputs: list, outputs: list) -> Counter:
    """A product of two computed matrices, as attention has two of: (..., M, K) by (..., K, N)."""
    rows_and_depth, columns = get_shape(inputs[0]), get_shape(inputs[1])[-1]
    return Counter(matmul=prod(rows_and_depth) * columns)


def _free(inputs: list, outputs: list) -> Counter:
    """Moves or reshapes data; no arithmetic."""
    return Counter()


HANDLERS: dict[str, Handler] = {
    "aten::_convolution": _conv,
    "aten::batch_norm": _elements("batch_norm"),
    "aten::relu": _elements("relu"),
    "aten::relu_": _elements("relu"),
    "aten::relu6": _elements("relu6"),
    "aten::hardtanh": _elements("relu6"),
    "aten::hardtanh_": _elements("relu6"),
    "aten::silu": _elements("swish"),
    "aten::silu_": _elements("swish"),
    "aten::sigmoid": _elements("sigmoid"),
    "aten::hardswish": _elements("hard_swish"),
    "aten::hardswish_": _elements("hard_swish"),
    "aten::hardsigmoid": _elements("hard_sigmoid"),
    "aten::mul": _elements("multiply"),
    "aten::add": _elements("add"),
    "aten::add_": _elements("add"),
    "aten::div": _elements("divide"),
    "aten::adaptive_avg_pool2d": _input_elements("pool"),
    "aten::avg_pool2d": _input_elements("pool"),
    "aten::mean": _input_elements("pool"),
    "aten::matmul": _matmul,
    "aten::softmax": _elements("softmax"),
    "aten::layer_norm": _elements("layer_norm"),
    "aten::pad": _free,
    "aten::unflatten": _free,
    "aten::expand_as": _free,
}
