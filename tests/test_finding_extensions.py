"""What helps to find things: extensions of the book, on page trees small enough to read."""

import json
from types import SimpleNamespace

import pytest
from docutils import nodes
from docutils.utils import new_document
from sphinx.addnodes import desc, desc_content, desc_signature, index, pending_xref

import glossary_links
import reading_time
import shown_in
from glossary_links import link_first_uses
from page_parts import parts_of
from running_text import running_text, word_count
from test_notebooks import CHAPTERS, ROOT, cells, code_lengths, prose

TERMS = {"convolution", "depthwise convolution", "MACs", "hard swish", "memory", "Pareto front"}


def page(*content):
    """A document with one section of paragraphs and other nodes."""
    document = new_document("page")
    title = nodes.title(text="A title about memory")
    blocks = [nodes.paragraph(text=part) if isinstance(part, str) else part for part in content]
    document += nodes.section("", title, *blocks)
    return document


def author_link(term):
    """What ``{term}`` becomes before links are resolved."""
    return glossary_links.link(term, term, "page")


def links(document):
    """Text and term of each link to the glossary."""
    return [(link.astext(), link["reftarget"]) for link in document.findall(pending_xref)]


# --- running text ------------------------------------------------------------------------------


def test_running_text_is_what_is_read_line_by_line():
    cell = nodes.container("", nodes.paragraph(text="output"), classes=["cell"])
    table = nodes.table("", nodes.paragraph(text="in a table"))
    mixed = nodes.paragraph("", "of ", nodes.emphasis(text="two"), nodes.literal(text="code"))
    document = page("one", cell, table, nodes.literal_block(text="code"), mixed)
    assert [node.astext() for node in running_text(document)] == ["one", "of ", "two"]


def test_words_are_counted_without_lone_signs():
    linked = nodes.paragraph("", "see ", nodes.reference(text="two words"))
    assert word_count(page("One – or 2 of them.", linked)) == 5 + 3


# --- first uses of terms -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A convolution and a convolution.", [("convolution", "convolution")]),
        ("Convolutions of images", [("Convolutions", "convolution")]),
        ("A depthwise convolution.", [("depthwise convolution", "depthwise convolution")]),
        ("Fewer MACs; macs and MAC are no terms.", [("MACs", "MACs")]),
        ("Hard-swish is said, but Not Hard Swish.", [("Hard-swish", "hard swish")]),
        ("In two memories of Pareto fronts", [("memories", "memory"), ("Pareto fronts",) * 2]),
        ("A non-convolution, a deconvolution, convolutional", []),
        ("It runs on ONNX Memory.", []),
    ],
)
def test_a_term_is_found_as_whole_words(text, expected):
    document = page(text)
    link_first_uses(document, TERMS, "page")
    found = [
        (shown, "Pareto fronts" if term == "Pareto front" else term)
        for shown, term in links(document)
    ]
    assert found == expected
    assert document.astext().endswith(text)


@pytest.mark.parametrize(
    "apart",
    [
        nodes.title(text="convolution"),
        nodes.paragraph("", "", nodes.literal(text="convolution")),
        nodes.paragraph("", "", nodes.math(text="convolution")),
        nodes.paragraph("", "", nodes.reference(text="convolution")),
        nodes.figure("", nodes.caption(text="convolution")),
        nodes.literal_block(text="convolution"),
        nodes.container("", nodes.paragraph(text="convolution"), classes=["cell"]),
    ],
)
def test_a_term_is_left_alone_outside_of_running_text(apart):
    document = page(apart, "Then a convolution.")
    link_first_uses(document, TERMS, "page")
    (link,) = document.findall(pending_xref)
    assert link.parent.astext() == "Then a convolution."


def test_the_authors_link_counts_where_it_stands():
    before = page(nodes.paragraph("", "", author_link("convolution")), "One convolution.")
    after = page("One convolution.", nodes.paragraph("", "", author_link("convolution")))
    for document in (before, after):
        link_first_uses(document, TERMS, "page")
    assert len(links(before)) == 1
    assert next(link.parent.astext() for link in after.findall(pending_xref)) == "One convolution."


def test_boxes_that_quote_are_running_text():
    box = nodes.admonition("", nodes.title(text="The paper"), nodes.paragraph(text="Uses memory."))
    document = page(box)
    link_first_uses(document, TERMS, "page")
    assert links(document) == [("memory", "memory")]


def test_words_left_to_authors_are_terms():
    glossary = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8").splitlines()
    assert set(glossary) >= glossary_links.BY_HAND


# --- which chapter shows a name ----------------------------------------------------------------


@pytest.fixture
def notebook(tmp_path):
    """A notebook with two code cells; written once, its path."""
    sources = [
        ["from mnv3lib.ops import HardSwish, swish\n", "%timeit 1"],
        "import torch\nfrom torch import nn\nfrom mnv3lib.ops import swish\nimport mnv3lib",
    ]
    stored = [{"cell_type": "code", "source": source} for source in sources]
    path = tmp_path / "04_page.ipynb"
    text = {"cell_type": "markdown", "source": "from mnv3lib.ops import nothing"}
    path.write_text(json.dumps({"cells": [*stored, text]}), encoding="utf-8")
    return path


def test_imports_are_read_from_code_cells(notebook):
    assert shown_in.imported(notebook) == ("mnv3lib.ops.HardSwish", "mnv3lib.ops.swish")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("mnv3lib.ops.make_divisible", "mnv3lib.ops.channels.make_divisible"),
        ("mnv3lib.ops.channels.make_divisible", "mnv3lib.ops.channels.make_divisible"),
        ("mnv3lib.search.SMALL_32", "mnv3lib.search.spaces"),
        ("mnv3lib.search.spaces.SMALL_32", "mnv3lib.search.spaces"),
        ("mnv3lib.ops.channels", "mnv3lib.ops.channels"),
        ("mnv3lib.ops.swish", None),
    ],
)
def test_a_name_leads_to_its_description_or_to_its_module(name, found):
    described = {"mnv3lib.ops.channels.make_divisible", "mnv3lib.ops.channels"}
    assert shown_in.description(name, described | {"mnv3lib.search.spaces"}) == found


