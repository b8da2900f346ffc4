"""What all tests share: settings, the repository's root, the place of the built book."""

import importlib.util
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from browsing import browser, contexts, root, server  # noqa: F401 (fixtures of the built book)
from html_checks import leads_on, pages

# Before anything imports torch or matplotlib: test workers share the cores, and no window opens.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

REPOSITORY = Path(__file__).resolve().parent.parent

# No deadlines: a busy machine is slow without being wrong. CI always draws the same examples.
settings.register_profile(
    "mnv3",
    deadline=None,
    max_examples=50,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("mnv3")


def pytest_addoption(parser):
    parser.addoption(
        "--book-html",
        type=Path,
        default=REPOSITORY / "_build" / "html",
        help="the built book that tests marked 'book' read (default: _build/html)",
    )


def pytest_generate_tests(metafunc):
    """One test a page; a single one that explains itself when there is no book.

    Who opens a page in a ``view`` is spared the ones that only lead on.
    """
    if "page_name" in metafunc.fixturenames:
        root = metafunc.config.getoption("book_html")
        names = pages(root)
        if "view" in metafunc.fixturenames:
            names = [name for name in names if not leads_on(root, name)]
        metafunc.parametrize("page_name", names or ["(no page)"])


@pytest.fixture(scope="session")
def repository():
    """The root folder of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def load(repository):
    """Import a script of the book's folder by its path."""

    def from_path(path):
        spec = importlib.util.spec_from_file_location(path.replace("/", "_"), repository / path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return lambda path: from_path(f"book/{path}.py")
