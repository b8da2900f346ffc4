"""Devices that are formulas: what a multiply-add costs depends on the kind of convolution.

Clocks are noisy, and a reader's machine is one machine. A simulated device has three prices, for
multiply-adds of 1x1, of depthwise and of regular kxk convolutions, and the latency of a network is
the sum. With equal prices latency is multiply-adds; where depthwise ones are dear and regular ones
cheap, as on the accelerators that MobileDets are for, it is not. The prices of ``"accelerator"``
are ours, chosen to tell the two apart, and no measurement. Taught in the chapter on MobileDets.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from mnv3lib.models.layer_kinds import LayerKind, Macs
from mnv3lib.search.layer_space import LayerSpace, SearchedLayer
from mnv3lib.search.linear_latency import LinearLatency

__all__ = ["DEVICES", "SimulatedDevice", "device_latency", "space_macs"]


@dataclass(frozen=True)
class SimulatedDevice:
    """Prices of a million multiply-adds, in no unit but the device's own.

    Attributes:
        name: Name of the device.
        pointwise: Of 1x1 convolutions.
        depthwise: Of depthwise ones.
        regular: Of kxk convolutions that mix channels.

    Raises:
        ValueError: A price that is not above 0.
    """

    name: str
    pointwise: float
    depthwise: float
    regular: float

    def __post_init__(self) -> None:
        if not min(self.pointwise, self.depthwise, self.regular) > 0:
            raise ValueError(f"prices must be above 0, got {self}")

    def cost(self, macs: Macs) -> float:
        """What these multiply-adds cost.

        Example:
            >>> DEVICES["accelerator"].cost(Macs(pointwise=4_000_000, depthwise=1_000_000))
            3.0
        """
        prices = Macs(self.pointwise, self.depthwise, self.regular)
        return sum(price * number for price, number in zip(prices, macs, strict=True)) / 1e6


DEVICES = {
    device.name: device
    for device in (
        SimulatedDevice("cpu", 1.0, 1.0, 1.0),
        SimulatedDevice("accelerator", 0.25, 2.0, 1 / 12),
    )
}
"""Devices by name."""


def device_latency(space: LayerSpace, device: SimulatedDevice, resolution: int) -> LinearLatency:
    """Latencies of all points of a space on a device, exactly.

    The rows that all points share count as well, except for pooling and classifier, which a
    detector does not have.

    Args:
        space: The space.
        device: The device.
        resolution: Side of the square image in pixels.
    """

    def cost(layer: SearchedLayer, c_in: int, c_out: int, kind: LayerKind | None) -> float:
        return device.cost(_layer_macs(layer, c_in, c_out, kind, resolution))

    return LinearLatency.of_layers(space, cost, device.cost(_stem_macs(space, resolution)))


def space_macs(space: LayerSpace, codes: Tensor, resolution: int) -> Tensor:
    """Multiply-adds of points by kind of convolution: pointwise, depthwise, regular.

    Args:
        space: The space.
        codes: Codes, int64 (N, D).
        resolution: Side of the square image in pixels.

    Returns:
        In millions, float64 (N, 3).

    Raises:
        ValueError: The codes are not of the space.
    """
    single = (SimulatedDevice(name, *prices) for name, prices in _one_at_a_time())
    return torch.stack([device_latency(space, d, resolution)(codes) for d in single], dim=1)


def _one_at_a_time() -> Iterable[tuple[str, tuple[float, float, float]]]:
    free = 1e-300  # prices are above 0
    for index, name in enumerate(Macs._fields):
        yield name, tuple(1.0 if index == at else free for at in range(3))


def _layer_macs(
    layer: SearchedLayer, c_in: int, c_out: int, kind: LayerKind | None, resolution: int
) -> Macs:
    if kind is None:
        return Macs()
    return kind.macs(c_in, c_out, -(-resolution // layer.side_share), layer.place)


def _stem_macs(space: LayerSpace, resolution: int) -> Macs:
    """The first rows, which are regular convolutions of an image."""
    channels, side, macs = 3, resolution, 0
    for row in space.base.rows[: space.kept_top]:
        side = -(-side // row.stride)
        macs += row.kernel**2 * channels * row.out * side**2
        channels = row.out
    return Macs(regular=macs)
