"""Sphinx extension of the book: the calculator page, with the tables of the package in it.

The directive ``{network-calculator}`` names networks of :mod:`mnv3lib`. Their rows and their counts
are written into the page as JSON while the book is built, so that the page's script needs no table
and no number of its own. The content of the directive is what a reader without scripts sees.
"""

import inspect
import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from mnv3lib import count, create_model
from mnv3lib.models import mobilenet_v3
from mnv3lib.models.tables import to_table

MARK = "network-calculator"  # page_files.py loads the scripts of a page that has it
# The page scales widths by the paper's rule alone: what has another one it could not count.
COUNTED = {"conv": "always", "dense": "never"}


def network_data(name: str, title: str) -> dict[str, Any]:
    """What the page needs of a network: title, resolution, rows, and what they cost together."""
    network = create_model(name)
    rows = to_table(network.spec)["rows"]
    for row in rows:
        if row.pop("scaling", None) != COUNTED.get(row["kind"]):
            raise ValueError(f"{name}: the calculator does not know how {row} is scaled")
    counted = count(network)
    totals = {"params": counted.params, "macs": counted.macs}
    return {"title": title, "resolution": network.resolution, "rows": rows, "totals": totals}


def page_html(text: str, networks: dict[str, Any]) -> str:
    """The place that the page's script fills, with the text for who has none, and the tables."""
    data = json.dumps(networks).replace("<", "\\u003c")  # no tag may end the script early
    return (
        f'<div id="calculator-page" class="calculator"><noscript><p>{text}</p></noscript></div>\n'
        f'<script type="application/json" id="calculator-networks">{data}</script>\n'
    )


class NetworkCalculator(SphinxDirective):
    """Lines ``key: name of the network: title``, a blank line, and a text for ``<noscript>``."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(Path(inspect.getfile(mobilenet_v3))))
        lines, text = "\n".join(self.content).split("\n\n", 1)
        parts = [[part.strip() for part in line.split(":")] for line in lines.splitlines()]
        networks = {key: network_data(name, title) for key, name, title in parts}
        return [nodes.raw("", page_html(text, networks), format="html", classes=[MARK])]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive(MARK, NetworkCalculator)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
