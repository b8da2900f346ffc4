"""Notebooks that stand alone: what is put before them, and when it installs the package."""

import re
import sys
import tomllib
from importlib import import_module
from importlib.metadata import version

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from packaging.requirements import Requirement

from conftest import REPOSITORY

PAGES = sorted((REPOSITORY / "book").glob("*.ipynb"))


@pytest.fixture
def anywhere(monkeypatch):
    """The extension as a module."""
    monkeypatch.syspath_prepend(REPOSITORY / "book" / "_ext")
    return import_module("anywhere")


@pytest.fixture
def asked(anywhere, monkeypatch):
    """Runs the cell at the top of a notebook, and what it asks of the notebook's commands."""

    def run(found: bool) -> list[tuple[str, str]]:
        commands = []

        class Shell:
            def run_line_magic(self, name, line):
                commands.append((name, line))

        cell = nbformat.reads(anywhere.standing_alone(PAGES[0]), as_version=4).cells[0]
        code = TransformerManager().transform_cell(cell.source)
        monkeypatch.setattr("importlib.util.find_spec", lambda name: name if found else None)
        exec(code, {"get_ipython": Shell})
        return commands

    return run


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_copy_is_the_page_with_one_cell_more(anywhere, page):
    copy = nbformat.reads(anywhere.standing_alone(page), as_version=4)
    nbformat.validate(copy)
    assert copy.cells[1:] == nbformat.read(page, as_version=4).cells
    assert copy.cells[0].outputs == []


def test_a_notebook_with_the_package_at_hand_installs_nothing(asked):
    assert asked(found=True) == []


def test_a_notebook_without_it_installs_the_version_of_the_book(asked):
    ((name, line),) = asked(found=False)
    assert name == "pip"
    wanted = Requirement(re.fullmatch(r'install --quiet "(.+)"', line)[1])
    assert wanted.name == "mnv3lib"
    assert wanted.extras == {"deploy", "train"}
    assert wanted.url.endswith(f"@v{version('mnv3lib')}")


def test_the_packages_address_is_written_once(anywhere):
    url = anywhere.repository()["url"]
    assert re.fullmatch(r"https://github\.com/[\w-]+/[\w.-]+", url), "Colab opens GitHub's only"
    texts = [*REPOSITORY.glob("*.*"), *(REPOSITORY / "book").rglob("*.*"), *PAGES]
    holding = [path.name for path in texts if path.is_file() and url.encode() in path.read_bytes()]
    assert holding == ["_config.yml"]


def test_what_pages_import_comes_with_the_package_or_its_extras(asked):
    """Whatever a page imports itself; what the package imports has its own tests."""
    extras = Requirement(asked(found=False)[0][1].split('"')[1]).extras
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    rows = [project["dependencies"], *(project["optional-dependencies"][e] for e in extras)]
    installed = {Requirement(row).name for names in rows for row in names}
    cells = [cell for page in PAGES for cell in nbformat.read(page, as_version=4).cells]
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    imported = set(re.findall(r"^(?:from|import) (\w+)", code, re.MULTILINE))
    assert {"mnv3lib", "torch"} <= imported
    assert imported <= {"mnv3lib", "IPython", *sys.stdlib_module_names, *installed}
