"""Sphinx extension of the book: what theme and writer leave nameless or misname is put right.

A screen reader announces the arrow that unfolds the pages below another one, folded code by what
is written on it instead of one sentence for all, and the entries of the bibliography as a list.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

ARROW = "Show or hide the pages below"
SPELLINGS = {
    '<summary aria-label="Toggle hidden content">': "<summary>",
    'role="doc-biblioentry"': 'role="listitem"',  # a role that is no longer one, inside of a list
}
AFTER_THE_THEME = 900


def correct(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document
) -> None:
    """Name the arrows of the side bar, and correct the text of the page."""
    side_bar = context["generate_toctree_html"]

    def with_names(*arguments: Any, **options: Any) -> str:
        made = str(side_bar(*arguments, **options))
        return made.replace("<summary>", f'<summary aria-label="{ARROW}">')

    context["generate_toctree_html"] = with_names
    for written, right in SPELLINGS.items():
        if "body" in context:
            context["body"] = context["body"].replace(written, right)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", correct, priority=AFTER_THE_THEME)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
