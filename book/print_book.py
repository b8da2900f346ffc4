"""Print the built book into one PDF, with Chromium and the style sheet's rules for print.

    python book/print_book.py _build/html _build/pdf/mobilenetv3-rebuilt.pdf

Each page is printed in the light theme with everything unfolded, so that solutions stand where
their exercises are. The prints are joined in the order of the book, numbered through, and their
links to each other lead inside the file. The package's reference is left out, and the index, most
of which leads there: they are for looking things up on a screen, and longer than the rest.
"""

import argparse
import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page, Route, sync_playwright
from pypdf import PageObject, PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, TextStringObject

from mnv3lib.files import write_atomically

TITLE = "MobileNetV3, rebuilt"
FIRST = "book/index.html"
LEFT_OUT = ("book/api/", "genindex")
BASE = "http://book.invalid/"  # no server: requests are answered from the folder
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MARGINS = {"top": "18mm", "bottom": "20mm", "left": "18mm", "right": "18mm"}
TIMEOUT_MS = 120_000
# Folded boxes of every kind: <details>, and admonitions that the theme folds by a class.
UNFOLD = """() => {
  for (const box of document.querySelectorAll("details")) box.open = true;
  const folded = document.querySelectorAll(".toggle-hidden");
  for (const box of folded) box.classList.remove("toggle-hidden");
}"""
HEADINGS = """() => [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")]
  .filter((heading) => heading.getClientRects().length)
  .map((heading) => heading.innerText.replace(/\\s+/g, " ").trim())"""
NUMBER = (
    '<div style="font: 8pt sans-serif; text-align: center; width: 100%">'
    '<span class="pageNumber"></span></div>'
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Print the built book into one PDF.")
    parser.add_argument("html", type=Path, help="folder of the built pages")
    parser.add_argument("pdf", type=Path, help="file to write")
    asked = parser.parse_args(arguments)
    names = list(pages_in_order(asked.html))
    program = next(filter(None, map(shutil.which, (os.environ.get("CHROMIUM", ""), *BROWSERS))), "")
    if not names or not program:
        print("printing needs the built book (make book) and Chromium", file=sys.stderr)
        return 2
    # Chromium's sandbox does not start for root, as in containers.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        page = open_book(browser, asked.html)
        prints = {}
        for name in names:
            prints[name] = print_page(page, name)
            print(f"\rprinted {len(prints)} of {len(names)} pages", end="", flush=True)
        pdf = join(prints, lambda sheets: print_numbers(browser, sheets))
    asked.pdf.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(asked.pdf, pdf)
    print(f"\r{asked.pdf}: {len(names)} pages of the book, {len(pdf) / 1e6:.1f} MB")
    return 0


def pages_in_order(html: Path) -> Iterator[str]:
    """Names of the pages to print, from the first one on along the links to the next."""
    name = FIRST
    while name and (html / name).is_file():
        if not name.startswith(LEFT_OUT):
            yield name
        soup = BeautifulSoup((html / name).read_text(encoding="utf-8"), "html.parser")
        following = soup.find("link", rel="next")
        name = urljoin(name, str(following["href"])) if following else ""


def open_book(browser: Browser, html: Path) -> Page:
    """An empty tab in which the book's folder answers under ``BASE``."""

    def answer(route: Route) -> None:
        route.fulfill(path=html / unquote(urlsplit(route.request.url).path).lstrip("/"))

    context = browser.new_context(color_scheme="light", reduced_motion="reduce")
    context.set_default_timeout(TIMEOUT_MS)
    context.route(f"{BASE}**", answer)
    return context.new_page()


def print_page(page: Page, name: str) -> bytes:
    """Print one page of the book, unfolded, as a PDF."""
    page.goto(f"{BASE}{name}", wait_until="load")
    page.evaluate(UNFOLD)
    page.emulate_media(media="print")
    headings = page.evaluate(HEADINGS)
    pdf = page.pdf(format="A4", margin=MARGINS, print_background=True, tagged=True, outline=True)
    return with_bookmarks(pdf, headings)


def with_bookmarks(pdf: bytes, headings: list[str]) -> bytes:
    """Name the bookmarks of a print after the headings to which they lead.

    Chromium doubles the words of some and loses the space where a heading breaks into lines.
    """
    writer = PdfWriter()
    writer.append(io.BytesIO(pdf))
    for bookmark, heading in zip(bookmarks(writer.get_outline_root()), headings, strict=True):
        bookmark[NameObject("/Title")] = TextStringObject(heading)
    named = io.BytesIO()
    writer.write(named)
    return named.getvalue()


def bookmarks(parent: DictionaryObject) -> Iterator[DictionaryObject]:
    """All bookmarks below one, in the order of the text."""
    child = parent.get("/First")
    while child is not None:
        bookmark = child.get_object()
        yield bookmark
        yield from bookmarks(bookmark)
        child = bookmark.get("/Next")


def print_numbers(browser: Browser, sheets: int) -> bytes:
    """Print sheets that are empty but for their numbers."""
    with browser.new_context() as context:
        page = context.new_page()
        page.set_content('<div style="break-after: page">&nbsp;</div>' * (sheets - 1) + "&nbsp;")
        return page.pdf(
            format="A4",
            margin=MARGINS,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=NUMBER,
        )


def join(prints: dict[str, bytes], numbers: Callable[[int], bytes]) -> bytes:
    """Join prints into one PDF with continuous numbers and links that lead inside.

    Args:
        prints: One PDF a page of the book, under its name and in order.
        numbers: Called with the count of all sheets; returns a PDF of numbers to lay over them.
    """
    writer, starts = PdfWriter(), {}
    for name, pdf in prints.items():
        starts[name] = len(writer.pages)
        writer.append(io.BytesIO(pdf))
    overlay = PdfReader(io.BytesIO(numbers(len(writer.pages))))
    for sheet, number in zip(writer.pages, overlay.pages, strict=True):
        lead_inside(sheet, {name: writer.pages[start] for name, start in starts.items()})
        sheet.merge_page(number)
        sheet.compress_content_streams()
    writer.add_metadata({"/Title": TITLE})
    writer.compress_identical_objects()
    joined = io.BytesIO()
    writer.write(joined)
    return joined.getvalue()


def lead_inside(sheet: PageObject, firsts: dict[str, PageObject]) -> None:
    """Let links to printed pages lead to their first sheet, and drop those to all others."""
    for annotation in sheet.get("/Annots", ()):
        link = annotation.get_object()
        target = str(link.get("/A", {}).get("/URI", ""))
        if target.startswith(BASE):
            del link["/A"]
            name = unquote(urlsplit(target).path).lstrip("/")
            if name in firsts:
                there = [firsts[name].indirect_reference, NameObject("/Fit")]
                link[NameObject("/Dest")] = ArrayObject(there)


if __name__ == "__main__":
    sys.exit(main())
