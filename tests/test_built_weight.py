"""A page of the built book is light, and its first text needs neither a network nor a script."""

import pytest

from browsing import nothing_in
from page_weight import too_heavy

pytestmark = pytest.mark.book

FIRST_PAGES = ["book/index.html", "book/01_depthwise_separable.html"]


def test_weight(root, page_name):
    nothing_in(too_heavy(root, page_name))


@pytest.mark.parametrize("name", FIRST_PAGES)
def test_first_text_from_a_folder(browser, root, name):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto((root / name).as_uri())
        page.locator("article h1").wait_for(state="visible")
        page.locator("article h1 ~ p, article h1 ~ div p").first.wait_for(state="visible")
