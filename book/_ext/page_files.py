"""Sphinx extension of the book: scripts and styles that only some pages need, on those pages only.

A part of a page that a script of ours brings to life is raw HTML with a class; the class says which
files of ``book/_static`` the page loads.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

FILES = {
    "network-calculator": [
        "calculator/style.css",
        "calculator/counting.js",
        "calculator/design.js",
        "calculator/address.js",
        "calculator/elements.js",
        "calculator/fields.js",
        "calculator/page.js",
    ],
    "twin-points": ["hover.css", "hover.js"],
}


def load_files(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Add to a page what the classes of its raw HTML ask for."""
    raw = doctree.findall(nodes.raw) if doctree else ()
    for name in sorted({name for node in raw for name in node["classes"]} & set(FILES)):
        for file in FILES[name]:
            if file.endswith(".css"):
                app.add_css_file(file)
            else:
                app.add_js_file(file, loading_method="defer")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", load_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
