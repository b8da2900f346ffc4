"""What all tests share: settings, the repository's root, the place of the built book."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

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


@pytest.fixture(scope="session")
def repository():
    """The root folder of the repository."""
    return REPOSITORY
