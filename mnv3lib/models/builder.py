"""From a table to a network: one module per row, in the table's order (chapter 5)."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from mnv3lib.models.rows import BneckRow, ConvRow, DenseRow, NetworkSpec, PoolRow, Row, SeparableRow
from mnv3lib.ops import (
    ConvNormAct,
    DepthwiseSeparable,
    InvertedResidual,
    activation,
    squeeze_from_expansion,
    squeeze_from_input,
)

__all__ = ["Dense", "GlobalAveragePool", "Network", "build_row"]

_SQUEEZE_RULES = {
    "expansion": lambda c_in, row: squeeze_from_expansion(row.exp),
    "input": lambda c_in, row: squeeze_from_input(c_in),
}


class GlobalAveragePool(nn.Module):
    """The mean of each channel over the map."""

    def forward(self, x: Tensor) -> Tensor:
        """x: Feature map, (N, C, H, W). Returns (N, C)."""
        return nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)


class Dense(nn.Module):
    """Dropout, a fully connected layer with bias, and an activation; the last two as asked.

    Args:
        in_features: Features of the input.
        out_features: Features of the output.
        act: Name of the activation, or None.
        dropout: Dropout rate on the input.
    """

    def __init__(
        self, in_features: int, out_features: int, *, act: str | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout) if dropout else None
        self.linear = nn.Linear(in_features, out_features)
        self.act = None if act is None else activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """x: Features, (N, C). Returns (N, C')."""
        if self.dropout is not None:
            x = self.dropout(x)
        x = self.linear(x)
        return x if self.act is None else self.act(x)


def _build_conv(row: ConvRow, c_in: int, spec: NetworkSpec, **geometry: int) -> nn.Module:
    return ConvNormAct(c_in, row.out, row.kernel, act=row.act, **_common(spec), **geometry)


def _build_separable(row: SeparableRow, c_in: int, spec: NetworkSpec, **geometry: int) -> nn.Module:
    return DepthwiseSeparable(c_in, row.out, row.kernel, act=row.act, **_common(spec), **geometry)


def _build_bneck(row: BneckRow, c_in: int, spec: NetworkSpec, **geometry: int) -> nn.Module:
    return InvertedResidual(
        c_in,
        row.exp,
        row.out,
        row.kernel,
        squeeze_channels=_SQUEEZE_RULES[spec.squeeze](c_in, row) if row.se else None,
        gate=spec.gate,
        squeeze_act=spec.squeeze_act,
        act=row.act,
        **_common(spec),
        **geometry,
    )


def _build_pool(row: PoolRow, c_in: int, spec: NetworkSpec, **geometry: int) -> nn.Module:
    return GlobalAveragePool()


def _build_dense(row: DenseRow, c_in: int, spec: NetworkSpec, **geometry: int) -> nn.Module:
    return Dense(c_in, row.out, act=row.act, dropout=spec.dropout if row.act is None else 0.0)


_BUILDERS: dict[type, Callable[..., nn.Module]] = {
    ConvRow: _build_conv,
    SeparableRow: _build_separable,
    BneckRow: _build_bneck,
    PoolRow: _build_pool,
    DenseRow: _build_dense,
}


def _common(spec: NetworkSpec) -> dict[str, object]:
    norm_layer = partial(nn.BatchNorm2d, eps=spec.bn_eps, momentum=spec.bn_momentum)
    return {"padding": spec.padding, "norm_layer": norm_layer}


def build_row(
    row: Row, in_channels: int, spec: NetworkSpec, *, stride: int | None = None, dilation: int = 1
) -> nn.Module:
    """Builds the module of one row.

    Args:
        row: A line of a table.
        in_channels: Channels (or features) that enter it.
        spec: Conventions of the network around it.
        stride: Replaces the row's own stride.
        dilation: Dilation of the row's kernel.

    Returns:
        A module from (N, in_channels, H, W), or (N, in_channels) for a DenseRow.
    """
    geometry = {"stride": getattr(row, "stride", 1) if stride is None else stride}
    return _BUILDERS[type(row)](row, in_channels, spec, **geometry, dilation=dilation)


class Network(nn.Module):
    """A network that mirrors its table: ``rows[i]`` is line *i*.

    Args:
        spec: The table and its conventions.
        generator: Source of the initial weights; PyTorch's global one when not given.

    Attributes:
        spec: The table this network was built from.
        feature_channels: Channels of the maps that :meth:`features` returns.
        min_resolution: Product of all strides; of smaller images less than a pixel would remain.

    Raises:
        ValueError: ``spec.output_stride`` is not 8, 16 or 32.
    """

    def __init__(self, spec: NetworkSpec, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if spec.output_stride not in (8, 16, 32):
            raise ValueError(f"output_stride must be 8, 16 or 32, got {spec.output_stride}")
        self.spec = spec
        self.rows = nn.Sequential()
        self.feature_channels: dict[str, int] = {}
        self._level_of_row: list[str | None] = []
        channels, nominal_stride, dilation = 3, 1, 1
        with torch.device("meta"):  # weights are drawn once, below, not also by each layer
            for row in spec.rows:
                stride = getattr(row, "stride", 1)
                nominal_stride *= stride
                keeps_size = nominal_stride > spec.output_stride
                self.rows.append(
                    build_row(row, channels, spec, stride=1, dilation=dilation)
                    if keeps_size
                    else build_row(row, channels, spec, dilation=dilation)
                )
                if keeps_size:  # slim's rule: the block that loses its stride is not yet dilated
                    dilation *= stride
                channels = getattr(row, "out", channels)
                self._note_level(row, nominal_stride, channels)
        self.min_resolution = nominal_stride
        self.to_empty(device="cpu")
        initialise(self, generator)

    def _note_level(self, row: Row, nominal_stride: int, channels: int) -> None:
        is_map = not isinstance(row, PoolRow | DenseRow)
        level = f"C{nominal_stride.bit_length() - 1}" if is_map and nominal_stride > 1 else None
        self._level_of_row.append(level)
        if level is not None:
            self.feature_channels[level] = channels

    def forward(self, x: Tensor) -> Tensor:
        """Classifies images.

        Args:
            x: Images, (N, 3, H, W), both sides at least :attr:`min_resolution` pixels.

        Returns:
            Logits, (N, classes).

        Raises:
            ValueError: Not a batch of RGB images, or too small.
        """
        check_images(x, self.min_resolution)
        return self.rows(x)

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """The last map at each resolution, before pooling.

        Args:
            x: Images, (N, 3, H, W), both sides at least :attr:`min_resolution` pixels.

        Returns:
            ``{"C1": ..., "C5": ...}``; level k has stride 2^k, or the output stride if that is
            smaller. Channels are in :attr:`feature_channels`.
        """
        check_images(x, self.min_resolution)
        maps: dict[str, Tensor] = {}
        for level, row in zip(self._level_of_row, self.rows, strict=True):
            if isinstance(row, GlobalAveragePool):
                break
            x = row(x)
            if level is not None:
                maps[level] = x
        return maps


def check_images(x: Tensor, smallest: int) -> None:
    """Raises a ValueError unless x is a batch of RGB images with sides of at least `smallest`."""
    if torch.jit.is_tracing():  # sizes are symbols there, and comparing them warns
        return
    if x.ndim != 4 or x.shape[1] != 3:
        raise ValueError(
            f"expected RGB images of shape (N, 3, H, W), got {tuple(x.shape)}; "
            "add the batch axis with x[None], or convert to RGB"
        )
    if min(x.shape[2:]) < smallest:
        raise ValueError(
            f"images must be at least {smallest} pixels on both sides, "
            f"got {x.shape[2]} x {x.shape[3]}; resize them"
        )


@torch.no_grad()
def initialise(network: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draws initial weights: He-normal by fan-out for convolutions, N(0, 0.01) for dense layers.

    The fan-out of a grouped convolution is that of one group, as in MnasNet's and timm's code;
    counted over all groups it would start depthwise layers too small by sqrt(channels).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.weight[0, 0].numel() * module.out_channels // module.groups
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out), generator=generator)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01, generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            nn.init.ones_(module.weight)
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)
