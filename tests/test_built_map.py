"""The map of the papers in a browser: readable at every width, and said in words below."""

import pytest

from browsing import VIEWS, opened
from paper_map import read_map

pytestmark = pytest.mark.book

READ_MAP = """() => {
  const frame = document.querySelector("div.paper-map");
  const heights = [...frame.querySelectorAll("text")].map((t) => t.getBoundingClientRect().height);
  const root = document.documentElement;
  return {
    boxes: frame.querySelectorAll("a rect").length, smallest: Math.min(...heights),
    page: root.scrollWidth <= root.clientWidth, scrolls: frame.scrollWidth > frame.clientWidth,
    within: frame.getBoundingClientRect().right <= root.clientWidth,
  };
}"""


@pytest.mark.parametrize("view", VIEWS)
def test_the_map_is_readable_and_scrolls_by_itself(contexts, server, view):
    papers, arrows = read_map()
    with opened(contexts[view], server) as (page, complaints):
        page.goto(f"{server}/book/papers.html")
        seen = page.evaluate(READ_MAP)
        sentences = page.locator("article li").all_inner_texts()
    assert complaints == []
    assert seen.pop("smallest") >= 9.5  # pixels, of the years
    scrolls = view == "phone"
    assert seen == {"boxes": len(papers), "page": True, "scrolls": scrolls, "within": True}
    assert [arrow.sentence for arrow in arrows] == sentences
