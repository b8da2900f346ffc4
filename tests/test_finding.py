"""Chapters of the built book: terms lead to the glossary, functions to the reference and back."""

import re
from pathlib import Path
from urllib.parse import urljoin

import pytest
from bs4 import NavigableString, Tag

from browsing import missing
from glossary_links import BY_HAND, longest, pattern
from html_checks import read
from reading_time import MINUTES
from shown_in import PAGE_TOOLS, TITLE, imported

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted(path.stem for path in (ROOT / "book").glob("[0-9][0-9]_*.ipynb"))


@pytest.fixture
def chapter(root, request):
    """A built chapter, parsed."""
    path = root / "book" / f"{request.param}.html"
    if not path.is_file():
        missing(f"{path.name} is not in the built book")
    return read(path).soup


each_chapter = pytest.mark.parametrize("chapter", CHAPTERS, indirect=True)


# --- glossary ----------------------------------------------------------------------------------

TERM = re.compile(r"glossary\.html#(term-.*)")


def glossary(root) -> dict[str, str]:
    """The terms of the glossary page by their anchors."""
    found = read(root / "book" / "glossary.html").soup.select("dl.glossary dt[id]")
    return {dt["id"]: dt.find(string=True).strip() for dt in found}


def pieces(node: Tag):
    """Texts and links below a node in order, without code and formulas."""
    for child in node.children:
        if isinstance(child, NavigableString) or child.name == "a":
            yield child
        elif child.name != "code" and "math" not in child.get("class", ()):
            yield from pieces(child)


def running(paragraph: Tag) -> bool:
    """Whether a paragraph is running text, and no output, caption, title or part of a table."""
    apart = paragraph.find_parent(class_="cell") or paragraph.find_parent(
        ["table", "footer", "figcaption", "summary"]
    )
    marked = {"page-length", "rubric", "admonition-title"} & set(paragraph.get("class", ()))
    return not apart and not marked


@each_chapter
def test_the_first_use_of_a_term_is_a_link(root, chapter):
    terms = glossary(root)
    order = longest(set(terms.values()) - BY_HAND)
    found, seen, late = pattern(order), set(), []
    for paragraph in filter(running, chapter.select("article p")):
        for piece in pieces(paragraph):
            if isinstance(piece, Tag):
                match = TERM.search(piece.get("href", ""))
                seen |= {terms[match[1]]} if match else set()
                continue
            for match in found.finditer(piece):
                if (term := order[match.lastindex - 1]) not in seen:
                    late.append(f"{term}: {paragraph.get_text()[:80]!r}")
    assert late == []
    assert seen, "no term at all"


# --- functions and the chapters that show them -------------------------------------------------


def below(anchor: Tag) -> Tag:
    """What belongs to the description at an anchor: a signature's list, a section, neighbours."""
    return (
        anchor.find_parent("dl") if anchor.name == "dt" else anchor.find_parent("section") or anchor
    )


@each_chapter
def test_functions_and_chapters_lead_to_each_other(root, chapter, request):
    name = request.node.callspec.params["chapter"]
    (box,) = (b for b in chapter.select("div.admonition.dropdown") if TITLE in b.get_text())
    shown = {code.get_text(): code.find_parent("a")["href"] for code in box.select("li a code")}
    names = imported(ROOT / "book" / f"{name}.ipynb")
    wanted = {n.rpartition(".")[2] for n in names if n.rpartition(".")[0] not in PAGE_TOOLS}
    assert wanted <= shown.keys()
    for href in shown.values():
        page, _, anchor = urljoin(f"/book/{name}.html", href).lstrip("/").partition("#")
        place = read(root / page).soup.find(id=anchor)
        lines = below(place).select("p.shown-in")
        back = {Path(link["href"]).name for line in lines for link in line.select("a")}
        assert f"{name}.html" in back, f"{href} does not name the chapter"


# --- length ------------------------------------------------------------------------------------


@each_chapter
def test_a_chapter_says_its_length_once(chapter):
    line = chapter.select_one("article h1").find_next("p")
    assert "page-length" in line["class"]
    words, minutes = re.fullmatch(
        r"About ([\d,]+) words, (\w+) minutes to read", line.text
    ).groups()
    box = chapter.select_one("div.admonition.before").get_text(" ")
    assert MINUTES.search(" ".join(box.split()))[1] == minutes
    assert 1000 < int(words.replace(",", "")) < 4000
