"""Opens every page of the built book as readers do: desktop and phone, light and dark.

Each page is loaded once a screen, and axe-core looks at it in the same load.
"""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from accessibility import barriers, pale_texts
from browsing import VIEWS, nothing_in, opened
from html_checks import broken_links, poor_alt_texts

pytestmark = pytest.mark.book

SEARCHED = {"squeeze": "03"}  # a word, and how the file name of the chapter that teaches it starts

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
            seen = look(page, theme)
            if theme == first:
                seen += barriers(page)
            elif view == "desktop":  # another theme changes colours alone
                seen += pale_texts(page)
            complaints += [f"{theme}: {complaint}" for complaint in seen]
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
