"""``mnv3 data list``, ``check`` and ``download``: data sets, where they lie, if all is well."""

from typing import Annotated

import typer

from mnv3lib.cli.shared import AsJson, OneLineErrors, print_result

__all__ = ["app", "check", "download", "list_command"]

app = typer.Typer(cls=OneLineErrors, no_args_is_help=True, help="Data sets: list, check, download.")

Name = Annotated[str, typer.Argument(help="A data set; 'mnv3 data list' shows them.")]
Root = Annotated[
    str | None, typer.Option("--root", help="Where to look; MNV3_DATA names it otherwise.")
]


@app.command("list")
def list_command(root: Root = None, json: AsJson = False) -> None:
    """List the data sets, where they were found, where they come from and their licences."""
    from mnv3lib import report_training as report
    from mnv3lib.data.inspect import overview

    print_result(json, overview(root), list, report.datasets_text)


@app.command()
def check(
    name: Name,
    root: Root = None,
    workers: Annotated[int, typer.Option(help="Processes that read images.")] = 0,
    json: AsJson = False,
) -> None:
    """Read every image of a data set, and name what is wrong; exit 1 if anything is."""
    from mnv3lib import report_training as report
    from mnv3lib.data.inspect import check_dataset

    found = check_dataset(name, root, workers=workers)
    print_result(json, found, report.check_data, report.check_text)
    if not found.ok:
        raise typer.Exit(1)


@app.command()
def download(name: Name, root: Root = None) -> None:
    """Fetch a data set that needs no account, and say where it lies."""
    from mnv3lib.data.hub_download import download_dataset

    typer.echo(download_dataset(name, root=root))
