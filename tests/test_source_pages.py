"""Pages of source code: whose they are, and that they share a side bar."""

from types import SimpleNamespace

import source_pages


def table_of_contents(made, page, maker):
    """What the theme gets when it asks for the table of contents of a page."""
    context = {"toctree": maker}
    source_pages.share(made, None, page, "page.html", context, None)
    return context["toctree"](maxdepth=1)


def test_pages_as_deep_as_each_other_share():
    made, asked = {}, []

    def maker(page):
        def make(**options):
            asked.append(page)
            return page

        return make

    pages = ["_modules/a/b", "_modules/a/c", "_modules/d", "book/a/e"]
    got = [table_of_contents(made, page, maker(page)) for page in pages]
    assert got == ["_modules/a/b", "_modules/a/b", "_modules/d", "book/a/e"]
    assert asked == ["_modules/a/b", "_modules/d", "book/a/e"]


def test_modules_of_which_nothing_is_described_are_left_out():
    entries = {
        "ours": ("code", {}, {"f": "page"}, "ours"),
        "typing": ("code", {}, {}, "typing"),
        "compiled": False,
    }
    source_pages.leave_out_foreign(None, SimpleNamespace(_viewcode_modules=entries))
    assert list(entries) == ["ours", "compiled"]
