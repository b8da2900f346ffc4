"""Rows of the scoreboard know the claim that they show."""

from types import SimpleNamespace

import pytest
from docutils import frontend, nodes, utils

import claim_filter
from mnv3lib.ledger import load_papers


@pytest.fixture(scope="module")
def claim():
    """The first claim of MobileNetV3."""
    (paper,) = (paper for paper in load_papers() if paper.name == "mobilenetv3")
    return paper.claims[0]


def page(headers, *rows):
    """A document of one section with one table."""

    def line(cells):
        return nodes.row("", *(nodes.entry("", nodes.paragraph("", cell)) for cell in cells))

    head = nodes.thead("", line(headers))
    body = nodes.tbody("", *map(line, rows))
    table = nodes.table("", nodes.tgroup("", head, body))
    document = utils.new_document("page", frontend.get_default_settings())
    document += nodes.section("", nodes.title("", "Paper by paper"), nodes.paragraph(), table)
    return document


def mark(document, docname=claim_filter.PAGE):
    """Let the extension work on a document; returns the classes of its rows."""
    claim_filter.mark_rows(SimpleNamespace(env=SimpleNamespace(docname=docname)), document)
    (body,) = document.findall(nodes.tbody)
    return [row["classes"] for row in body.findall(nodes.row)]


BOARD = ["claim", "paper", "ours", "verdict", "where"]
RATIOS = ["claim", "paper", "eager", "verdict"]


def test_a_row_of_a_papers_board(claim):
    document = page(BOARD, [claim.claim, "1", "2", "reproduced as a trend", claim.where])
    expected = ["paper-mobilenetv3", f"kind-{claim.kind}", "verdict-reproduced-as-a-trend"]
    assert mark(document) == [expected]
    (form,) = document.findall(nodes.raw)
    assert form.parent.index(form) == 1  # below the heading
    assert '<option value="mobilenetv3">Searching for MobileNetV3</option>' in form.astext()
    assert form.astext().count("<option") == 2 + 5 + 5  # one paper, four verdicts, four kinds, all
    assert '<option value="not-run">not run</option>' in form.astext()


def test_a_row_of_the_ratios_names_the_place_in_its_sentence(claim):
    document = page(RATIOS, [f"{claim.claim} ({claim.where})", "1", "2", "differs"])
    assert mark(document) == [["paper-mobilenetv3", f"kind-{claim.kind}", "verdict-differs"]]


def test_other_tables_and_other_pages_are_left_alone(claim):
    row = [claim.claim, "1", "2", "differs", claim.where]
    assert mark(page(["claims", *BOARD[1:]], row)) == [[]]
    assert mark(page(BOARD, row), docname="book/errata") == [[]]


def test_a_row_without_a_claim_is_reported(monkeypatch, claim):
    warned = []
    monkeypatch.setattr(claim_filter.LOGGER, "warning", lambda *a, **k: warned.append(a[1]))
    mark(page(BOARD, ["Nobody claims this.", "1", "2", "differs", "Table 1"]))
    assert warned == ["Nobody claims this."]


def test_sentence_and_place_tell_all_claims_of_one_kind_apart():
    claims = [claim for paper in load_papers() for claim in paper.claims]
    found = claim_filter.by_text(claims)
    wrong = [c.key for c in claims if found[claim_filter.key(c.claim, c.where)].kind != c.kind]
    assert wrong == []
    papers = [c.key for c in claims if found[claim_filter.key(c.claim, c.where)].paper != c.paper]
    assert papers == []
