"""How much of a processor an operator uses: multiply-adds that it achieves in a second.

Multiply-adds say how much there is to do, not how long it takes. A depthwise convolution uses each
weight it loads, and each pixel, for few multiply-adds, so that memory decides; a regular one uses
them many times over. What an operator achieves, in billions of multiply-adds a second (GMAC/s), is
its *utilisation* in units of the processor; MobileDets (arXiv 2004.14525) starts from how far apart
these are.

An operator alone is not an operator in a network: handing its map over to a runtime and back may
take longer than itself. So chains of equal layers are timed, short and long ones in the same
rounds, behind a first regular convolution that settles the memory layout, and a layer costs what
the longer chain takes more. Taught in the chapter on MobileDets.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from tqdm import tqdm

from mnv3lib.measure.bound import BoundCall
from mnv3lib.measure.interleave import interleave
from mnv3lib.measure.latency import Spread
from mnv3lib.measure.runtimes import check_threads, compile_model, find_runtime

__all__ = ["ConvCase", "LayerCase", "Utilisation", "added_ms", "utilisation"]

SHORT, LONG = 1, 5  # equal layers in the two chains

Kind = Literal["regular", "pointwise", "depthwise"]


@dataclass(frozen=True)
class LayerCase:
    """A layer that keeps the shape of its map, so that it can follow itself.

    Attributes:
        build: Makes the layer, in the form in which it is timed.
        channels: Channels of its map.
        side: Side of its square map, in pixels.
        macs: Multiply-adds of one call.
    """

    build: Callable[[], nn.Module]
    channels: int
    side: int
    macs: int


@dataclass(frozen=True)
class ConvCase:
    """A convolution from C channels to C, without bias, norm and activation.

    Attributes:
        kind: ``"regular"``, ``"pointwise"`` (a kernel of 1) or ``"depthwise"``.
        channels: C.
        side: Side of the square map in pixels.
        kernel: Side of the kernel.

    Raises:
        ValueError: An unknown kind, or a size below 1.
    """

    kind: Kind
    channels: int
    side: int
    kernel: int = 3

    def __post_init__(self) -> None:
        if self.kind not in ("regular", "pointwise", "depthwise"):
            raise ValueError(
                f"unknown kind {self.kind!r}; choose 'regular', 'pointwise' or 'depthwise'"
            )
        if min(self.channels, self.side, self.kernel) < 1:
            raise ValueError(f"channels, side and kernel must be at least 1, got {self}")
        if self.kind == "pointwise" and self.kernel != 1:
            raise ValueError(f"a pointwise convolution has a kernel of 1, got {self.kernel}")

    @property
    def name(self) -> str:
        """For keys: ``depthwise 3x3, 32x80x80``."""
        map_size = f"{self.channels}x{self.side}x{self.side}"
        return f"{self.kind} {self.kernel}x{self.kernel}, {map_size}"

    @property
    def macs(self) -> int:
        """Multiply-adds of one call."""
        inputs = 1 if self.kind == "depthwise" else self.channels
        return self.kernel**2 * inputs * self.channels * self.side**2

    @property
    def layer(self) -> LayerCase:
        """The same as a layer of chains."""
        return LayerCase(self._build, self.channels, self.side, self.macs)

    def _build(self) -> nn.Module:
        groups = self.channels if self.kind == "depthwise" else 1
        return nn.Conv2d(
            self.channels,
            self.channels,
            self.kernel,
            padding=self.kernel // 2,
            groups=groups,
            bias=False,
        )


@dataclass(frozen=True)
class Utilisation:
    """What a layer achieves.

    Attributes:
        macs: Multiply-adds of one call.
        ms: Milliseconds that one more of it adds to a chain.
    """

    macs: int
    ms: Spread

    @property
    def gmacs(self) -> float:
        """Billions of multiply-adds a second, at the median time."""
        return self.macs / self.ms.median / 1e6


def utilisation(
    cases: Mapping[str, LayerCase], runtime: str = "eager", threads: int = 1, **protocol: int
) -> dict[str, Utilisation]:
    """What layers achieve on this machine.

    Args:
        cases: Layers by name.
        runtime: ``"eager"`` (in channels last), ``"onnxruntime"`` or ``"executorch"``.
        threads: Threads to compute with.
        **protocol: ``rounds`` and ``seed``; as for :func:`added_ms`, with its errors.
    """
    times = added_ms(cases, runtime, threads, **protocol)
    return {name: Utilisation(cases[name].macs, Spread.of(ms)) for name, ms in times.items()}


def added_ms(
    cases: Mapping[str, LayerCase],
    runtime: str = "eager",
    threads: int = 1,
    *,
    rounds: int = 30,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Times chains of layers, and takes the differences round by round.

    Args:
        cases: Layers by name.
        runtime: ``"eager"`` (in channels last), ``"onnxruntime"`` or ``"executorch"``.
        threads: Threads to compute with.
        rounds: Timed rounds; each visits all chains in a shuffled order.
        seed: Seed of the inputs and of the order.

    Returns:
        For each case, the milliseconds that one more layer adds, one number a round.

    Raises:
        ValueError: No cases, unknown runtime, or fewer than one thread or round.
        MissingRuntimeError: The runtime's package is not installed.
    """
    generator = torch.Generator().manual_seed(seed)
    calls: dict[str, BoundCall] = {}
    with find_runtime(runtime).threads(check_threads(threads)), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        bar = tqdm(cases.items(), f"chains for {runtime}", delay=2, disable=None, leave=False)
        for name, case in bar:
            x = torch.randn(1, case.channels, case.side, case.side, generator=generator)
            layers = [case.build() for _ in range(LONG)]
            for length in (SHORT, LONG):
                chain = _chain(case.channels, layers[:length])
                session = compile_model(chain, x, runtime=runtime, threads=threads)
                calls[_key(name, length)] = session.bind(x)
        samples = interleave(calls, before=lambda key: calls[key].touch(), rounds=rounds, seed=seed)
    return {name: _differences(samples, name) for name in cases}


def _chain(channels: int, layers: Sequence[nn.Module]) -> nn.Module:
    """A regular convolution, which channels last can be told from, and the layers."""
    first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    chain = nn.Sequential(*(_Named(layer) for layer in (first, *layers))).eval()
    return chain.requires_grad_(False).to(memory_format=torch.channels_last)


class _Named(nn.Module):
    """A layer behind a name: some runtimes refuse parameters whose names begin with a digit."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: What the layer takes."""
        return self.layer(x)


def _key(name: str, length: int) -> str:
    return f"{length} {name}"


def _differences(samples: Mapping[str, list[float]], name: str) -> list[float]:
    pairs = zip(samples[_key(name, LONG)], samples[_key(name, SHORT)], strict=True)
    return [(long - short) / (LONG - SHORT) for long, short in pairs]
