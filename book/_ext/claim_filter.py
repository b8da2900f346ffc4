"""Sphinx extension of the book: the scoreboard can be filtered.

Every row that shows a claim of the ledger gets its paper, kind and verdict as classes, and above
the first of these tables stands a form that ``_static/filter.js`` obeys. The form is hidden where
scripts are off, and then all rows are there. A row of a table of claims that no claim explains is
reported as a warning, and the strict build stops.
"""

import re
from collections.abc import Iterator
from html import escape
from typing import get_args

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

from mnv3lib.ledger import Verdict, load_papers
from mnv3lib.ledger.claims import Claim, Kind

LOGGER = logging.getLogger(__name__)
PAGE = "book/scoreboard"
COLUMNS = {"claim", "paper", "verdict"}  # of every table that shows claims row by row
NOT_A_WORD = re.compile(r"\W+")
FORM = """\
<form class="claim-filter pst-js-only" aria-label="Filter the claims" autocomplete="off">
<label>Paper <select name="paper">{papers}</select></label>
<label>Verdict <select name="verdict">{verdicts}</select></label>
<label>Kind <select name="kind">{kinds}</select></label>
<label>Words <input type="search" name="words"></label>
<output aria-live="polite"></output>
<button type="reset" class="btn btn-sm btn-outline-secondary">Show all</button>
</form>
"""


def slug(text: str) -> str:
    """A text as a part of a class name."""
    return NOT_A_WORD.sub("-", text.lower()).strip("-")


def key(*texts: str) -> str:
    """Texts without what typography changes in them."""
    return "".join(NOT_A_WORD.sub("", text).lower() for text in texts)


def by_text(claims: list[Claim]) -> dict[str, Claim]:
    """Claims under what identifies them on the page: their sentence and their place."""
    return {key(claim.claim, claim.where): claim for claim in claims}


def rows_of_claims(doctree: nodes.document) -> Iterator[tuple[nodes.row, dict[str, str]]]:
    """Rows of the tables that show claims, each with its cells under their headers."""
    for table in doctree.findall(nodes.table):
        head = next(table.findall(nodes.thead), nodes.thead())
        headers = [entry.astext() for entry in head.findall(nodes.entry)]
        if set(headers) >= COLUMNS:
            for row in next(table.findall(nodes.tbody)).findall(nodes.row):
                cells = [entry.astext() for entry in row.findall(nodes.entry)]
                yield row, dict(zip(headers, cells, strict=True))


def options(everything: str, named: dict[str, str]) -> str:
    """The options of one field: all, then each value with its name."""
    return "".join(
        f'<option value="{escape(value)}">{escape(name)}</option>'
        for value, name in {"": everything, **named}.items()
    )


def form(papers: dict[str, str]) -> str:
    """The form as HTML.

    Args:
        papers: Titles under the short names of the papers.
    """
    return FORM.format(
        papers=options("all papers", papers),
        verdicts=options("all verdicts", {slug(verdict): verdict for verdict in Verdict}),
        kinds=options("all kinds", {kind: kind for kind in get_args(Kind)}),
    )


def mark_rows(app: Sphinx, doctree: nodes.document) -> None:
    """Give the rows of the scoreboard their classes, and put the form above the first of them."""
    if app.env.docname != PAGE:
        return
    papers = sorted(load_papers(), key=lambda paper: paper.source)
    claims = by_text([claim for paper in papers for claim in paper.claims])
    first, shown = None, set()
    for row, cells in rows_of_claims(doctree):
        claim = claims.get(key(cells["claim"], cells.get("where", "")))
        if claim is None:
            LOGGER.warning("no claim of the ledger is %r", cells["claim"], location=PAGE)
            continue
        first = first or row
        shown.add(claim.paper)
        parts = {"paper": claim.paper, "kind": claim.kind, "verdict": slug(cells["verdict"])}
        row["classes"] += [f"{part}-{value}" for part, value in parts.items()]
    if first is not None:
        titles = {p.name: p.title.partition(":")[0] for p in papers if p.name in shown}
        place_above(first, nodes.raw("", form(titles), format="html"))


def place_above(row: nodes.row, form: nodes.raw) -> None:
    """Put the form at the start of the section that holds a row, below its heading."""
    section = row.parent
    while not isinstance(section, nodes.section):
        section = section.parent
    section.insert(section.first_child_matching_class(nodes.title) + 1, form)


def add_script(app: Sphinx, pagename: str, *_: object) -> None:
    """Let the scoreboard, and no other page, load the script."""
    if pagename == PAGE:
        app.add_js_file("filter.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", mark_rows)
    app.connect("html-page-context", add_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
