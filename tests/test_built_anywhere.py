"""Buttons of the built pages: what they give stands alone, and where Colab and Binder look for it.

Needs the book (``make book``). Nothing is fetched: addresses are compared with the settings.
"""

import os
import re
from importlib import import_module
from pathlib import Path

import pytest

from conftest import REPOSITORY
from html_checks import read

pytestmark = pytest.mark.book

NOTEBOOKS = sorted(
    page
    for page in re.findall(r"file: *(\S+)", (REPOSITORY / "_toc.yml").read_text(encoding="utf-8"))
    if (REPOSITORY / f"{page}.ipynb").is_file()
)


@pytest.fixture(scope="module")
def built(pytestconfig) -> Path:
    """Folder of the built pages."""
    folder = pytestconfig.getoption("book_html")
    if not (folder / "index.html").is_file():
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up("there is no built book to look at; build it with: make book")
    return folder


@pytest.fixture
def anywhere(monkeypatch):
    """The extension as a module."""
    monkeypatch.syspath_prepend(REPOSITORY / "book" / "_ext")
    return import_module("anywhere")


def buttons(page: Path) -> list[str]:
    """Where the buttons at the head of a page lead."""
    return [str(link["href"]) for link in read(page).soup.select("a.dropdown-item[href]")]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_download_stands_alone(built, anywhere, name):
    leads = [link for link in buttons(built / f"{name}.html") if link.endswith(".ipynb")]
    local = [link for link in leads if "://" not in link]
    assert len(local) == 1
    given = ((built / name).parent / local[0]).resolve()
    assert given.read_text(encoding="utf-8") == anywhere.standing_alone(
        REPOSITORY / f"{name}.ipynb"
    )


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_colab_opens_the_download_and_binder_the_page(built, anywhere, name):
    settings = anywhere.repository()
    place = settings["url"].removeprefix("https://github.com/")
    links = buttons(built / f"{name}.html")
    colab = f"https://colab.research.google.com/github/{place}/blob/{settings['book_branch']}"
    binder = f"https://mybinder.org/v2/gh/{place}/{settings['branch']}"
    assert f"{colab}/_sources/{name}.ipynb" in links
    assert (built / "_sources" / f"{name}.ipynb").is_file()
    assert f"{binder}?urlpath=lab/tree/{name}.ipynb" in links
