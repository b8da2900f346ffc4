"""Sphinx extension of the book: pages are read by several processes at once.

Reading a notebook means executing it, which is most of a build's time. Sphinx can read in
parallel, but Jupyter Book offers no option for it, and the chapters would all fall to one process:
Sphinx cuts the list of pages, in the order of their names, into pieces. So the notebooks are dealt
out to as many pieces as there are processes. ``JOBS``, as for the tests, says how many.
"""

import os
from itertools import accumulate

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.util.parallel import make_chunks


def dealt(pages: list[str], slow: set[str], jobs: int) -> list[str]:
    """Orders pages so that the slow ones are spread over `jobs` pieces of the same length.

    The pieces are the last ones, since Sphinx begins with those.

    Args:
        pages: Names of pages.
        slow: Those that take long.
        jobs: How many processes there are.

    Returns:
        The same names.
    """
    if not pages:
        return []
    sizes = [len(piece) for piece in make_chunks(pages, jobs)]
    starts = list(accumulate(sizes, initial=0))
    chosen = [start for start, size in zip(starts, sizes, strict=False) if size == sizes[0]][-jobs:]
    turns = [start + at for at in range(sizes[0]) for start in chosen]
    places = turns + [place for place in range(len(pages)) if place not in turns]
    slow_first = sorted(pages, key=lambda page: page not in slow)
    order = dict(zip(places, slow_first, strict=True))
    return [order[place] for place in range(len(pages))]


def spread_notebooks(app: Sphinx, env: BuildEnvironment, pages: list[str]) -> None:
    """Let several processes read, and give each its share of the notebooks."""
    app.parallel = int(os.environ.get("JOBS", 2))
    notebooks = {page for page in pages if env.doc2path(page).endswith(".ipynb")}
    pages[:] = dealt(pages, notebooks, app.parallel)


def vouch(app: Sphinx, config: Config) -> None:
    """Say for an extension of Jupyter Book what it does not say itself.

    It numbers the sections of all pages after they are read, in one process.
    """
    app.extensions["sphinx_multitoc_numbering"].parallel_read_safe = True


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", vouch)
    app.connect("env-before-read-docs", spread_notebooks, priority=900)  # when all are listed
    return {"parallel_read_safe": True, "parallel_write_safe": True}
