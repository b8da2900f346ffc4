"""``make new-chapter``: the new page passes the chapters' tests, and a refusal leaves no trace."""

import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from mnv3lib.files import write_atomically

LISTS = ("_toc.yml", "README.md", "book/index.md")
PAGE = "book/{:02}_my_topic.ipynb"
LABEL = re.compile(
    r"^\(([\w-]+)\)=|^:label: (\S+)|^\$\$ \(([\w-]+)\)|\"name\": \"([\w-]+)\"|\bname=\"([\w-]+)\"",
    re.MULTILINE,
)


@pytest.fixture
def copy(repository, tmp_path) -> Path:
    """The repository's pages and tests in a folder that may be written to."""
    for folder in ("book", "tests"):
        shutil.copytree(
            repository / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    for entry in repository.iterdir():
        if entry.is_file() and entry.name != ".git":
            shutil.copy(entry, tmp_path / entry.name)
        elif entry.name[0] not in "._" and not (tmp_path / entry.name).exists():
            (tmp_path / entry.name).symlink_to(entry)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


@pytest.fixture
def new_chapter(repository, copy, monkeypatch):
    """The script as a module that works on the copy."""
    monkeypatch.syspath_prepend(repository / "book")
    module = import_module("new_chapter")
    monkeypatch.setattr(module, "ROOT", copy)
    return module


def make(copy: Path, *settings: str) -> subprocess.CompletedProcess:
    """Run ``make new-chapter`` in the copy, with the environment that is there."""
    return run(copy, "make", "READY=Makefile", "new-chapter", *settings)


def run(copy: Path, *command: str) -> subprocess.CompletedProcess:
    """Run a command in the copy, with its own package and without leaving compiled files."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    # What another make says to those that it starts, and a test run to its workers.
    for name in [n for n in environment if n.startswith(("MAKE", "MFLAGS", "PYTEST_"))]:
        del environment[name]
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)


def contents(folder: Path) -> dict[str, bytes]:
    """All files of the book, and the lists, by their paths."""
    files = [*(folder / "book").rglob("*"), *(folder / name for name in LISTS)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.is_file()}


def next_number(folder: Path) -> int:
    """The number that a new chapter gets."""
    return 1 + max(int(path.name[:2]) for path in (folder / "book").glob("[0-9][0-9]_*.ipynb"))


def labels(page: Path) -> list[str]:
    """The labels that a notebook defines."""
    text = page.read_text(encoding="utf-8").replace("\\n", "\n").replace('\\"', '"')
    found = re.sub(r'^ *"', "", text, flags=re.MULTILINE)
    return ["".join(groups) for groups in LABEL.findall(found)]


def test_new_chapter_passes_the_tests_of_chapters(copy):
    page = PAGE.format(next_number(copy))
    made = make(copy, "NAME=my_topic")
    assert (made.returncode, made.stderr) == (0, "")
    tests = [f"tests/test_{name}.py" for name in ("notebooks", "prose_numbers", "repository")]
    checked = run(
        copy, f"{sys.prefix}/bin/python", "-m", "pytest", "-q", "-k", "not module", *tests
    )
    assert checked.returncode == 0, checked.stdout
    before = (copy / page).read_bytes()
    executed = run(copy, f"{sys.prefix}/bin/python", "book/execute.py", page)
    assert executed.returncode == 0, executed.stderr
    assert (copy / page).read_bytes() == before, "it is not stored as executed"


def test_new_chapter_is_in_every_list(copy):
    number = next_number(copy)
    before = {name: (copy / name).read_text().splitlines() for name in LISTS}
    assert make(copy, "NAME=my_topic").returncode == 0
    added = {
        name: [line for line in (copy / name).read_text().splitlines() if line not in before[name]]
        for name in LISTS
    }
    assert added == {
        "_toc.yml": [f"      - file: book/{number}_my_topic"],
        "README.md": [f"| {number} | [My topic]({PAGE.format(number)}) | (a draft) |"],
        "book/index.md": [f"{number}. {{ref}}`ch-my-topic`: (a draft)"],
    }


def test_labels_are_the_chapters_own(copy):
    page = PAGE.format(next_number(copy))
    assert make(copy, "NAME=my_topic").returncode == 0
    own = labels(copy / page)
    template = labels(copy / "book" / "template.ipynb")
    assert len(own) == len(template) >= 6
    assert own == [
        "ch-my-topic" if label == "template" else label.replace("-template-", "-my-topic-")
        for label in template
    ]


def test_a_part_can_be_chosen(copy):
    number = next_number(copy)
    assert make(copy, "NAME=my_topic", "PART=The network").returncode == 0
    toc = (copy / "_toc.yml").read_text()
    assert f"07_training\n      - file: book/{number}_my_topic\n  - caption: Search" in toc
    start = (copy / "book" / "index.md").read_text()
    assert "\n8. {ref}`ch-my-topic`: (a draft)\n\n**Search**\n\n9. {ref}`ch-search`" in start


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([""], "NAME is empty: say for example make new-chapter NAME=my_topic"),
        (["My topic"], "NAME='My topic' is not small letters, digits and underscores: say for"),
        (["../x"], "NAME='../x' is not"),
        (["--", "-x"], "NAME='-x' is not"),
        (["two__"], "NAME='two__' is not"),
        (["hard_swish"], "NAME='hard_swish' is taken by book/04_hard_swish.ipynb: choose another"),
        (["depthwise"], "NAME='depthwise' is taken by book/01_depthwise_separable.ipynb: choose"),
        (["glossary"], "NAME='glossary' is taken by book/glossary.md: choose another name"),
        (["a", "Bricks?"], "PART='Bricks?' is no part of the book: choose one of Bricks, The"),
        (["a", "Reference"], "PART='Reference' is no part of the book: choose one of Bricks"),
    ],
)
def test_a_refusal_is_one_line_and_leaves_no_trace(new_chapter, copy, capsys, words, complaint):
    before = contents(copy)
    assert new_chapter.main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"new-chapter: {complaint}")
    assert contents(copy) == before


@pytest.mark.parametrize("settings", [[], ["NAME=$$(touch x)"], ["NAME=`touch x`; touch x"]])
def test_make_hands_on_the_name_as_it_is_and_fails_with_the_script(copy, settings):
    refused = make(copy, *settings)
    assert refused.returncode == 2
    assert refused.stderr.startswith("new-chapter: NAME")
    assert not (copy / "x").exists()


@pytest.mark.parametrize("broken", LISTS)
def test_a_list_that_is_not_as_expected_leaves_no_trace(new_chapter, copy, capsys, broken):
    (copy / broken).write_text("nothing of it\n")
    before = contents(copy)
    assert new_chapter.main(["my_topic"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "by hand" in line
    assert contents(copy) == before


def test_a_file_that_cannot_be_written_takes_the_others_back(
    new_chapter, copy, capsys, monkeypatch
):
    def full(path, content):
        if path.name == "index.md":
            raise OSError("no space left")
        write_atomically(path, content)

    monkeypatch.setattr(new_chapter, "write_atomically", full)
    before = contents(copy)
    assert new_chapter.main(["my_topic"]) == 2
    assert capsys.readouterr().err == "new-chapter: no space left\n"
    assert contents(copy) == before
