"""A pytest plugin for ``make nbval``: be patient with a busy machine.

nbval waits a fixed five seconds for each message of a cell's output and has no option for it.
"""

import pytest

SECONDS = 60


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Let every notebook cell wait longer for its output."""
    for item in items:
        if hasattr(item, "output_timeout"):
            item.output_timeout = SECONDS
