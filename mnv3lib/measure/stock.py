"""The same networks from PyTorch's stock modules alone: a yardstick for ours (chapter 6).

Written without the bricks of :mod:`mnv3lib.ops`, so that a comparison tells what our modules cost
in time, and whether an independent reading of the tables gives the same outputs. Layers are
grouped as people write them, a ``Sequential`` for each convolution with its norm and activation
and one for each block. Weights move over in order: both networks hold the same tensors in the
same sequence.
"""

from torch import Tensor, nn

from mnv3lib.models.rows import (
    BneckRow,
    ConvRow,
    DenseRow,
    NetworkSpec,
    PoolRow,
    Row,
    SeparableRow,
)
from mnv3lib.ops import make_divisible

__all__ = ["knows", "stock_network"]

_ACTIVATIONS = {
    "relu": lambda: nn.ReLU(inplace=True),
    "relu6": lambda: nn.ReLU6(inplace=True),
    "swish": lambda: nn.SiLU(inplace=True),
    "hard_swish": lambda: nn.Hardswish(inplace=True),
    "sigmoid": nn.Sigmoid,
    "hard_sigmoid": nn.Hardsigmoid,
}
_ROWS = (ConvRow, SeparableRow, BneckRow, PoolRow, DenseRow)


class _Gated(nn.Module):
    """x times the output of a chain of stock layers."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.layers(x)


class _Added(nn.Module):
    """x plus the output of a chain of stock layers."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def _unit(
    spec: NetworkSpec, c_in: int, c_out: int, k: int, s: int, groups: int, act: str | None
) -> nn.Sequential:
    conv = nn.Conv2d(c_in, c_out, k, s, padding=k // 2, groups=groups, bias=False)
    norm = nn.BatchNorm2d(c_out, eps=spec.bn_eps, momentum=spec.bn_momentum)
    return nn.Sequential(conv, norm, *([] if act is None else [_ACTIVATIONS[act]()]))


def _squeeze_excite(spec: NetworkSpec, row: BneckRow, c_in: int) -> nn.Module:
    from_expansion = spec.squeeze == "expansion"
    middle = make_divisible(row.exp / 4) if from_expansion else max(1, c_in // 4)
    return _Gated(
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(row.exp, middle, 1),
        _ACTIVATIONS[spec.squeeze_act](),
        nn.Conv2d(middle, row.exp, 1),
        _ACTIVATIONS[spec.gate](),
    )


def _bneck(spec: NetworkSpec, row: BneckRow, c_in: int) -> nn.Module:
    layers = []
    if row.exp != c_in:
        layers.append(_unit(spec, c_in, row.exp, 1, 1, 1, row.act))
    layers.append(_unit(spec, row.exp, row.exp, row.kernel, row.stride, row.exp, row.act))
    if row.se:
        layers.append(_squeeze_excite(spec, row, c_in))
    layers.append(_unit(spec, row.exp, row.out, 1, 1, 1, None))
    shortcut = row.stride == 1 and c_in == row.out
    return _Added(*layers) if shortcut else nn.Sequential(*layers)


def _layers(spec: NetworkSpec, row: Row, c_in: int) -> list[nn.Module]:
    if isinstance(row, ConvRow):
        return [_unit(spec, c_in, row.out, row.kernel, row.stride, 1, row.act)]
    if isinstance(row, SeparableRow):
        depthwise = _unit(spec, c_in, c_in, row.kernel, row.stride, c_in, row.act)
        return [depthwise, _unit(spec, c_in, row.out, 1, 1, 1, row.act)]
    if isinstance(row, BneckRow):
        return [_bneck(spec, row, c_in)]
    if isinstance(row, DenseRow):
        dense = nn.Linear(c_in, row.out)
        if row.act is None:
            return [nn.Dropout(spec.dropout), dense]
        return [dense, _ACTIVATIONS[row.act]()]
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten()]


def knows(spec: NetworkSpec) -> bool:
    """Whether a table can be read here: its rows, padding and output stride are the usual ones.

    Args:
        spec: A table.
    """
    usual = spec.padding == "symmetric" and spec.output_stride == 32 and not spec.always_expand
    by_rule = spec.squeeze in ("expansion", "input")
    return usual and by_rule and all(type(row) in _ROWS for row in spec.rows)


def stock_network(spec: NetworkSpec) -> nn.Sequential:
    """Builds a network from ``torch.nn`` alone.

    Args:
        spec: The table, one that :func:`knows` knows.

    Returns:
        A network from (N, 3, H, W) to (N, classes), fresh weights.

    Raises:
        ValueError: Another padding, output stride or kind of row.
    """
    if not knows(spec):
        raise ValueError(
            "the stock network knows symmetric padding, output stride 32 and the rows of the "
            f"MobileNets, not those of {spec.family} with {spec.padding!r}, {spec.output_stride}"
        )
    layers: list[nn.Module] = []
    channels = 3
    for row in spec.rows:
        layers += _layers(spec, row, channels)
        channels = getattr(row, "out", channels)
    return nn.Sequential(*layers)
