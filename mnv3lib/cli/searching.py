"""``mnv3 search nas`` and ``netadapt``: networks that are looked for, and networks cut to fit."""

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnv3lib.cli.shared import (
    AsJson,
    Changes,
    OneLineErrors,
    Resume,
    Root,
    Seed,
    exit_when_stopped,
    print_result,
    tell_epoch,
)

if TYPE_CHECKING:
    from mnv3lib.search import Adaptation, History

__all__ = ["app", "nas", "netadapt"]

app = typer.Typer(
    cls=OneLineErrors, no_args_is_help=True, help="Search: architectures, and widths by NetAdapt."
)

_OWN_FILE = re.compile(r"[^\s='\"]*/([^\s='\"/]+\.(?:toml|json|safetensors))")

Recipe = Annotated[
    str, typer.Option(help="A file below data/searches/COMMAND, without suffix, or a file.toml.")
]
Out = Annotated[
    Path | None, typer.Option(help="Folder of the run; runs/COMMAND/RECIPE/seed-N if not given.")
]


@app.command()
def nas(
    recipe: Recipe,
    out: Out = None,
    seed: Seed = 0,
    resume: Resume = False,
    change: Changes = None,
    root: Root = None,
    json: AsJson = False,
) -> None:
    """Search a space for the network of the highest reward, accuracy traded for latency."""
    from mnv3lib import report_search as report
    from mnv3lib.search.nas_recipe import load_nas
    from mnv3lib.search.run_nas import run_nas
    from mnv3lib.train.recipe_files import parse_changes

    loaded = load_nas(recipe, parse_changes(change or []))
    about = _about("nas", recipe, seed, change or [])
    options = {"seed": seed, "out": out or _folder("nas", recipe, seed), "resume": resume}
    tell = _BatchTeller(loaded.search.budget)
    with exit_when_stopped():
        found = run_nas(loaded, **about, **options, root=root, on_batch=tell)
    print_result(json, found, report.run_data, report.nas_text)


@app.command()
def netadapt(
    recipe: Recipe,
    out: Out = None,
    seed: Seed = 0,
    resume: Resume = False,
    change: Changes = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="weights.safetensors of a finished run to start from."),
    ] = None,
    root: Root = None,
    json: AsJson = False,
) -> None:
    """Trim the widths of a network step by step until it meets a latency."""
    from mnv3lib import report_search as report
    from mnv3lib.search.netadapt_recipe import load_netadapt
    from mnv3lib.search.run_netadapt import run_netadapt
    from mnv3lib.train.recipe_files import parse_changes

    loaded = load_netadapt(recipe, parse_changes(change or []))
    words = [] if weights is None else ["--weights", weights.name]
    about = _about("netadapt", recipe, seed, change or [], words)
    options = {"seed": seed, "out": out or _folder("netadapt", recipe, seed), "resume": resume}
    tells = {"on_epoch": tell_epoch, "on_step": _tell_step}
    with exit_when_stopped():
        adapted = run_netadapt(loaded, **about, **options, **tells, weights=weights, root=root)
    print_result(json, adapted, report.run_data, report.netadapt_text)


class _BatchTeller:
    """A batch of a search in a line on the standard error, with the best up to then."""

    def __init__(self, budget: int) -> None:
        self.budget, self.done, self.best = budget, 0, ""
        self.reward = float("-inf")

    def __call__(self, part: "History") -> None:
        self.done += len(part.rewards)
        at = part.best
        if part.rewards[at] > self.reward:
            self.reward = part.rewards[at].item()
            self.best = (
                f"best reward {self.reward:.4f}, accuracy {part.accuracy[at]:.4f}, "
                f"{part.latency_ms[at]:.4g} ms"
            )
        typer.echo(f"{self.done} of {self.budget}: {self.best}", err=True)


def _tell_step(run: "Adaptation") -> None:
    """A step of NetAdapt in a line on the standard error."""
    step = run.steps[-1]
    typer.echo(
        f"step {step.number}: group {step.kept.group} from {step.width_before} to "
        f"{step.kept.width}, cost {run.latency_ms:.4g} of {run.start_ms:.4g}, "
        f"accuracy {run.accuracy:.4f}",
        err=True,
    )


def _name(recipe: str) -> str:
    return Path(recipe).stem if recipe.endswith(".toml") else recipe


def _folder(kind: str, recipe: str, seed: int) -> Path:
    return Path("runs") / kind / _name(recipe) / f"seed-{seed}"


def _about(
    kind: str, recipe: str, seed: int, changes: list[str], words: list[str] | None = None
) -> dict[str, str]:
    """Name and command of the recorded run; files of one's own by their names alone."""
    parts = ["mnv3", "search", kind, "--recipe", _name(recipe), "--seed", str(seed), *(words or [])]
    for change in changes:
        parts += ["--set", _OWN_FILE.sub(r"\1", change)]
    name = f"{kind}-{_name(recipe)}".replace("/", "-").lower()
    return {"name": name, "command": shlex.join(parts)}
