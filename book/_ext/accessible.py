"""Sphinx extension of the book: what the theme leaves nameless gets a name.

A screen reader announces the arrow that unfolds the pages below another one, and folded code by
what is written on it instead of one sentence for all.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

ARROW = "Show or hide the pages below"
SAME_FOR_ALL = '<summary aria-label="Toggle hidden content">'
AFTER_THE_THEME = 900


def name_folds(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document
) -> None:
    """Name the arrows of the side bar; let folded code speak for itself."""
    side_bar = context["generate_toctree_html"]

    def with_names(*arguments: Any, **options: Any) -> str:
        made = str(side_bar(*arguments, **options))
        return made.replace("<summary>", f'<summary aria-label="{ARROW}">')

    context["generate_toctree_html"] = with_names
    if "body" in context:
        context["body"] = context["body"].replace(SAME_FOR_ALL, "<summary>")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", name_folds, priority=AFTER_THE_THEME)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
