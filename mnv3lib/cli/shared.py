"""What all commands share: the error line, ``--json``, and how a result is printed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import click
import typer
from typer.core import TyperGroup

from mnv3lib.executors import WorkerDiedError

__all__ = [
    "AsJson",
    "Changes",
    "OneLineErrors",
    "Resume",
    "Root",
    "Seed",
    "exit_when_stopped",
    "print_result",
    "tell_epoch",
]

_EXPECTED = (ValueError, OSError, ImportError, WorkerDiedError)
_BAD_INPUT = 2
_STOPPED = 143  # what a shell reports for a process that SIGTERM ended

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON with stable keys.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="Replace a value, such as train.epochs=2; may be repeated."),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the run in the folder, if there is one.")
]
Root = Annotated[
    str | None, typer.Option("--root", help="Folder of the data; MNV3_DATA names it otherwise.")
]
Seed = Annotated[int, typer.Option(help="Decides all that is random.")]


class OneLineErrors(TyperGroup):
    """Prints an expected error as one line, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except _EXPECTED as error:
            typer.echo(f"mnv3: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(_BAD_INPUT) from error


def print_result(
    json: bool, result: Any, data: Callable[[Any], Any], text: Callable[[Any], str]
) -> None:
    """Prints a result as JSON or as text."""
    from mnv3lib.report import as_json

    typer.echo(as_json(data(result)) if json else text(result))


@contextmanager
def exit_when_stopped() -> Iterator[None]:
    """Prints that a signal has stopped a run, and how it goes on, as one line."""
    from mnv3lib.train.stopping import Stopped

    try:
        yield
    except Stopped as stopped:
        typer.echo(f"mnv3: {stopped}", err=True)
        raise typer.Exit(_STOPPED) from None


def tell_epoch(entry: dict[str, Any]) -> None:
    """An epoch in a line on the standard error."""
    numbers = (f"{key} {value:.4g}" for key, value in entry.items() if key != "epoch")
    typer.echo(f"epoch {entry['epoch']}: {', '.join(numbers)}", err=True)
