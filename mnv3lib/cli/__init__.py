"""The ``mnv3`` command: networks from building to export, and the papers' claims checked.

Results go to the standard output, as tables or with ``--json`` for programs; progress and errors go
to the standard error. A wrong argument is one line there, and the exit status is 2. What a command
needs is imported when it runs, so that ``mnv3 --help`` answers at once.
"""

from importlib.metadata import version
from typing import Annotated

import typer

from mnv3lib.cli import claims, data, exporting, networks, predicting, searching, training
from mnv3lib.cli.shared import OneLineErrors

__all__ = ["app", "main"]

app = typer.Typer(
    name="mnv3",
    cls=OneLineErrors,
    help=(
        "Build, time, train, search and export MobileNetV3 and its relatives; check their papers' "
        "claims."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mnv3lib {version('mnv3lib')}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


for commands in (networks, training, predicting, exporting, claims):
    commands.add_to(app)
app.add_typer(data.app, name="data")
app.add_typer(searching.app, name="search")


def main() -> None:
    """Runs the command line; the entry point of ``mnv3``."""
    app()
