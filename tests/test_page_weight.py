"""The weight of a page is the sum of the files that it loads."""

import pytest

from page_weight import too_heavy, weights

STYLE = """\
/* @import "commented.css"; */
@import "more.css";
@font-face { font-family: a; src: url("fonts/a.woff2?v=1") format("woff2"), url(fonts/a.ttf); }
body { background: url(picture.png) }
"""
PAGE = """\
<link rel="stylesheet" href="../_static/style.css?v=2"><link rel="icon" href="../_static/i.svg">
<script src="../_static/a.js"></script><script src="../_static/a.js"></script>
<script src="https://example.org/far.js"></script><img src="../_static/picture.png">
"""
SIZES = {
    "more.css": 7,
    "fonts/a.woff2": 1000,
    "fonts/a.ttf": 9999,
    "picture.png": 8888,
    "i.svg": 50,
}


@pytest.fixture
def book(tmp_path):
    """A book of one page that loads a style sheet, what that loads, and a script."""
    (tmp_path / "_static" / "fonts").mkdir(parents=True)
    (tmp_path / "a").mkdir()
    for name, size in SIZES.items():
        (tmp_path / "_static" / name).write_text("x" * size)
    (tmp_path / "_static" / "style.css").write_text(STYLE)
    (tmp_path / "_static" / "a.js").write_text("x" * 20)
    (tmp_path / "a" / "page.html").write_text(PAGE)
    return tmp_path


def test_weights_count_each_file_once_and_no_picture(book):
    assert weights(book, "a/page.html") == {
        "_static/fonts/a.woff2": 1000,
        "a/page.html": len(PAGE),
        "_static/style.css": len(STYLE),
        "_static/a.js": 20,
        "_static/more.css": 7,
    }


def test_limit(book):
    total = 1000 + len(PAGE) + len(STYLE) + 20 + 7
    assert too_heavy(book, "a/page.html", limit=total) == []
    (complaint,) = too_heavy(book, "a/page.html", limit=total - 1)
    assert f"{total:,} bytes" in complaint
    assert "a.woff2 1,000" in complaint
