"""What all commands share: the error line, ``--json``, and how a result is printed."""

from collections.abc import Callable
from typing import Annotated, Any

import click
import typer
from typer.core import TyperGroup

__all__ = ["AsJson", "OneLineErrors", "print_result"]

_EXPECTED = (ValueError, OSError, ImportError)
_BAD_INPUT = 2

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON with stable keys.")]


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
