"""Networks scaled as a whole, to hold an adapted one against (chapter 9).

A width multiplier shrinks all layers alike, and anyone can have it for nothing. So an adapted
network is worth its trouble only if it beats the scaled one that takes as long. No multiplier hits
a latency exactly; the *twin* is the closest that is not faster, so that scaling has the advantage.
"""

from collections.abc import Iterable

from mnv3lib.measure.latency import LatencyComparison
from mnv3lib.models import NetworkSpec, model_spec
from mnv3lib.train.recipe import Model

__all__ = ["closest_twin", "scaled_tables"]


def scaled_tables(
    model: Model, num_classes: int, *, grid: float = 0.01, smallest: float = 0.3
) -> dict[str, NetworkSpec]:
    """A recipe's network at smaller and smaller width multipliers.

    Args:
        model: The network; its own multiplier is the largest.
        num_classes: Classes of the last layer.
        grid: Distance of two multipliers.
        smallest: No multiplier falls below this share of the network's own.

    Returns:
        Tables by multiplier, as text with three decimals, from the widest. Widths come in
        multiples of eight, so neighbours are often the same network: each stands there once.

    Raises:
        ValueError: A grid or share outside (0, 1).
    """
    for name, value in (("grid", grid), ("smallest", smallest)):
        if not 0 < value < 1:
            raise ValueError(f"{name} must lie between 0 and 1, got {value}")
    options = {key: value for key, value in model.options.items() if key != "drop_path"}
    found: dict[tuple, tuple[str, NetworkSpec]] = {}
    for step in range(int((1 - smallest) / grid + 1e-9) + 1):
        multiplier = round(model.width_mult * (1 - step * grid), 3)
        spec = model_spec(model.network, width_mult=multiplier, num_classes=num_classes, **options)
        found.setdefault(spec.rows, (f"{multiplier:.3f}", spec))
    return dict(found.values())


def closest_twin(clock: LatencyComparison, adapted: str, scaled: Iterable[str]) -> str:
    """The scaled network whose latency is the closest that is not below an adapted one's.

    Args:
        clock: Times of all of them from one set of rounds.
        adapted: Name of the adapted network there.
        scaled: Names of the scaled ones.

    Returns:
        The name of the one whose ratio to the adapted network, the median over the rounds, is
        the smallest from 1 on.

    Raises:
        ValueError: All are faster.
    """
    ratios = {name: clock.ratio(name, adapted).median for name in scaled}
    slower = {name: ratio for name, ratio in ratios.items() if ratio >= 1}
    if not slower:
        most = max(ratios.values(), default=0.0)
        raise ValueError(
            f"no scaled network is as slow as {adapted!r}, the slowest takes {most:.2f} of its "
            "time: time the unscaled network, too"
        )
    return min(slower, key=slower.__getitem__)
