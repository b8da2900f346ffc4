"""The box below a notebook says what MyST-NB noted while it executed."""

from types import SimpleNamespace

import pytest
from docutils import frontend, nodes, utils

import provenance

EXECUTED = {"mtime": 1_785_542_400.0 + 9 * 60, "runtime": 12.34}  # 1 August 2026, 00:09 UTC


def test_what_an_executed_page_says():
    assert provenance.sentences(EXECUTED, "Some CPU, 2 cores", "python 3.11, torch 2.13") == [
        "Executed on 1 August 2026, 00:09 UTC, in 12.3 seconds.",
        "On Some CPU, 2 cores.",
        "With python 3.11, torch 2.13.",
    ]


def test_a_time_that_nobody_noted_is_left_out():
    first, *_ = provenance.sentences({**EXECUTED, "runtime": None}, "", "")
    assert first == "Executed on 1 August 2026, 00:09 UTC."


def test_a_page_that_was_not_executed_says_so():
    (line,) = provenance.sentences(None, "Some CPU", "python 3.11")
    assert "did not execute" in line
    assert "Some CPU" not in line


def test_surroundings_name_what_computes_and_no_path():
    machine, versions = provenance.surroundings()
    assert "core" in machine
    assert versions.startswith("python 3")
    assert {"torch", "mnv3lib"} <= {part.split()[0] for part in versions.split(", ")}
    assert "/" not in machine + versions


@pytest.mark.parametrize(("suffix", "boxes"), [(".ipynb", 1), (".md", 0)])
def test_the_box_is_the_last_thing_on_a_notebooks_page(suffix, boxes):
    page = nodes.section("", nodes.title("", "Title"), nodes.section("", nodes.title("", "Part")))
    document = utils.new_document("page", frontend.get_default_settings())
    document += page
    env = SimpleNamespace(docname="page", doc2path=lambda name: name + suffix)
    env.nb_metadata = {"page": {"exec_data": EXECUTED}}
    provenance.add_box(SimpleNamespace(env=env), document)
    assert len(list(document.findall(nodes.admonition))) == boxes
    if boxes:
        assert page[-1].astext().startswith(provenance.TITLE)
        assert "12.3 seconds" in page[-1].astext()
