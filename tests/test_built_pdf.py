"""A page of the built book prints whole: its solutions unfolded, its figure in light colours."""

import io
import re

import pytest
from pypdf import PdfReader

from html_checks import read
from mnv3lib.plotting import PALETTE

pytestmark = pytest.mark.book

PAGE = "book/template.html"  # short, with a figure and solutions


@pytest.fixture(scope="module")
def printed(browser, root, load):
    """The print of the page, and the module that prints."""
    printing = load("print_book")
    page = printing.open_book(browser, root)
    yield printing, printing.print_page(page, PAGE)
    page.context.close()


def text_of(pdf):
    """The text of all sheets, with single spaces."""
    sheets = PdfReader(io.BytesIO(pdf)).pages
    return " ".join(" ".join(sheet.extract_text() for sheet in sheets).split())


def colours_of(pdf):
    """Every colour that is set on the sheets or in the figures on them, in bytes of RGB."""
    found = set()
    for sheet in PdfReader(io.BytesIO(pdf)).pages:
        forms = sheet["/Resources"].get("/XObject", {}).values()
        contents = [sheet.get_contents(), *(form.get_object() for form in forms)]
        for content in contents:
            drawn = content.get_data().decode("latin-1")
            for colour in re.findall(r"([\d.]+) ([\d.]+) ([\d.]+) (?:rg|RG)", drawn):
                found.add(tuple(round(255 * float(part)) for part in colour))
    return found


def rgb(colour):
    """The three bytes of ``#1B81C9``."""
    return tuple(bytes.fromhex(colour[1:]))


def test_text_solution_and_figure(printed, root):
    _, pdf = printed
    text = text_of(pdf)
    assert "Solution to Exercise" in text
    for folded in read(root / PAGE).soup.select("div.solution pre, details pre"):
        first, *_ = folded.get_text().strip().splitlines()
        assert " ".join(first.split()) in text
    assert "Where the numbers of this page come from" in text
    colours = colours_of(pdf)
    assert rgb(PALETTE["light"][0]) in colours
    assert rgb(PALETTE["dark"][0]) not in colours


def test_no_navigation(printed):
    text = text_of(printed[1])
    assert not re.search(r"Search|Skip to main content|Hide the code|Copy", text)


def bookmarks_of(pdf):
    """Titles of all bookmarks, in order."""

    def flat(bookmarks):
        for bookmark in bookmarks:
            yield from flat(bookmark) if isinstance(bookmark, list) else [bookmark.title]

    return list(flat(PdfReader(io.BytesIO(pdf)).outline))


def test_bookmarks_are_the_headings(printed, root):
    headings = read(root / PAGE).soup.select("article :is(h1, h2, h3, h4)")
    words = [" ".join(h.get_text(" ").removesuffix("#").split()) for h in headings]
    assert bookmarks_of(printed[1]) == words


def test_a_heading_of_two_lines_keeps_its_space(printed, browser):
    """Chromium's own bookmark loses it."""
    heading = "inverted " * 20 + "residual"
    with browser.new_context() as context:
        page = context.new_page()
        page.set_content(f"<h1>{heading}</h1>")
        pdf = page.pdf(format="A4", tagged=True, outline=True)
    assert bookmarks_of(pdf) != [heading]
    assert bookmarks_of(printed[0].with_bookmarks(pdf, [heading])) == [heading]


def test_sheets_are_numbered_through_and_links_lead_inside(printed, browser):
    printing, pdf = printed
    sheets = len(PdfReader(io.BytesIO(pdf)).pages)
    prints = {PAGE: pdf, "book/glossary.html": pdf}  # the second one stands for any other page
    joined = printing.join(prints, lambda count: printing.print_numbers(browser, count))
    reader = PdfReader(io.BytesIO(joined))
    numbers = [page.extract_text().split()[-1] for page in reader.pages]
    assert numbers == [str(number) for number in range(1, len(reader.pages) + 1)]
    links = [a.get_object() for page in reader.pages for a in page.get("/Annots", ())]
    outside = [str(link["/A"].get("/URI", "")) for link in links if "/A" in link]
    assert not [target for target in outside if target.startswith(printing.BASE)]
    starts = [link["/Dest"][0] for link in links if isinstance(link.get("/Dest"), list)]
    assert reader.pages[sheets].indirect_reference in starts  # a term leads to the glossary


def test_order_of_the_book(root, load):
    names = list(load("print_book").pages_in_order(root))
    assert names[0] == "book/index.html"
    assert "book/glossary.html" in names
    assert not [name for name in names if name.startswith("book/api/") or "genindex" in name]
    chapters = [name for name in names if re.match(r"book/\d\d_", name)]
    assert chapters == sorted(chapters)
