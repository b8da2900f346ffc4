"""Checks of built HTML pages that need no browser: each returns a list of complaints."""

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from bs4 import BeautifulSoup

# Attributes that name something a page needs or leads to.
LINKS = {"a": "href", "img": "src", "script": "src", "link": "href", "source": "srcset"}
REFRESH = {"name": "meta", "attrs": {"http-equiv": re.compile("refresh", re.I)}}
MIN_ALT_WORDS, MIN_ALT_CHARACTERS = 3, 15
EMPTY_ALT = re.compile(r"(a |the )?(plot|image|figure|picture|chart|graph) of\b|\S+$", re.I)


@dataclass(frozen=True)
class Page:
    """What the checks need of one page: its parsed text and the anchors in it."""

    soup: BeautifulSoup
    anchors: frozenset[str]


@functools.cache
def read(path: Path) -> Page:
    """Parse a page once, however often links lead to it."""
    soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    ids = {str(tag["id"]) for tag in soup.find_all(id=True)}
    names = {str(tag["name"]) for tag in soup.find_all("a", attrs={"name": True})}
    return Page(soup, frozenset(ids | names))


def pages(root: Path) -> list[str]:
    """Names of all pages of the book, relative to its root, without the theme's own files."""
    found = (path.relative_to(root) for path in root.rglob("*.html"))
    return sorted(path.as_posix() for path in found if not path.parts[0].startswith("_"))


def targets(page: Page) -> list[str]:
    """Everything that a page links to or loads, as written."""
    written = [
        str(tag[attribute])
        for name, attribute in LINKS.items()
        for tag in page.soup.find_all(name, attrs={attribute: True})
    ]
    leads = [str(tag["content"]).partition("=")[2] for tag in page.soup.find_all(**REFRESH)]
    return written + leads


def leads_on(root: Path, name: str) -> bool:
    """Whether a page only sends its reader to another one."""
    return bool(read(root / name).soup.find(**REFRESH))


def broken_links(root: Path, name: str) -> list[str]:
    """Links, anchors, images, styles and scripts of a page that lead nowhere inside the book."""
    complaints = []
    for target in targets(read(root / name)):
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            continue  # an address on the web, a mail address, data in place: not ours to check
        path = unquote(urlsplit(urljoin(f"/{name}", target)).path).lstrip("/")
        file = root / path if not path.endswith("/") and path else root / path / "index.html"
        if not file.is_file():
            complaints.append(f"{target}: no such file in the book")
        elif parts.fragment and file.suffix == ".html":
            anchor = unquote(parts.fragment)
            if anchor not in read(file).anchors:
                complaints.append(f"{target}: no such anchor on {path}")
    return complaints


def poor_alt_texts(root: Path, name: str) -> list[str]:
    """Images in the text of a page whose alt text does not say what the reader should see."""
    soup = read(root / name).soup
    complaints = []
    for image in soup.select("article img"):
        alt = str(image.get("alt", "")).strip()
        short = len(alt.split()) < MIN_ALT_WORDS or len(alt) < MIN_ALT_CHARACTERS
        if short or EMPTY_ALT.match(alt):
            complaints.append(f"{image.get('src')}: alt text {alt!r} says nothing")
    return complaints
