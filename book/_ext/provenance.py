"""Sphinx extension of the book: every notebook's page ends with where its numbers come from.

The box says when this build executed the notebook, for how long, on what processor and with which
versions. It is written from what MyST-NB noted while it executed, and nothing of it is stored in
the notebook. A page that a build did not execute says that instead.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from docutils import nodes
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.application import Sphinx

from mnv3lib.measure.machine import describe_machine, installed_versions, machine_in_words

TITLE = "Where the numbers of this page come from"
NOT_EXECUTED = "This build did not execute the page: it shows the outputs stored in the notebook."


@cache
def surroundings() -> tuple[str, str]:
    """The machine in words, and the versions, both the same for every page of a build."""
    versions = {**describe_machine()["versions"], **installed_versions(["mnv3lib"])}
    listed = ", ".join(f"{name} {number}" for name, number in versions.items())
    return machine_in_words(), listed


def sentences(executed: Mapping[str, Any] | None, machine: str, versions: str) -> list[str]:
    """What the box says.

    Args:
        executed: MyST-NB's notes on the execution: ``mtime`` in seconds since 1970, ``runtime`` in
            seconds or None; None where the page was not executed.
        machine: Processor, cores and system.
        versions: Names and versions of what computed.

    Returns:
        One sentence a line of the box.
    """
    if executed is None:
        return [NOT_EXECUTED]
    moment = datetime.fromtimestamp(executed["mtime"], UTC)
    when = f"{moment.day} {moment:%B %Y, %H:%M} UTC"
    runtime = executed["runtime"]
    took = "" if runtime is None else f", in {runtime:.1f} seconds"
    return [f"Executed on {when}{took}.", f"On {machine}.", f"With {versions}."]


def add_box(app: Sphinx, doctree: nodes.document) -> None:
    """Put the box below everything else on a notebook's page."""
    docname = app.env.docname
    if app.env.doc2path(docname).endswith(".ipynb"):
        executed = NbMetadataCollector.get_exec_data(app.env, docname)
        box = nodes.admonition("", nodes.title("", TITLE), classes=["provenance"])
        lines = (nodes.paragraph("", s) for s in sentences(executed, *surroundings()))
        box += [nodes.bullet_list("", *(nodes.list_item("", line) for line in lines))]
        page = next(doctree.findall(nodes.section), doctree)
        page += box


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", add_box)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
