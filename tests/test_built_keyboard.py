"""The built book can be used with the keyboard alone."""

import pytest

from browsing import nothing_in, opened

pytestmark = pytest.mark.book

CHAPTER = (
    "book/04_hard_swish.html"  # has a page before and after it, folded code, solutions, tables
)
TABS = 400
# What has the focus, by the part of the page it belongs to, and whether one sees that it has it.
FOCUSED = """() => {
  const focused = document.activeElement;
  const parts = {
    skip: "#pst-skip-link a", search: ".search-button__button", sidebar: ".bd-links a",
    fold: "details > summary", solution: ".admonition .toggle-button", copy: "button.copybtn",
    previous: "a.left-prev", next: "a.right-next",
  };
  const part = Object.keys(parts).find((name) => focused.matches(parts[name])) ?? "";
  const ringed = (element) => {
    const {outlineStyle, outlineWidth, boxShadow, opacity} = getComputedStyle(element);
    const outlined = outlineStyle !== "none" && parseFloat(outlineWidth) > 0;
    return opacity !== "0" && (outlined || boxShadow !== "none");
  };
  return {part, end: focused === document.body, html: focused.outerHTML.slice(0, 120),
          ring: [focused, ...focused.querySelectorAll("*")].some(ringed)};
}"""


def walk(page) -> list[dict]:
    """What gets the focus, one element after the other, until the page has no more."""
    found = []
    for _ in range(TABS):
        page.keyboard.press("Tab")
        found.append(page.evaluate(FOCUSED))
        if found[-1]["part"] == "next" or found[-1]["end"]:
            break
    return found


def test_tab_reaches_everything_and_shows_where_it_is(contexts, server):
    with opened(contexts["desktop"], server) as (page, complaints):
        page.goto(f"{server}/{CHAPTER}")
        page.locator("button.copybtn").first.wait_for(state="attached")
        found = walk(page)
        order = list(dict.fromkeys(step["part"] for step in found if step["part"]))
        assert order[0] == "skip"
        assert set(order) == {
            *("skip", "search", "sidebar", "fold", "solution", "copy", "previous", "next")
        }
        unseen = [step["html"] for step in found if not step["end"] and not step["ring"]]
        complaints += [f"no sign of focus: {html}" for html in unseen]
        nothing_in(complaints)


def test_skip_link_leads_to_the_text(contexts, server):
    with opened(contexts["desktop"], server) as (page, complaints):
        page.goto(f"{server}/{CHAPTER}")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.querySelector('main').contains(document.activeElement)")
        nothing_in(complaints)


@pytest.mark.parametrize("key", ["Enter", "Space"])
@pytest.mark.parametrize("fold", ["details > summary", ".admonition .toggle-button"])
def test_folded_boxes_open_and_close(contexts, server, fold, key):
    with opened(contexts["desktop"], server) as (page, complaints):
        page.goto(f"{server}/{CHAPTER}")
        handle = page.locator(f"article {fold}").first
        content = handle.locator(
            "xpath=ancestor::*[self::details or contains(@class, 'toggle')][1]"
        )
        inside = content.locator("p:visible, pre:visible")
        closed = inside.count()
        handle.focus()
        page.keyboard.press(key)
        page.wait_for_timeout(400)  # the theme's fade
        assert inside.count() > closed
        page.keyboard.press(key)
        page.wait_for_timeout(400)
        assert inside.count() == closed
        nothing_in(complaints)


def test_buttons_have_names(contexts, server):
    with opened(contexts["desktop"], server) as (page, complaints):
        page.goto(f"{server}/{CHAPTER}")
        page.locator("button.copybtn").first.wait_for(state="attached")
        named = page.get_by_role("button", name="Copy", include_hidden=True)
        assert named.count() == page.locator("button.copybtn").count()
        nothing_in(complaints)
