"""The built book in a browser: fixtures and helpers of all tests marked ``book``.

``tests/conftest.py`` hands the fixtures to every test file. They need the book (``make book``) and
Chromium, which runs headless. Without one of them a test says so and is skipped; under ``CI=true``
it fails. Links to the web are not fetched, and a page that loads something from there fails.
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

from html_checks import pages

__all__ = ["VIEWS", "browser", "contexts", "missing", "nothing_in", "opened", "root", "server"]

# One load a row; each is then looked at in both themes, starting with the one named.
VIEWS = {"desktop": (1280, 900, "light"), "phone": (390, 844, "dark")}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_MS = 20_000


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
    from playwright.sync_api import sync_playwright  # only who browses waits for it

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


def nothing_in(complaints: list[str]) -> None:
    """Fail with one complaint a line."""
    if complaints:
        pytest.fail("\n".join(complaints), pytrace=False)
