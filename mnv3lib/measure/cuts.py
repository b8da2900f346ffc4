"""What each operator adds to a network's time: cut the network after it, and subtract (chapter 6).

A block that is timed alone tells little about the same block inside a network. ONNX Runtime and
XNNPACK keep maps in a layout of their own; alone, a block pays for the way there and back, and
that can cost more than the block. So we time the network up to an operator and the network up to
the one before, in the same rounds, and take the difference within each round.

Every cut ends in a probe, a convolution to eight channels that looks at one pixel: it keeps
the runtime from returning, and rearranging, a whole map.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from tqdm import tqdm

from mnv3lib.measure.forms import check_protocol
from mnv3lib.measure.image_size import own_resolution
from mnv3lib.measure.interleave import interleave
from mnv3lib.measure.latency import Spread, image
from mnv3lib.measure.runtimes import compile_model, find_runtime
from mnv3lib.models import Network, deploy
from mnv3lib.models.row_modules import GlobalAveragePool
from mnv3lib.ops import InvertedResidual

__all__ = ["Cut", "Piece", "cut_network", "time_pieces"]

REST = "pool and head"
_PROBE_CHANNELS = 8


@dataclass(frozen=True)
class Piece:
    """One operator of a network, and what it adds.

    Attributes:
        row: Line of the table, from 0; the last piece holds all rows from pooling on.
        kind: ``expand``, ``depthwise``, ``se``, ``project`` (with the shortcut's addition),
            ``conv`` or ``pool and head``.
        macs: Multiply-adds.
        added_ms: Spread of the differences within each round, milliseconds.
    """

    row: int
    kind: str
    macs: int
    added_ms: Spread


@dataclass(frozen=True)
class Cut:
    """A network up to one of its operators.

    Attributes:
        row: As in `Piece`.
        kind: As in `Piece`.
        last: The operator that comes last.
        beginning: Everything up to it, from images to its map; the last cut is the whole network.
    """

    row: int
    kind: str
    last: nn.Module
    beginning: nn.Sequential


def cut_network(network: Network) -> Iterator[Cut]:
    """Yields the network up to each of its operators, and last the whole network.

    Args:
        network: Built from a table; its modules are used, nothing is copied.
    """
    done: list[nn.Module] = []
    for index, row in enumerate(network.rows):
        if isinstance(row, GlobalAveragePool):
            yield Cut(index, REST, network.rows[index:], network.rows)
            return
        if isinstance(row, InvertedResidual):
            begun = list(done)
            for kind in ("expand", "depthwise", "se"):
                part = getattr(row, kind)
                if part is not None:
                    begun.append(part)
                    yield Cut(index, kind, part, nn.Sequential(*begun))
        done.append(row)
        is_block = isinstance(row, InvertedResidual)
        kind, last = ("project", row.project) if is_block else ("conv", row)
        yield Cut(index, kind, last, nn.Sequential(*done))


def time_pieces(
    network: Network,
    resolution: int | None = None,
    runtime: str = "onnxruntime",
    threads: int = 1,
    *,
    rounds: int = 60,
    warmup: int = 5,
    seed: int = 0,
) -> list[Piece]:
    """Times every operator of a network in its place.

    The network runs as `deploy` makes it. Differences of nearly equal times are noisy: judge a
    piece by its quartiles, and sums over many pieces rather than one.

    Args:
        network: Built from a table.
        resolution: Side of the square image in pixels; the network's own if not given.
        runtime: ``"eager"``, ``"onnxruntime"`` or ``"executorch"``.
        threads: Threads to compute with.
        rounds: Timed rounds; each visits every cut once.
        warmup: Rounds before those, whose times are thrown away.
        seed: Seed of the image and of the order.

    Returns:
        The operators in the order of the network; their MACs add up to the network's.

    Raises:
        ValueError: A resolution, threads or rounds out of range, or an unknown runtime.
        MissingRuntimeError: The runtime's package is not installed.
    """
    resolution = own_resolution(network) if resolution is None else resolution
    check_protocol(resolution, threads, rounds)
    example = image(resolution, seed=seed)
    cuts = list(cut_network(deploy(network)))
    steps = {}
    with find_runtime(runtime).threads(threads):
        for place, cut in enumerate(
            tqdm(cuts, f"compiling for {runtime}", delay=2, disable=None, leave=False)
        ):
            module = cut.beginning if cut.kind == REST else _with_probe(cut, example, seed)
            session = compile_model(module, example, runtime=runtime, threads=threads)
            steps[str(place)] = session.bind(example)
        samples = interleave(steps, rounds=rounds, warmup=warmup, seed=seed)
    return _differences(cuts, list(samples.values()), _macs(cuts[-1].beginning, example))


def _with_probe(cut: Cut, example: Tensor, seed: int) -> nn.Module:
    """Returns the cut with a convolution behind it that reads the first pixel of its map."""
    with torch.inference_mode():
        _, channels, side, _ = cut.beginning(example).shape
    generator = torch.Generator().manual_seed(seed)
    probe = nn.Conv2d(channels, _PROBE_CHANNELS, 1, stride=side, bias=False)
    nn.init.normal_(probe.weight, generator=generator)
    probed = nn.Sequential(OrderedDict(beginning=cut.beginning, probe=probe))
    return probed.eval().to(memory_format=torch.channels_last)


def _macs(network: nn.Module, example: Tensor) -> dict[nn.Module, int]:
    """Multiply-adds of each convolution and linear layer, from one forward pass."""
    macs: dict[nn.Module, int] = {}

    def note(layer: nn.Module, _: tuple, output: Tensor) -> None:
        macs[layer] = layer.weight.numel() * prod(output.shape[2:])

    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    with torch.inference_mode():
        network(example)
    for hook in hooks:
        hook.remove()
    return macs


def _differences(
    cuts: list[Cut], samples: list[list[float]], macs: dict[nn.Module, int]
) -> list[Piece]:
    """Subtracts from the times of each cut those of the cut before."""
    pieces = []
    before_ms = [0.0] * len(samples[0])
    for cut, now_ms in zip(cuts, samples, strict=True):
        added = [now - before for now, before in zip(now_ms, before_ms, strict=True)]
        own = sum(macs.get(layer, 0) for layer in cut.last.modules())
        pieces.append(Piece(cut.row, cut.kind, own, Spread.of(added)))
        before_ms = now_ms
    return pieces
