"""Sphinx extension of the book: pages that need no network and no script, and fit a phone.

LaTeX becomes MathML while the book is built, which every current browser draws by itself, so that
a page carries no renderer and works from a folder. What the converter does not know is reported
as a warning, and the strict build stops.
"""

import re
from html import escape
from importlib.metadata import entry_points
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

LOGGER = logging.getLogger(__name__)
SHORT_CELL, LONG_CELL = 24, 60  # characters
# The theme's script lets the keyboard reach what has this class and is wider than the page.
SCROLLS = "pst-scrollable-table-container"
# What the converter leaves behind where it does not understand: a command, an alignment mark.
LEFTOVER = re.compile(r"<m[io][^>]*>(\\[A-Za-z]+|&)</m")
BRAND_FONT = re.compile(r"@font-face\{[^}]*Brands[^}]*\}")
# Spellings that it does not know, in those that it does.
SPELLINGS = (
    (re.compile(r"\\(begin|end)\{align(?:ed)?\*?\}"), r"\\\1{split}"),
    (re.compile(r"\\operatorname\{([^}]*)\}"), r"\\text{\1}"),
)


def mathml(node: nodes.Element, *, block: bool) -> str:
    """Convert the LaTeX of a math node; warn about what stays unconverted."""
    latex = node.astext().strip()
    for known, spelling in SPELLINGS:
        latex = known.sub(spelling, latex)
    if block and r"\\" in latex and r"\begin{" not in latex:
        latex = rf"\begin{{split}}{latex}\end{{split}}"
    try:
        converted = convert(latex, display="block" if block else "inline")
    except Exception as error:
        LOGGER.warning("math %r does not convert: %s", latex, error, location=node)
        return f"<code>{escape(latex)}</code>"
    for leftover in LEFTOVER.findall(converted):
        LOGGER.warning("math: %s is not known in %r", leftover, latex, location=node)
    return converted


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(self.starttag(node, "span", "", CLASS="math"))
    self.body.append(mathml(node, block=False) + "</span>")
    raise nodes.SkipNode


def visit_math_block(self: HTML5Translator, node: nodes.math_block) -> None:
    self.body.append(self.starttag(node, "div", CLASS=f"math {SCROLLS}"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(mathml(node, block=True) + "</div>\n")
    raise nodes.SkipNode


def mark_cells(app: Sphinx, doctree: nodes.document) -> None:
    """Mark table cells that the style sheet keeps on one line, or gives room."""
    for entry in doctree.findall(nodes.entry):
        length = len(entry.astext())
        if length <= SHORT_CELL or length > LONG_CELL:
            entry["classes"].append("short" if length <= SHORT_CELL else "long")


def drop_icon_script(app: Sphinx, exception: Exception | None) -> None:
    """Empty the theme's icon script: 1.5 MB for icons that its style sheet draws as well."""
    script = Path(app.outdir) / "_static" / "scripts" / "fontawesome.js"
    if exception is None and script.exists():
        script.write_text("// Icons come from the fonts in the style sheet.\n")


def drop_brand_icons(app: Sphinx, exception: Exception | None) -> None:
    """Leave the font with companies' logos out of the theme's style sheet: no page shows one."""
    sheet = Path(app.outdir) / "_static" / "styles" / "pydata-sphinx-theme.css"
    if exception is None and sheet.exists():
        sheet.write_text(BRAND_FONT.sub("", sheet.read_text("utf-8")), encoding="utf-8")


def check_renderer(app: Sphinx) -> None:
    """Stop early where figures would come without their dark twin."""
    names = [point.name for point in entry_points(group="myst_nb.mime_renderers")]
    if "mnv3lib" not in names:
        raise ExtensionError(
            "mnv3lib's renderer for figures is not registered: install the package with "
            "`pip install -e .` (or run `make book`, which does)"
        )


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer(
        "mathml", inline_renderers=(visit_math, None), block_renderers=(visit_math_block, None)
    )
    app.connect("builder-inited", check_renderer)
    app.connect("doctree-read", mark_cells)
    app.connect("build-finished", drop_icon_script)
    app.connect("build-finished", drop_brand_icons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
