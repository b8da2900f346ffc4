"""The look with axe-core finds what it is for."""

import pytest

from accessibility import CONTRAST, barriers

pytestmark = pytest.mark.book

PAGE = '<html lang="en"><title>A page</title><main>{}</main></html>'


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('<p style="color: #ccc; background: #fff">pale</p>', "color-contrast"),
        ("<button></button>", "button-name"),
        ("<details><summary></summary>text</details>", "summary-name"),
        ('<img src="data:,">', "image-alt"),
    ],
)
def test_barriers_are_named(browser, text, rule):
    with browser.new_context() as context:
        page = context.new_page()
        page.set_content(PAGE.format(text))
        (found,) = barriers(page)
        assert found.startswith(f"{rule} on 1 elements")
        assert bool(barriers(page, only=CONTRAST)) == (rule in CONTRAST)


def test_a_good_page_has_none(browser):
    with browser.new_context() as context:
        page = context.new_page()
        page.set_content(PAGE.format("<h1>Title</h1><button>Copy</button>"))
        assert barriers(page) == []
