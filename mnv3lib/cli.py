"""The ``mnv3`` command: list, profile and time networks, and hold the papers' claims against them.

Results go to the standard output, as tables or with ``--json`` for programs; progress and errors go
to the standard error. A wrong argument is one line there, and the exit status is 2. What a command
needs is imported when it runs, so that ``mnv3 --help`` answers at once.
"""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Annotated, Any

import click
import typer
from typer.core import TyperGroup

__all__ = ["app", "main"]

_EXPECTED = (ValueError, FileNotFoundError, ImportError)
_BAD_INPUT = 2


class _OneLineErrors(TyperGroup):
    """Prints an expected error as one line, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except _EXPECTED as error:
            typer.echo(f"mnv3: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(_BAD_INPUT) from error


app = typer.Typer(
    name="mnv3",
    cls=_OneLineErrors,
    help="Build, count and time MobileNetV3 and its relatives, and check what their papers claim.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON with stable keys.")]
Width = Annotated[float, typer.Option("--width", help="Width multiplier, above 0.")]
Resolution = Annotated[int, typer.Option(help="Side of the square image, at least 32 pixels.")]
Classes = Annotated[int, typer.Option(help="Classes of the last layer.")]
WidthRule = Annotated[
    str | None, typer.Option(help="MobileNetV3 only: paper (default) or torchvision.")
]
Tail = Annotated[str | None, typer.Option(help="MobileNetV3 only: full (default), dagger or rf2.")]
Padding = Annotated[str | None, typer.Option(help="symmetric (default) or same, TensorFlow's.")]
Runtime = Annotated[str, typer.Option(help="eager, onnxruntime or executorch.")]
Threads = Annotated[int, typer.Option(help="Threads to compute with.")]
Rounds = Annotated[int, typer.Option(help="Timed rounds, each of which visits everything once.")]
Seconds = Annotated[
    float | None, typer.Option(help="Time budget of the rounds, instead of --rounds.")
]
Deploy = Annotated[
    bool, typer.Option("--deploy", help="Fold batch norm and use the faster memory layout first.")
]


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


@app.command(name="list")
def list_command(
    pattern: Annotated[str, typer.Argument(help="Shell pattern, such as 'mobilenet_v3_*'.")] = "*",
    json: AsJson = False,
) -> None:
    """List the networks whose names match a pattern."""
    from mnv3lib import report
    from mnv3lib.models import list_models, model_spec

    names = list_models(pattern)
    if not names:
        raise ValueError(f"no network is named like {pattern!r}; 'mnv3 list' shows all")
    specs = {name: model_spec(name) for name in names}
    _print(json, specs, report.list_data, report.list_text)


@app.command()
def profile(
    name: Annotated[str, typer.Argument(help="A network; 'mnv3 list' shows them.")],
    width: Width = 1.0,
    resolution: Resolution = 224,
    classes: Classes = 1000,
    width_rule: WidthRule = None,
    tail: Tail = None,
    padding: Padding = None,
    runtime: Runtime = "eager",
    threads: Threads = 1,
    rounds: Rounds = 30,
    json: AsJson = False,
) -> None:
    """Print a network's table with each row's parameters, MACs, memory and latency."""
    from mnv3lib import report
    from mnv3lib.measure.profile import profile as profile_network
    from mnv3lib.models import create_model

    options = {"width_mult": width, "num_classes": classes}
    options |= _given(width_rule=width_rule, tail=tail, padding=padding)
    network = create_model(name, **options)
    result = profile_network(network, resolution, runtime, threads, rounds=rounds)
    _print(
        json,
        result,
        lambda found: report.profile_data(name, options, found),
        lambda found: report.profile_text(name, options, found),
    )


@app.command()
def latency(
    names: Annotated[list[str], typer.Argument(help="Networks; 'mnv3 list' shows them.")],
    width: Width = 1.0,
    resolution: Resolution = 224,
    runtime: Runtime = "eager",
    threads: Threads = 1,
    deploy: Deploy = False,
    rounds: Rounds = 30,
    seconds: Seconds = None,
    json: AsJson = False,
) -> None:
    """Time networks side by side, in interleaved rounds."""
    from mnv3lib import report
    from mnv3lib.measure.latency import compare_latency
    from mnv3lib.models import create_model
    from mnv3lib.models import deploy as deployed

    networks = {name: create_model(name, width_mult=width) for name in names}
    if deploy:
        networks = {name: deployed(network) for name, network in networks.items()}
    protocol = {"rounds": rounds, "seconds": seconds}
    comparison = compare_latency(networks, resolution, runtime, threads, **protocol)
    _print(json, comparison, report.latency_data, report.latency_text)


@app.command()
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
    _print(
        json,
        judgements,
        partial(report.claims_data, check=check),
        partial(report.claims_text, check=check),
    )
    for key, why in wrong.items():
        typer.echo(f"mnv3: {key}: {why}", err=True)
    if check and wrong:
        raise typer.Exit(1)


def _given(**options: str | None) -> dict[str, str]:
    """The options that are not None."""
    return {key: value for key, value in options.items() if value is not None}


def _print(json: bool, result: Any, data: Callable[[Any], Any], text: Callable[[Any], str]) -> None:
    """Prints a result as JSON or as text."""
    from mnv3lib.report import as_json

    typer.echo(as_json(data(result)) if json else text(result))


def main() -> None:
    """Runs the command line; the entry point of ``mnv3``."""
    app()