def entry(anchor, kind):
    return SimpleNamespace(docname="api", node_id=anchor, objtype=kind)


MODULE = "mnv3lib.ops.activations"
OBJECTS = {
    MODULE: entry(f"module-{MODULE}", "module"),
    f"{MODULE}.HardSwish": entry(f"{MODULE}.HardSwish", "class"),
    f"{MODULE}.swish": entry(f"{MODULE}.swish", "function"),
}


def show_imports(document, docname, notebook, chapters=("04_page",)):
    """Run the transform on a page of a book with chapters that are all the same notebook."""
    numbers = {name: {"": (number,)} for number, name in enumerate(chapters, start=4)}
    document.settings.env = SimpleNamespace(
        docname=docname,
        toc_secnumbers=numbers,
        titles={name: nodes.title(text="Hard swish") for name in chapters},
        doc2path=lambda name: str(notebook),
        get_domain=lambda name: SimpleNamespace(objects=OBJECTS),
        app=SimpleNamespace(builder=SimpleNamespace(get_relative_uri=lambda a, b: f"{b}.html")),
    )
    shown_in.ShowImports(document).run()


def test_a_chapter_ends_with_its_functions(notebook):
    document = page("Text.")
    show_imports(document, "04_page", notebook)
    box = document[0][-1]
    assert "dropdown" in box["classes"]
    assert box[-1].astext() == f"{MODULE}: HardSwish, swish."
    targets = [link["refuri"] for link in box.findall(nodes.reference)]
    assert targets == [
        f"api.html#{anchor}"
        for anchor in (f"module-{MODULE}", f"{MODULE}.HardSwish", f"{MODULE}.swish")
    ]


def api_page():
    """A module with one class, as automodule makes it."""
    signature = desc_signature("", "HardSwish", ids=[f"{MODULE}.HardSwish"])
    fields = nodes.field_list()
    content = desc_content("", nodes.paragraph(text="A layer."), fields)
    document = page(index(), "Activations.", index(), desc("", signature, content))
    document[0]["ids"] = [f"module-{MODULE}"]
    return document


@pytest.mark.parametrize(
    ("chapters", "line"),
    [
        (["04_a"], "Shown in chapter 4, Hard swish."),
        (["04_a", "05_b"], "Shown in chapter 4, Hard swish and chapter 5, Hard swish."),
        (["04_a", "05_b", "06_c", "07_d"], "Shown in chapters 4, 5, 6 and 7."),
    ],
)
def test_an_api_page_names_the_chapters(notebook, chapters, line):
    document = api_page()
    show_imports(document, "api", notebook, chapters)
    section = document[0]
    assert [child.astext() for child in section][2:4] == ["Activations.", line]
    (content,) = document.findall(desc_content)
    assert [child.astext() for child in content][:2] == ["A layer.", line]
    links = [link["refuri"] for link in content.findall(nodes.reference)]
    assert links == [f"{chapter}.html" for chapter in chapters]


def test_names_that_no_chapter_imports_stay_as_they_are(notebook):
    document = api_page()
    before = document.pformat()
    show_imports(document, "api", notebook, [])
    assert document.pformat() == before


# --- how long a chapter is ---------------------------------------------------------------------


def before_box(text):
    return nodes.admonition(
        "", nodes.title(text="Before"), nodes.paragraph(text=text), classes=["before"]
    )


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("You know much. Reading takes 30 minutes, running 20 seconds.", "30"),
        ("Reading 35\nminutes.", "35"),
        ("Reading 35 minutes, running half a minute.", "35"),
        ("Running 20 seconds.", None),
    ],
)
def test_minutes_are_those_of_the_box(text, minutes):
    assert reading_time.stated_minutes(page(before_box(text))) == minutes


def say_length(document):
    document.settings.env = SimpleNamespace(
        docname="04_page", toc_secnumbers={"04_page": {"": (4,)}}, doc2path=lambda n: f"{n}.ipynb"
    )
    document.settings.env.app = None
    reading_time.SayLength(document).run()


def test_the_length_stands_below_the_title():
    document = page("word " * 1234, before_box("Reading takes 30 minutes."))
    say_length(document)
    assert document[0][1].astext() == "About 1,200 words, 30 minutes to read"


def test_a_box_without_minutes_is_reported(monkeypatch):
    warned = []
    monkeypatch.setattr(reading_time.LOGGER, "warning", lambda *a, **k: warned.append(a[0]))
    document = page("Text.", before_box("You know much."))
    say_length(document)
    assert "Reading takes N minutes" in warned[0]
    assert len(document[0]) == 3


# Slower than a novel: pencil and paper are part of it. A line of code takes as long as ten words.
WORDS_A_MINUTE, WORDS_A_LINE, LEEWAY_MINUTES = 135, 10, 5


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_minutes_of_a_chapter_fit_its_length(chapter):
    texts = " ".join(text for part in parts_of(ROOT / chapter) for text in part.texts)
    stated = int(reading_time.MINUTES.search(texts.replace("\n", " "))[1])
    words = sum(len(prose(cell)) for cell in cells(chapter) if cell["cell_type"] == "markdown")
    expected = (words + WORDS_A_LINE * sum(code_lengths(chapter))) / WORDS_A_MINUTE
    assert abs(stated - expected) <= LEEWAY_MINUTES, f"{expected:.0f} by its words and code"
