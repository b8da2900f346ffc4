"""Folds of the side bar and of code have names, and the bibliography is a list."""

import accessible

ARROW = '<a href="api.html">The package</a><details><summary><i></i></summary><ul></ul></details>'
CODE = '<summary aria-label="Toggle hidden content"><p>Show the code</p></summary>'


def test_folds_get_names():
    context = {"generate_toctree_html": lambda kind, **options: ARROW, "body": CODE}
    accessible.correct(None, "page", "page.html", context, None)
    assert context["body"] == "<summary><p>Show the code</p></summary>"
    side_bar = context["generate_toctree_html"]("sidebar", maxdepth=4)
    assert f'<summary aria-label="{accessible.ARROW}"><i></i></summary>' in side_bar


def test_entries_of_the_bibliography_are_items_of_a_list():
    body = '<div role="list"><div class="citation" id="a" role="doc-biblioentry">A</div></div>'
    context = {"generate_toctree_html": lambda: "", "body": body}
    accessible.correct(None, "bibliography", "page.html", context, None)
    assert 'id="a" role="listitem"' in context["body"]


def test_pages_without_a_body_are_left_alone():
    context = {"generate_toctree_html": lambda: ""}
    accessible.correct(None, "search", "search.html", context, None)
    assert "body" not in context
