"""Figures of the built book tell what their points are, near the pointer and by keyboard."""

import json

import pytest

from browsing import nothing_in, opened

pytestmark = pytest.mark.book

CHAPTERS = {"06_latency": 3, "08_search": 1, "09_netadapt": 1}  # figures whose points have texts
SAME_PX = 1.0  # points nearer to each other than this are one to the pointer


def told_figures(page):
    """The figures of a page that have texts, each with its points."""
    figures = page.locator(".twin-pair:has(script.twin-points)").all()
    return [(f, json.loads(f.locator("script.twin-points").text_content())) for f in figures]


def shown_picture(figure):
    """Place and size, in pixels of the window, of the picture of the theme."""
    return figure.locator("img:visible").bounding_box()


def place(box, point):
    left, top, _ = point
    return box["x"] + box["width"] * left / 100, box["y"] + box["height"] * top / 100


@pytest.mark.parametrize("view", ["desktop", "phone"])
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_point_tells_what_it_is(contexts, server, chapter, view):
    with opened(contexts[view], server) as (page, complaints):
        page.goto(f"{server}/book/{chapter}.html", wait_until="load")
        figures = told_figures(page)
        assert len(figures) == CHAPTERS[chapter]
        for figure, points in figures:
            figure.scroll_into_view_if_needed()
            box = shown_picture(figure)
            text = figure.locator(".twin-text")
            for point in (points[0], points[len(points) // 2], points[-1]):
                x, y = place(box, point)
                page.mouse.move(x, y)
                spots = [(place(box, other), other[2]) for other in points]
                here = [s for (a, b), s in spots if max(abs(a - x), abs(b - y)) < SAME_PX]
                assert text.text_content() in here
                assert text.is_visible()
            page.mouse.move(box["x"] + box["width"] / 2, box["y"] - 40)
            assert text.text_content() == ""
        nothing_in(complaints)


def test_the_keyboard_leads_from_point_to_point(contexts, server):
    with opened(contexts["desktop"], server) as (page, complaints):
        page.goto(f"{server}/book/08_search.html", wait_until="load")
        ((figure, points),) = told_figures(page)
        text = figure.locator(".twin-text")
        seen = []
        figure.get_by_role("application").focus()
        seen.append(text.text_content())
        for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "End", "ArrowRight", "Home", "Escape"):
            page.keyboard.press(key)
            seen.append(text.text_content())
        texts = [point[2] for point in points]
        one, two, three, last = *texts[:3], texts[-1]
        assert seen == [one, two, three, two, last, last, one, ""]
        nothing_in(complaints)


def test_without_scripts_the_picture_stands(browser, server):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{server}/book/08_search.html")
    figure = page.locator(".twin-pair:has(script.twin-points)")
    assert shown_picture(figure)["width"] > 300
    assert figure.inner_text().strip() == ""
    context.close()
