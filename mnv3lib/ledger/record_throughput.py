"""Time EfficientViT, MobileNetV3 and MobileViT beside each other, and record the run.

    python -m mnv3lib.ledger.record_throughput --out data/runs/throughput.json

EfficientViT's claim is images a second, not multiply-adds (arXiv 2305.07027, abstract and Table 2):
so each network runs on each runtime with one image and with many at a time, all networks of a
runtime and batch in the same interleaved rounds. Eager runs three forms of each: as built, with
batch norm folded, and deployed (folded, channels last); the other runtimes get the folded one. What
the operators of each kind take is profiled as well, since the order of the networks depends on the
runtime. A finished set is kept, so that an interrupted command goes on. ExecuTorch lowers each
network for each batch, which takes up to a minute each time and is kept, too. Let nothing else run
on the machine meanwhile. Shown in the chapter on EfficientViT.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from mnv3lib.ledger.drafts import Draft
from mnv3lib.measure.forms import paired_ratio
from mnv3lib.measure.interleave import interleave
from mnv3lib.measure.latency import Spread
from mnv3lib.measure.operator_times import operator_times
from mnv3lib.measure.runtimes import compile_model, find_runtime
from mnv3lib.models import create_model, deploy
from mnv3lib.ops import SilentNorm
from mnv3lib.recorder import record_from_command_line
from mnv3lib.runs import RecordedRun, write_run

__all__ = ["FORMS", "NETWORKS", "PAIRS", "main", "measure_operators", "measure_set", "record"]

_MODULE = "mnv3lib.ledger.record_throughput"
_DIGITS = 6  # significant ones

NETWORKS = (
    *(f"efficientvit_m{number}" for number in range(6)),
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "mobilevit_xxs",
)
PAIRS = (
    ("efficientvit_m5", "mobilenet_v3_large"),
    ("efficientvit_m2", "mobilevit_xxs"),
    ("efficientvit_m0", "mobilenet_v3_small"),
)
"""Networks whose speeds are divided, the first by the second: the paper's two claims, and M0."""

_FORM_PAIRS = (
    ("deployed", "deployed"),
    ("folded", "folded"),
    ("folded", "plain"),
    ("plain", "plain"),
)


def _folded(network: nn.Module) -> nn.Module:
    return deploy(network).to(memory_format=torch.contiguous_format)


FORMS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "plain": lambda network: network,
    "folded": _folded,
    "deployed": deploy,
}
"""What a runtime may be given, made from a network in evaluation mode."""

_FORMS_OF = {"eager": tuple(FORMS), "onnxruntime": ("folded",), "executorch": ("folded",)}
_PROFILED = ("eager", "onnxruntime")


def _build(name: str, seed: int) -> nn.Module:
    """A network none of whose weights are zero, as after training."""
    network = create_model(name, generator=torch.Generator().manual_seed(seed)).eval()
    for module in network.modules():
        if isinstance(module, SilentNorm):
            nn.init.ones_(module.weight)
    return network


def _images(network: nn.Module, batch: int, seed: int) -> Tensor:
    """Random images of the network's own size, (batch, 3, H, W), standard normal."""
    side = network.resolution
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(seed))


def measure_set(
    runtime: str, batch: int, networks: Sequence[str], protocol: Mapping[str, int]
) -> dict[str, dict]:
    """Times all forms of all networks on a runtime, in the same rounds.

    Args:
        runtime: A key of :data:`mnv3lib.measure.runtimes.RUNTIMES`.
        batch: Images at a time.
        networks: Registered networks.
        protocol: ``threads``, ``rounds`` and ``seed``.

    Returns:
        ``images_per_s`` by "network form" and ``ratios`` of speeds within the rounds, each with
        median and quartiles.

    Raises:
        ValueError: An unknown runtime or network, or a number out of range.
    """
    if batch < 1:
        raise ValueError(f"a batch has at least 1 image, got {batch}")
    threads, seed = protocol["threads"], protocol["seed"]
    with find_runtime(runtime).threads(threads):
        steps = {}
        for name in tqdm(networks, f"compiling for {runtime}", disable=None, leave=False):
            network = _build(name, seed)
            example = _images(network, batch, seed)
            for form in _FORMS_OF[runtime]:
                session = compile_model(
                    FORMS[form](network), example, runtime=runtime, threads=threads
                )
                steps[f"{name} {form}"] = session.bind(example)
        samples = interleave(steps, rounds=protocol["rounds"], seed=seed)
    speeds = {
        case: Spread.of([1e3 * batch / ms for ms in times]) for case, times in samples.items()
    }
    ratios = {f"{a} over {b}": paired_ratio(samples, b, a) for a, b in _compared(samples)}
    return {
        "images_per_s": {case: _numbers(spread) for case, spread in speeds.items()},
        "ratios": {name: _numbers(spread) for name, spread in ratios.items()},
    }


