"""What nbval has just seen serves the build of the same ``make test``, and nothing else does."""

import os
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import pytest
import yaml
from jupyter_cache import get_cache

import fresh_outputs
from anywhere import standing_alone
from conftest import REPOSITORY

PRINTS = "print('one')\nprint('more')"


def page(folder, name, *, stored):
    """A notebook of one cell, with what is stored as its output."""
    output = nbformat.v4.new_output("stream", name="stdout", text=stored)
    cell = nbformat.v4.new_code_cell(PRINTS, outputs=[output], execution_count=1)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel})
    # Names tell the pages apart, for a cache goes by the cells alone.
    notebook.cells.insert(0, nbformat.v4.new_code_cell(f"name = {name!r}", execution_count=1))
    path = folder / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Pages as stored, and the cache after nbval has compared their copies."""
    folder, alone = tmp_path_factory.mktemp("pages"), tmp_path_factory.mktemp("alone")
    pages = {
        "right": page(folder, "right", stored="one\nmore\n"),
        "wrong": page(folder, "wrong", stored="two\n"),
    }
    for path in pages.values():
        (alone / path.name).write_text(standing_alone(path), encoding="utf-8")
    (alone / "cache").mkdir()
    (alone / "cache" / "of_yesterday").touch()
    options = ["-p", "tests.nbval_outputs", "--keep-outputs", str(alone / "cache")]
    nbval = ["--nbval", "--nbval-current-env", str(alone)]
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", *options, *nbval]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert "1 failed, 5 passed" in done.stdout, done.stdout + done.stderr
    read = {name: nbformat.read(path, as_version=4) for name, path in pages.items()}
    return read, get_cache(alone / "cache")


def test_a_notebook_that_passed_is_kept_with_its_outputs(run):
    pages, cache = run
    _, executed = cache.merge_match_into_notebook(pages["right"])
    assert [cell.source for cell in executed.cells] == ["name = 'right'", PRINTS]
    assert [cell.execution_count for cell in executed.cells] == [1, 2]
    assert executed.cells[1].outputs[0].text == "one\nmore\n"
    assert 0 < cache.match_cache_notebook(pages["right"]).data["execution_seconds"] < 60


def test_a_notebook_that_failed_is_not(run):
    pages, cache = run
    with pytest.raises(KeyError):
        cache.match_cache_notebook(pages["wrong"])


def test_a_page_whose_cells_changed_does_not_match(run):
    pages, cache = run
    changed = nbformat.from_dict(pages["right"])
    changed.cells[1].source += "\n"
    with pytest.raises(KeyError):
        cache.match_cache_notebook(changed)


def test_nothing_of_an_earlier_cache_is_left(run):
    _, cache = run
    assert not (cache.path / "of_yesterday").exists()


@pytest.mark.parametrize(("folder", "mode"), [("somewhere", "cache"), ("", "force")])
def test_a_build_takes_them_only_where_it_is_told_to(monkeypatch, folder, mode):
    monkeypatch.setenv("EXECUTED", folder)
    config = SimpleNamespace(nb_execution_mode="force", nb_execution_cache_path="")
    fresh_outputs.use_cache(SimpleNamespace(), config)
    assert config.nb_execution_mode == mode
    assert bool(config.nb_execution_cache_path) == os.path.isabs(config.nb_execution_cache_path)
    assert config.nb_execution_cache_path.endswith(folder)


def test_every_extension_of_ours_is_loaded():
    """A folder alone does nothing: Jupyter Book wants the name in a second list, too."""
    settings = yaml.safe_load((REPOSITORY / "_config.yml").read_text(encoding="utf-8"))["sphinx"]
    ours, loaded = list(settings["local_extensions"]), settings["config"]["extensions"]
    assert "fresh_outputs" in ours
    assert loaded[-len(ours) :] == ours
