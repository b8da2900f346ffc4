"""The command line of the modules that record a run: ``python -m mnv3lib... --out FILE``.

Each names its options and says in a line or two what came out; reading the options, the one-line
error and the exit status are the same for all.
"""

import argparse
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mnv3lib.runs import RecordedRun

__all__ = ["record_from_command_line"]


def record_from_command_line(
    record: Callable[..., RecordedRun],
    *,
    module: str,
    summary: str,
    options: Mapping[str, Any] | None = None,
    describe: Callable[[RecordedRun], str],
    arguments: list[str] | None = None,
) -> int:
    """Records a run as the command line asks for it.

    Args:
        record: Measures and writes the run; called with the file and the options.
        module: Name of the module, as it is typed.
        summary: What it does, in a line.
        options: Default of each option by name; a list or tuple takes several words. All keyword
            arguments of `record` and their defaults when not given.
        describe: The run in words, to print.
        arguments: The words after the command; the process's own when not given.

    Returns:
        The exit status: 0, or 2 for a wrong argument.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=summary)
    parser.add_argument("--out", type=Path, required=True, help="a file in data/runs")
    for name, default in (options or _defaults(record)).items():
        many = isinstance(default, list | tuple)
        kind = type(default[0] if many else default)
        parser.add_argument(
            f"--{name}", type=kind, default=default, nargs="+" if many else None, help="%(default)s"
        )
    chosen = vars(parser.parse_args(arguments))
    try:
        run = record(chosen.pop("out"), **chosen)
    except (ValueError, OSError, ImportError) as error:
        print(f"{module.split('.')[-1]}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(describe(run))
    return 0


def _defaults(record: Callable[..., RecordedRun]) -> dict[str, Any]:
    """Default of each keyword argument by name."""
    arguments = inspect.signature(record).parameters.values()
    return {a.name: a.default for a in arguments if a.kind is a.KEYWORD_ONLY}
