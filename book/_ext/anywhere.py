"""Sphinx extension of the book: notebooks that run where the repository is not.

A notebook that somebody downloads, or opens in Colab, stands alone: no package, no data beside it.
So the build does not hand out the stored notebook but a copy with one folded cell more at its top,
which installs the package at the version of the book, data included, unless it is there already.
The pages and the repository's notebooks stay as they are.

- The theme's download button leads to ``_sources``; there the copies are put.
- Colab opens notebooks from a Git host and not from a web page, so the button of Colab leads to
  ``_sources`` on the branch that holds the built book, ``repository.book_branch``.
- Binder builds an environment, so its button leads to the sources on ``repository.branch``.

The address of the repository is ``repository.url`` in ``_config.yml`` and stands nowhere else.

    python book/_ext/anywhere.py FOLDER    # all copies into a folder, where `make nbval` runs them
"""

import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
import yaml
from docutils import nodes
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
# Colab takes the first line for the title of a folded cell.
INSTALL = """\
# @title Where the package is missing: install it, with its data
from importlib.util import find_spec

if find_spec("mnv3lib") is None:
    %pip install --quiet "mnv3lib[deploy,train] @ git+{url}@v{version}"
"""
FOLDED = {"cellView": "form", "jupyter": {"source_hidden": True}}


@cache
def repository() -> dict[str, str]:
    """The section ``repository`` of the book's settings: url, branch, book_branch."""
    return yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]


def standing_alone(page: Path) -> str:
    """The text of a notebook with the cell at its top that installs what it needs."""
    notebook = nbformat.read(page, as_version=4)
    source = INSTALL.format(url=repository()["url"], version=version("mnv3lib")).rstrip()
    install = nbformat.v4.new_code_cell(source, id="install", metadata=FOLDED)
    notebook.cells.insert(0, install)
    return nbformat.writes(notebook) + "\n"


def hand_out_copies(app: Sphinx, exception: Exception | None) -> None:
    """Replace what the download buttons lead to by notebooks that stand alone."""
    if exception is None and app.builder.format == "html":
        for name in app.env.found_docs:
            page = Path(app.env.doc2path(name))
            copy = Path(app.outdir) / "_sources" / f"{name}.ipynb"
            if page.suffix == ".ipynb" and copy.exists():
                copy.write_text(standing_alone(page), encoding="utf-8")


def lead_colab_to_copies(
    app: Sphinx, page: str, template: str, context: dict[str, Any], tree: nodes.document | None
) -> None:
    """Point the button of Colab, which the theme has made for the sources, to the built book."""
    settings = repository()
    for group in context.get("header_buttons", ()):
        for button in group.get("buttons", ()):
            if button["text"] == "Colab":
                button["url"] = button["url"].replace(
                    f"/blob/{settings['branch']}/", f"/blob/{settings['book_branch']}/_sources/"
                )


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", lead_colab_to_copies, priority=900)  # after the theme
    app.connect("build-finished", hand_out_copies)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for notebook in sorted((ROOT / "book").glob("*.ipynb")):
        (folder / notebook.name).write_text(standing_alone(notebook), encoding="utf-8")
