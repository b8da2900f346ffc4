"""Ways through the built book: the index, the neighbours of a page, and back from nowhere."""

import threading
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from urllib.parse import urljoin

import pytest
import yaml
from bs4 import BeautifulSoup

from browsing import VIEWS
from html_checks import read

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "/some/where"  # a book need not stand at the root of its server


# --- index -------------------------------------------------------------------------------------


def test_the_index_holds_terms_and_names_and_is_in_the_side_bar(root):
    index = read(root / "genindex.html").soup
    links = {link["href"] for link in index.select("table.indextable a")}
    terms = read(root / "book" / "glossary.html").soup.select("dl.glossary dt[id]")
    assert {f"book/glossary.html#{term['id']}" for term in terms} <= links
    assert any(link.endswith("#mnv3lib.ops.activations.HardSwish") for link in links)
    side = read(root / "book" / "index.html").soup.select("nav.bd-links a, .bd-sidebar-primary a")
    assert "../genindex.html" in {link["href"] for link in side}


# --- neighbours --------------------------------------------------------------------------------


@cache
def reading_order() -> list[str]:
    """The pages as the table of contents lists them, from the first to the last."""

    def files(item) -> list[str]:
        inside = [*item.get("chapters", ()), *item.get("sections", ())]
        own = [item["file"]] if "file" in item else []
        return own + [name for child in inside for name in files(child)]

    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(name for part in toc["parts"] for name in files(part))]


def test_every_page_leads_to_its_neighbours(root):
    wrong = []
    for before, after in pairwise(reading_order()):
        for here, there, side in ((before, after, "right-next"), (after, before, "left-prev")):
            if here == "genindex":
                continue  # Sphinx writes it, and it has no neighbours
            link = read(root / f"{here}.html").soup.select_one(f".prev-next-area a.{side}")
            leads = urljoin(f"/{here}.html", link["href"]) if link else None
            if leads != f"/{there}.html":
                wrong.append(f"{here}: {side} is {leads} and not {there}")
    assert wrong == []


# --- an address that leads nowhere -------------------------------------------------------------


@pytest.fixture(scope="module")
def lost(root):
    """Address of a server that has the book in a folder, and its 404 page for all else."""

    class Lost(SimpleHTTPRequestHandler):
        def translate_path(self, path):
            inside = path.startswith(f"{PREFIX}/")
            return super().translate_path(path.removeprefix(PREFIX) if inside else "/nowhere")

        def send_error(self, code, message=None, explain=None):
            body = (root / "404.html").read_bytes()
            self.send_response(code, message)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Lost, directory=root)) as served:
        served.daemon_threads = True
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}{PREFIX}"
        served.shutdown()


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("asked", ["nothing.html", "book/api/deeper/and/deeper/nothing.html"])
def test_a_lost_reader_finds_the_book_from_any_depth(contexts, lost, asked, view):
    page = contexts[view].new_page()
    try:
        assert page.goto(f"{lost}/{asked}").status == 404
        page.wait_for_function("() => document.documentElement.dataset.book")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        addresses = page.locator("a").evaluate_all("(links) => links.map((link) => link.href)")
        assert addresses == [f"{lost}/book/index.html", f"{lost}/genindex.html"]
        assert all(page.request.get(address).ok for address in addresses)
        page.locator("input[type=search]").fill("squeeze")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{lost}/search.html?q=squeeze")
    finally:
        page.close()


def test_the_lost_page_carries_all_it_needs(root):
    soup = BeautifulSoup((root / "404.html").read_text(encoding="utf-8"), "html.parser")
    assert soup.find_all(["link", "img"]) == []
    assert not soup.find("script", src=True)
