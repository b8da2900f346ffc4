"""``mnv3 claims``: the numbers that the papers print, held against ours."""

from functools import partial
from typing import Annotated

import typer

from mnv3lib.cli.shared import AsJson, print_result

__all__ = ["add_to", "claims"]


def claims(
    check: Annotated[
        bool,
        typer.Option("--check", help="Show only what contradicts its entry, and exit 1 if any."),
    ] = False,
    paper: Annotated[str | None, typer.Option(help="One paper, such as mobilenetv3.")] = None,
    json: AsJson = False,
) -> None:
    """Hold the numbers that the papers print against ours."""
    from mnv3lib import report
    from mnv3lib.ledger import contradictions, judge_all, load_claims

    judgements = judge_all(load_claims(paper))
    wrong = contradictions(judgements)
    print_result(
        json,
        judgements,
        partial(report.claims_data, check=check),
        partial(report.claims_text, check=check),
    )
    for key, why in wrong.items():
        typer.echo(f"mnv3: {key}: {why}", err=True)
    if check and wrong:
        raise typer.Exit(1)


def add_to(app: typer.Typer) -> None:
    """Adds this command to an application."""
    app.command()(claims)
