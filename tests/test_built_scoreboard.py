"""The scoreboard of the built book can be filtered, and shows everything without scripts."""

import pytest

from browsing import nothing_in, opened

pytestmark = pytest.mark.book

BOARD = "book/scoreboard.html"
ROWS = "tr[class*='verdict-']"


@pytest.fixture
def board(contexts, server):
    """Opens the scoreboard at a fragment of its address."""
    with opened(contexts["desktop"], server) as (page, complaints):

        def at(fragment=""):
            page.goto("about:blank")
            page.goto(f"{server}/{BOARD}{fragment}")
            page.locator("form.claim-filter output").filter(has_text="claims").wait_for()
            return page

        yield at
        nothing_in(complaints)


def shown(page):
    """How many rows one sees, and what the page says of it."""
    rows = page.locator(f"{ROWS}:visible")
    said = page.locator("form.claim-filter output").inner_text()
    return rows.count(), said


def test_everything_is_there_at_first(board):
    page = board()
    count = page.locator(ROWS).count()
    assert count > 200
    assert shown(page) == (count, f"{count} of {count} claims on this page")


@pytest.mark.parametrize(
    ("field", "value"),
    [("paper", "mnasnet"), ("verdict", "differs"), ("kind", "cluster")],
)
def test_one_field(board, field, value):
    page = board()
    page.locator(f"form.claim-filter select[name={field}]").select_option(value)
    expected = page.locator(f"{ROWS}.{field}-{value}").count()
    count, said = shown(page)
    assert 0 < count == expected < page.locator(ROWS).count()
    assert said.startswith(f"{count} of ")
    assert page.evaluate("location.hash") == f"#{field}={value}"


def test_fields_and_words_narrow_each_other(board):
    page = board("#paper=mobilenetv3&verdict=reproduced&words=squeeze")
    rows = page.locator(f"{ROWS}:visible")
    count, _ = shown(page)
    assert 0 < count < page.locator(f"{ROWS}.paper-mobilenetv3.verdict-reproduced").count()
    assert all("squeeze" in text.lower() for text in rows.all_inner_texts())
    page.locator("form.claim-filter button[type=reset]").click()
    page.wait_for_function("!location.hash")
    assert shown(page)[0] == page.locator(ROWS).count()


def test_tables_without_a_row_are_hidden(board):
    page = board("#paper=mnasnet")
    visible = page.locator(f"table:has({ROWS}):visible")
    assert all(table.locator(f"{ROWS}.paper-mnasnet").count() for table in visible.all())


def test_without_scripts_all_rows_and_no_form(browser, server):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{server}/{BOARD}#verdict=differs")
        assert page.locator(f"{ROWS}:visible").count() == page.locator(ROWS).count() > 200
        assert not page.locator("form.claim-filter").is_visible()
