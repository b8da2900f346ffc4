"""One network in the five forms that chapter 6 compares, timed in the same rounds.

===========  ===========  =================================================================
form         runtime      what runs
===========  ===========  =================================================================
eager        eager        the network as `create_model` returns it
stock        eager        the same weights in PyTorch's stock modules, `stock_network`
deploy       eager        batch norm folded, channels last, `deploy`
onnxruntime  onnxruntime  the network as created; the runtime optimises it
executorch   executorch   the network as created; XNNPACK's kernels
===========  ===========  =================================================================
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from torch import nn
from tqdm import tqdm

from mnv3lib.measure.image_size import check_resolution
from mnv3lib.measure.interleave import interleave
from mnv3lib.measure.latency import Spread, image
from mnv3lib.measure.runtimes import check_threads, compile_model, find_runtime
from mnv3lib.measure.stock import stock_network
from mnv3lib.models import Network, deploy

__all__ = ["FORMS", "check_protocol", "paired_ratio", "stock_twin", "time_forms"]


def stock_twin(network: Network) -> nn.Module:
    """Returns the network rebuilt from stock modules, with the same weights.

    Both hold the same tensors in the same sequence, so they move over in order.
    """
    twin = stock_network(network.spec)
    tensors = network.state_dict().values()
    twin.load_state_dict(dict(zip(twin.state_dict(), tensors, strict=True)))
    return twin


def _as_created(network: Network) -> nn.Module:
    return network


FORMS: dict[str, tuple[str, Callable[[Network], nn.Module]]] = {
    "eager": ("eager", _as_created),
    "stock": ("eager", stock_twin),
    "deploy": ("eager", deploy),
    "onnxruntime": ("onnxruntime", _as_created),
    "executorch": ("executorch", _as_created),
}
"""For each form the runtime, and what becomes of the network before it gets there."""


def time_forms(
    cases: Mapping[str, tuple[Network, str]],
    resolution: int = 224,
    *,
    threads: int = 1,
    rounds: int = 60,
    warmup: int = 5,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Times networks, each in a form, in one set of interleaved rounds.

    Args:
        cases: A network and the name of a form, by any name.
        resolution: Side of the square image in pixels.
        threads: Threads to compute with, the same for every form.
        rounds: Timed rounds; each visits every case once, in a shuffled order.
        warmup: Rounds before those, whose times are thrown away.
        seed: Seed of the image and of the order.

    Returns:
        For each case its times in milliseconds, one a round.

    Raises:
        ValueError: No cases, an unknown form, or a resolution, threads or rounds out of range.
        MissingRuntimeError: A runtime's package is not installed.
        WrongOutputError: A form's output differs from the network's own.
    """
    _check_forms([form for _, form in cases.values()])
    check_protocol(resolution, threads, rounds)
    example = image(resolution, seed=seed)
    with ExitStack() as stack:
        for runtime in sorted({FORMS[form][0] for _, form in cases.values()}):
            stack.enter_context(find_runtime(runtime).threads(threads))
        steps = {}
        for name, (network, form) in tqdm(
            cases.items(), "compiling", delay=2, disable=None, leave=False
        ):
            runtime, transform = FORMS[form]
            module = transform(network.eval())
            session = compile_model(module, example, runtime=runtime, threads=threads)
            steps[name] = session.bind(example)
        return interleave(steps, rounds=rounds, warmup=warmup, seed=seed)


def check_protocol(resolution: int, threads: int, rounds: int) -> None:
    """Raises a ValueError for numbers out of range, before a minute of compiling and not after."""
    check_resolution(resolution)
    check_threads(threads)
    if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 1:
        raise ValueError(f"rounds must be an integer of at least 1, got {rounds!r}")


def paired_ratio(samples: Mapping[str, Sequence[float]], a: str, b: str) -> Spread:
    """Returns how long `a` takes in units of `b`, from the ratios within each round."""
    return Spread.of([x / y for x, y in zip(samples[a], samples[b], strict=True)])


def _check_forms(forms: Sequence[str]) -> None:
    unknown = sorted(set(forms) - set(FORMS))
    if unknown:
        raise ValueError(f"unknown form {unknown[0]!r}: choose one of {', '.join(FORMS)}")