def _compared(cases: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Cases whose speeds are divided: pairs of networks form by form, and forms of a network."""
    for a, b in PAIRS:
        for form, other in _FORM_PAIRS:
            if f"{a} {form}" in cases and f"{b} {other}" in cases:
                yield f"{a} {form}", f"{b} {other}"
    names = dict.fromkeys(case.split()[0] for case in cases)
    for name in names:
        if f"{name} plain" in cases:
            yield f"{name} folded", f"{name} plain"
            yield f"{name} deployed", f"{name} plain"


def measure_operators(name: str, runtime: str, protocol: Mapping[str, int]) -> list[dict]:
    """Profiles one folded network with one image at a time.

    Args:
        name: A registered network.
        runtime: ``"eager"`` or ``"onnxruntime"``.
        protocol: ``threads``, ``rounds`` and ``seed``.

    Returns:
        Kinds of operators, the longest first, with ``operator``, ``calls``, ``ms`` and ``share`` of
        :class:`mnv3lib.measure.operator_times.OperatorTime`, ready for JSON.
    """
    network = _folded(_build(name, protocol["seed"]))
    found = operator_times(
        network, network.resolution, runtime, protocol["threads"], runs=protocol["rounds"]
    )
    return [{**asdict(t), "ms": _rounded(t.ms), "share": _rounded(t.share)} for t in found]


def _numbers(spread: Spread) -> dict[str, float]:
    return {key: _rounded(value) for key, value in asdict(spread).items()}


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def record(
    out: Path,
    *,
    networks: Sequence[str] = NETWORKS,
    runtimes: Sequence[str] = tuple(_FORMS_OF),
    batches: Sequence[int] = (1, 64),
    threads: int = 1,
    rounds: int = 30,
    seed: int = 0,
) -> RecordedRun:
    """Measures everything and writes the run.

    Args:
        out: The JSON file to write, for instance ``data/runs/throughput.json``.
        networks: Registered networks, each at its own resolution.
        runtimes: Names of :data:`mnv3lib.measure.runtimes.RUNTIMES`.
        batches: Images at a time.
        threads: Threads to compute with.
        rounds: Timed rounds of each set, and profiled passes.
        seed: Seed of the weights, of the images and of the order.

    Returns:
        The run. Its metrics hold for each runtime and batch, named ``"batch 64"``, what
        `measure_set` returns, and under ``operators`` what `measure_operators` returns for each
        network and each of the runtimes that can be profiled.

    Raises:
        ValueError: An unknown network or runtime, or a number out of range.
    """
    for runtime in runtimes:
        find_runtime(runtime)
    protocol = {"threads": threads, "rounds": rounds, "seed": seed}
    chosen = {"networks": list(networks), "runtimes": list(runtimes), "batches": list(batches)}
    draft = Draft(out.stem, {**protocol, **chosen})
    metrics: dict[str, dict] = {runtime: {} for runtime in (*runtimes, "operators")}
    sets = [(runtime, batch) for runtime in runtimes for batch in batches]
    for runtime, batch in tqdm(sets, "throughput", disable=None):
        measure = partial(measure_set, runtime, batch, networks, protocol)
        metrics[runtime][f"batch {batch}"] = draft.part(f"{runtime} {batch}", measure)
    for runtime in [r for r in runtimes if r in _PROFILED]:
        metrics["operators"][runtime] = {
            name: draft.part(
                f"operators {runtime} {name}", partial(measure_operators, name, runtime, protocol)
            )
            for name in tqdm(networks, f"operators on {runtime}", disable=None)
        }
    run = write_run(
        out.stem,
        command=f"python -m {_MODULE} --networks {' '.join(networks)} "
        f"--runtimes {' '.join(runtimes)} --batches {' '.join(map(str, batches))} "
        f"--threads {threads} --rounds {rounds} --seed {seed} --out data/runs/{out.name}",
        config={**protocol, **chosen},
        seeds=[seed],
        metrics=metrics,
        started=draft.started,
        duration_s=draft.duration_s,
        path=out,
    )
    draft.discard()
    return run


def main(arguments: list[str] | None = None) -> int:
    """Records a run from the command line; see :mod:`mnv3lib.recorder`."""
    return record_from_command_line(
        record,
        module=_MODULE,
        summary=__doc__.splitlines()[0],
        describe=lambda run: f"{run.name}: {run.duration_s:.0f} s",
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
