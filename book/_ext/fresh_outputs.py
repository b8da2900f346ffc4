"""Sphinx extension of the book: a build can take outputs that the notebooks gave a moment ago.

A build executes every notebook, and so does the test that compares their outputs with the stored
ones. `make test` does both, so it names in ``EXECUTED`` the cache (of jupyter-cache) into which its
own test has just put what it saw; a notebook that is not there, or whose cells have changed since,
is executed. Without the variable, as in `make book`, all are.
"""

import os
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config


def use_cache(app: Sphinx, config: Config) -> None:
    """Turn MyST-NB from executing to its cache, where there is one."""
    if folder := os.environ.get("EXECUTED"):
        config.nb_execution_mode = "cache"
        config.nb_execution_cache_path = str(Path(folder).resolve())


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", use_cache)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
