"""The checks of built pages find what they are for."""

import pytest

from html_checks import broken_links, leads_on, pages, poor_alt_texts

GOOD_ALT = "MACs fall 8-fold while parameters stay"


@pytest.fixture
def book(tmp_path):
    """A book of two pages; the first one's text is given by the test."""
    (tmp_path / "a").mkdir()
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "theme.html").write_text("part of a theme")
    (tmp_path / "picture.svg").write_text("<svg/>")
    (tmp_path / "other.html").write_text('<article><h2 id="here">Here</h2></article>')

    def write(text):
        (tmp_path / "a" / "page.html").write_text(f"<article>{text}</article>")
        return tmp_path, "a/page.html"

    return write


def test_pages_leave_out_the_theme(book):
    root, name = book("text")
    assert pages(root) == [name, "other.html"]


@pytest.mark.parametrize(
    "text",
    [
        '<a href="../other.html#here">x</a>',
        '<a href="#top">x</a><p id="top">x</p>',
        '<img src="../picture.svg">',
        '<a href="https://example.org/none#none">x</a>',
        '<a href="mailto:someone@example.org">x</a>',
    ],
)
def test_whole_links_pass(book, text):
    assert broken_links(*book(text)) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('<a href="gone.html">x</a>', "gone.html: no such file"),
        ('<a href="../other.html#there">x</a>', "#there: no such anchor on other.html"),
        ('<a href="#top">x</a>', "#top: no such anchor on a/page.html"),
        ('<img src="gone.png">', "gone.png: no such file"),
        ('<script src="gone.js"></script>', "gone.js: no such file"),
        ('<meta http-equiv="Refresh" content="0; url=gone.html">', "gone.html: no such file"),
    ],
)
def test_broken_links_are_named(book, text, complaint):
    (found,) = broken_links(*book(text))
    assert complaint in found


@pytest.mark.parametrize(
    ("text", "leads"), [('<meta http-equiv="Refresh" content="0; url=x.html">', True), ("x", False)]
)
def test_a_page_that_only_leads_on_is_told_apart(book, text, leads):
    assert leads_on(*book(text)) is leads


def test_good_alt_text_passes(book):
    assert poor_alt_texts(*book(f'<img src="../picture.svg" alt="{GOOD_ALT}">')) == []


@pytest.mark.parametrize(
    "alt",
    ["", "plot", "Plot of the latency per row", "../_images/1f0b3a.svg", "two words", "a b c"],
)
def test_poor_alt_text_is_named(book, alt):
    (found,) = poor_alt_texts(*book(f'<img src="../picture.svg" alt="{alt}">'))
    assert "picture.svg" in found


def test_missing_alt_text_is_named(book):
    assert len(poor_alt_texts(*book('<img src="../picture.svg">'))) == 1
