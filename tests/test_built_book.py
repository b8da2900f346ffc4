"""Opens every page of the built book as readers do: desktop and phone, light and dark.

Needs the book (``make book``) and Chromium, which runs headless. Without one of them the tests say
so and are skipped; under ``CI=true`` they fail. Links to the web are not fetched, and a page that
loads something from there fails.
"""

import functools
import os
import shutil
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

from html_checks import broken_links, leads_on, pages, poor_alt_texts

pytestmark = pytest.mark.book

# One load a row; each is then looked at in both themes, starting with the one named.
VIEWS = {"desktop": (1280, 900, "light"), "phone": (390, 844, "dark")}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SEARCHED = {"squeeze": "03"}  # a word, and how the file name of the chapter that teaches it starts
TIMEOUT_MS = 20_000

# Runs in the page. Twins are hidden by the theme's style sheet, not by being inside a folded box,
# so the element's own display decides.
INSPECT = """() => {
  const shown = (kind) => [...document.querySelectorAll(`article .only-${kind}`)]
    .map((twin) => getComputedStyle(twin).display !== "none");
  const root = document.documentElement;
  const inside = (part) => part && part !== root
    && (getComputedStyle(part).overflowX !== "visible" || inside(part.parentElement));
  return {
    theme: root.dataset.theme,
    light: shown("light"),
    dark: shown("dark"),
    width: [root.scrollWidth, root.clientWidth],
    wide: [...document.querySelectorAll("article *")]
      .filter((part) => part.getBoundingClientRect().right > root.clientWidth + 1)
      .filter((part) => !inside(part.parentElement))
      .slice(0, 3).map((part) => part.outerHTML.slice(0, 120)),
    empty: [...document.images].filter((image) => image.complete && !image.naturalWidth)
      .map((image) => image.src),
  };
}"""


def pytest_generate_tests(metafunc):
    """One test a page; a single one that explains itself when there is no book."""
    if "page_name" in metafunc.fixturenames:
        root = metafunc.config.getoption("book_html")
        names = pages(root)
        if "view" in metafunc.fixturenames:
            names = [name for name in names if not leads_on(root, name)]
        metafunc.parametrize("page_name", names or ["(no page)"])


def missing(what: str) -> None:
    """Skip, or fail where everything should be in place."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(what)


@pytest.fixture(scope="session")
def root(pytestconfig) -> Path:
    """Folder of the built pages."""
    folder = pytestconfig.getoption("book_html")
    if not pages(folder):
        missing("there is no built book to look at; build it with: make book")
    return folder


@pytest.fixture(scope="session")
def server(root):
    """Address of the book, served on a free port of this machine."""

    class Quiet(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=root)) as served:
        served.daemon_threads = True
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


@pytest.fixture(scope="session")
def browser():
    """One headless Chromium a test process."""
    candidates = (os.environ.get("CHROMIUM", ""), *BROWSERS)
    program = next(filter(None, map(shutil.which, candidates)), None)
    if program is None:
        missing(
            "the browser test needs Chromium; install it (Debian: apt-get install chromium) "
            "or name the program in the environment variable CHROMIUM"
        )
    with sync_playwright() as playwright:
        arguments = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
        if os.geteuid() == 0:  # Chromium's sandbox does not start for root, as in containers
            arguments.append("--no-sandbox")
        opened = playwright.chromium.launch(executable_path=program, args=arguments)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def contexts(browser):
    """One browser session a view, so that the theme's files are fetched once."""
    made = {}
    for view, (width, height, theme) in VIEWS.items():
        size = {"width": width, "height": height}
        made[view] = browser.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce")
        made[view].set_default_timeout(TIMEOUT_MS)
    return made


@contextmanager
def opened(context, server: str):
    """A fresh page, and the list to which it adds its complaints while it is open."""
    complaints: list[str] = []

    def asked(request):
        if urlsplit(request.url).scheme != "data" and not request.url.startswith(f"{server}/"):
            complaints.append(f"asks for something outside the book: {request.url}")

    def answered(response):
        if response.status >= 400:
            complaints.append(f"{response.status} for {response.url}")

    def failed(request):
        if request.url.startswith(server):
            complaints.append(f"request failed: {request.url} ({request.failure})")

    def said(message):
        # The console reports once more what was complained about already.
        if message.type == "error" and "Failed to load resource" not in message.text:
            complaints.append(f"console: {message.text}")

    page = context.new_page()
    page.on("request", asked)
    page.on("response", answered)
    page.on("requestfailed", failed)
    page.on("console", said)
    page.on("pageerror", lambda error: complaints.append(f"script error: {error}"))
    try:
        yield page, complaints
    finally:
        page.close()


def look(page, theme: str) -> list[str]:
    """What a reader would object to on the open page in one theme."""
    page.emulate_media(color_scheme=theme)
    page.wait_for_function("(theme) => document.documentElement.dataset.theme === theme", arg=theme)
    seen = page.evaluate(INSPECT)
    other = "light" if theme == "dark" else "dark"
    complaints = [f"image without a picture: {source}" for source in seen["empty"]]
    if len(seen[theme]) != len(seen[other]):
        complaints.append(f"{len(seen['light'])} light and {len(seen['dark'])} dark twins")
    if not all(seen[theme]) or any(seen[other]):
        complaints.append(f"in the {theme} theme not exactly the {theme} twins are shown")
    scroll, client = seen["width"]
    if scroll > client:
        complaints.append(f"scrolls sideways ({scroll} > {client} px): {seen['wide']}")
    return complaints


def nothing_in(complaints: list[str]) -> None:
    """Fail with one complaint a line."""
    if complaints:
        pytest.fail("\n".join(complaints), pytrace=False)


def test_links(root, page_name):
    nothing_in(broken_links(root, page_name))


def test_alt_texts(root, page_name):
    nothing_in(poor_alt_texts(root, page_name))


@pytest.mark.parametrize("view", VIEWS)
def test_page(contexts, server, page_name, view):
    with opened(contexts[view], server) as (page, complaints):
        page.goto(f"{server}/{page_name}", wait_until="load")
        first = VIEWS[view][2]
        for theme in (first, "light" if first == "dark" else "dark"):
            complaints += [f"{theme}: {complaint}" for complaint in look(page, theme)]
        nothing_in(complaints)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("word", SEARCHED)
def test_search(contexts, server, view, word):
    with opened(contexts[view], server) as (page, complaints):
        page.goto(f"{server}/search.html")
        page.locator("main input[type=search], #searchbox input[name=q]").first.fill(word)
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.querySelector('.search-summary')?.innerText.trim()")
        links = page.locator("#search-results li a").evaluate_all(
            "(links) => links.map((link) => link.getAttribute('href'))"
        )
        found = [Path(urlsplit(link).path).name for link in links]
        assert any(name.startswith(SEARCHED[word]) for name in found), f"{word!r} found {found}"
        nothing_in(complaints)
