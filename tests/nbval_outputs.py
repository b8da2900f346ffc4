"""A pytest plugin for ``make nbval``: keep what the notebooks have just printed and drawn.

``--keep-outputs FOLDER`` begins a new cache of jupyter-cache there. Each notebook of which all
cells pass goes into it, without the cell that its copy has more than the page. ``make test`` builds
its book from this cache, since executing every notebook once more would find nothing new.
"""

import shutil
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbval.plugin import IPyNbCell

PASSED = pytest.StashKey[dict[int, float]]()  # seconds of each cell that passed, by its number


def pytest_addoption(parser):
    parser.addoption("--keep-outputs", metavar="FOLDER", type=Path, help="begin a cache there")


def pytest_configure(config):
    folder = config.getoption("keep_outputs")
    if folder and not hasattr(config, "workerinput"):  # once, and not in each worker
        shutil.rmtree(folder, ignore_errors=True)
        with opened(folder):
            pass


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    if isinstance(item, IPyNbCell) and report.when == "call" and report.passed:
        item.cell.outputs = item.test_outputs
        passed = item.parent.stash.setdefault(PASSED, {})
        passed[item.cell_num] = report.duration
        folder, notebook = item.config.getoption("keep_outputs"), item.parent.nb
        if folder and len(passed) == len(code_cells(notebook)):
            keep(notebook, item.path.name, sum(passed.values()), folder)
    return report


def keep(notebook, name, seconds, folder):
    """Put an executed copy of a page into the cache, as if the page had been executed."""
    cells = [cell for cell in notebook.cells if cell.get("id") != "install"]
    page = nbformat.from_dict({**notebook, "cells": cells})
    for number, cell in enumerate(code_cells(page), start=1):
        cell.execution_count = number
    with opened(folder) as cache:
        cache.cache_notebook_bundle(CacheBundleIn(page, name, data={"execution_seconds": seconds}))


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@contextmanager
def opened(folder):
    """A cache whose data base is there, and closed at the end."""
    cache = get_cache(folder)
    try:
        assert cache.db
        yield cache
    finally:
        cache.db.dispose()
