"""A loop under somebody's eyes: a progress bar, and signals that end it tidily (chapter 7)."""

from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from mnv3lib.train.loop import Loop
from mnv3lib.train.stopping import noting_signals

__all__ = ["run_with_progress"]


def run_with_progress(
    loop: Loop,
    *,
    on_step: Callable[[Loop], object] = lambda loop: None,
    on_epoch: Callable[[dict[str, Any]], object] | None = None,
) -> None:
    """Runs a loop to its end with a progress bar, where somebody watches.

    Args:
        loop: The loop, from wherever it stands.
        on_step: Called after each step.
        on_epoch: Called on the first process with each new entry of the history.

    Raises:
        Stopped: As :meth:`mnv3lib.train.loop.Loop.run`, whose other errors also pass.
    """
    main = loop.accelerator.is_main_process
    total = loop.plan.steps * loop.recipe.train.epochs
    with (
        noting_signals() as note,
        tqdm(total=total, initial=loop.step, unit="step", disable=None if main else True) as bar,
    ):

        def close_step(loop: Loop) -> None:
            bar.update()
            on_step(loop)

        def close_epoch(loop: Loop) -> None:
            entry = loop.history[-1]
            bar.set_postfix(epoch=entry["epoch"], loss=f"{entry['loss']:.3f}", refresh=False)
            if main and on_epoch is not None:
                on_epoch(entry)

        loop.run(note, on_step=close_step, on_epoch=close_epoch)
