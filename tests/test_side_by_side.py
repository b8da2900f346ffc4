"""How the pages of the book are spread over processes that read at once."""

from hypothesis import given
from hypothesis import strategies as st
from sphinx.util.parallel import make_chunks

from side_by_side import dealt


def test_notebooks_go_to_the_pieces_that_are_read_first():
    pages = [f"{kind}{index}" for kind in "abn" for index in range(8)]
    slow = {page for page in pages if page.startswith("n")}
    shares = [len(slow.intersection(piece)) for piece in make_chunks(dealt(pages, slow, 2), 2)]
    assert shares == [4, 4, 0]


@given(st.sets(st.integers(0, 99)), st.sets(st.integers(0, 99)), st.integers(1, 16))
def test_every_page_is_read_once(pages, slow, jobs):
    names = sorted(map(str, pages))
    assert sorted(dealt(names, set(map(str, slow)), jobs)) == names
