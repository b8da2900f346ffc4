"""Sphinx extension of the book: pages of source code are ours only, and share one side bar.

There is such a page for each of some hundreds of modules, and the theme lays out the whole table of
contents for each, which took more than a third of a build that executes nothing. None of them
stands in that table, so those that are equally deep in folders, and thus have the same relative
addresses, get the same one.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

FOLDER = "_modules/"
BEFORE_THE_THEME = 100

Made = dict[tuple[Any, ...], str]


def share(
    made: Made,
    app: Sphinx,
    page: str,
    template: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Let a page of source code take its table of contents from an earlier one."""
    if page.startswith(FOLDER):
        make: Callable[..., str] = context["toctree"]

        def shared(**options: Any) -> str:
            key = (page.count("/"), *sorted(options.items()))
            if key not in made:
                made[key] = make(**options)
            return made[key]

        context["toctree"] = shared


def leave_out_foreign(app: Sphinx, env: BuildEnvironment) -> None:
    """Drop modules of which no page describes anything, such as Python's ``typing``.

    Sphinx comes upon them through imported names, and forgets them only where it reads one page
    after the other.
    """
    modules = getattr(env, "_viewcode_modules", {})
    for name, entry in list(modules.items()):
        if entry and not entry[2]:  # code, tags, names that are described, name
            del modules[name]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("env-updated", leave_out_foreign)
    app.connect("html-page-context", partial(share, {}), priority=BEFORE_THE_THEME)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
