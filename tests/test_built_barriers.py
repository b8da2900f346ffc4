"""The look with axe-core finds what it is for."""

import pytest

from accessibility import barriers, pale_texts

pytestmark = pytest.mark.book

PAGE = '<html lang="en"><title>A page</title><main>{}</main></html>'
PALE = '<p style="color: #ccc; background: #fff">pale</p>'


@pytest.fixture
def page(browser):
    """An empty page of its own."""
    with browser.new_context() as context:
        yield context.new_page()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("<button></button>", "button-name"),
        ("<details><summary></summary>text</details>", "summary-name"),
        ('<img src="data:,">', "image-alt"),
    ],
)
def test_barriers_are_named(page, text, rule):
    page.set_content(PAGE.format(text))
    (found,) = barriers(page)
    assert found.startswith(f"{rule} on 1 elements")
    assert pale_texts(page) == []


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        (PALE, 1),
        (PALE * 3, 1),  # alike: one stands for all
        (f"{PALE}<div>{PALE}</div>", 2),
        (PALE.replace("pale", "pale <b>and strong</b>") * 3, 4),
        ("<p>black</p>" + PALE, 1),
    ],
)
def test_pale_texts_are_found(page, text, elements):
    page.set_content(PAGE.format(text))
    (found,) = pale_texts(page)
    assert found.startswith(f"color-contrast on {elements} elements")
    assert barriers(page) == [found]


def test_a_good_page_has_none(page):
    page.set_content(PAGE.format("<h1>Title</h1><button>Copy</button>"))
    assert barriers(page) == []
