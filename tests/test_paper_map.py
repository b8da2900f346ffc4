"""The map of the papers: what its table holds, how it is drawn, which links it has."""

import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations
from pathlib import Path

import pytest
import yaml

import paper_map
from paper_map import HEIGHT, WIDTH, Paper, draw, read_map, route
from test_notebooks import cells, source

ROOT = Path(__file__).resolve().parent.parent
FOURTEEN = {
    "howard2019searching",
    "cai2020once",
    "chiang2023mobiletl",
    "han2020model",
    "liu2023efficientvit",
    "xiong2021mobiledets",
    "huang2023ohq",
    "an2024diffusionnag",
    "chen2021oneshot",
    "cui2021beyond",
    "faghri2023reinforce",
    "abrahamyan2021bias",
    "sahayam2023hard",
    "sarah2022hardware",
}
PAPERS, ARROWS = read_map()


def test_every_paper_is_there_and_in_the_bibliography():
    entries = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    assert PAPERS.keys() >= FOURTEEN
    assert [key for key in PAPERS if f"{{{key}," not in entries] == []


def test_every_follower_takes_something_and_every_ancestor_gives():
    assert {arrow.taker.key for arrow in ARROWS} >= FOURTEEN
    assert {arrow.giver.key for arrow in ARROWS} >= PAPERS.keys() - FOURTEEN


def test_arrows_do_not_point_into_the_past():
    assert [a.sentence for a in ARROWS if a.giver.year > a.taker.year] == []


def test_a_chapter_about_a_descendant_is_led_to():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    (part,) = (part for part in toc["parts"] if part["caption"] == "Descendants")
    first = [source(cells(f"{row['file']}.ipynb")[0]) for row in part["chapters"]]
    labels = {re.match(r"\(([\w-]+)\)=", text)[1] for text in first}
    assert labels
    assert labels <= {paper.label for paper in PAPERS.values()}


def test_boxes_stand_apart():
    for one, other in combinations(PAPERS.values(), 2):
        (x, y), (u, v) = one.corner, other.corner
        assert abs(x - u) > WIDTH or abs(y - v) > HEIGHT, f"{one.name} covers {other.name}"


def test_names_fit_their_boxes():
    assert [paper.name for paper in PAPERS.values() if 7.6 * len(paper.name) > WIDTH] == []


def test_arrows_lead_down_a_column_or_on_to_the_next():
    first, below, beside = (Paper("x2000", "x", *at, None) for at in ((0, 0), (0, 2), (1, 0)))
    assert route(first, below) == "M89 44V111"
    assert route(first, beside) == "M174 24C193 24 193 24 211 24"


def test_the_picture_is_a_link_for_each_box_and_a_sentence_for_each_arrow():
    hrefs = {key: f"page.html#{key}&x" for key in PAPERS}
    picture = draw(hrefs, {key: f"About {paper.name}" for key, paper in PAPERS.items()})
    tree = ElementTree.fromstring(picture)
    svg = "{http://www.w3.org/2000/svg}"
    links = list(tree.iter(f"{svg}a"))
    assert [link.get("href") for link in links] == list(hrefs.values())
    assert [link.find(f"{svg}title").text for link in links] == [
        f"About {paper.name}" for paper in PAPERS.values()
    ]
    sentences = {path.find(f"{svg}title").text for path in tree.iter(f"{svg}path") if len(path)}
    assert sentences == {arrow.sentence for arrow in ARROWS}
    assert not re.search(r"(fill|stroke)=|#[0-9a-f]{3,6}\"", picture), "colours are the theme's"


@pytest.mark.parametrize(("label", "named"), [("ch-nowhere", "ch-nowhere"), (None, "nobody2000")])
def test_a_box_that_leads_nowhere_stops_the_build(label, named):
    class Domain:
        labels, citations = {}, ()

    class Environment:
        get_domain = staticmethod(lambda name: Domain)

    with pytest.raises(paper_map.ExtensionError, match=named):
        paper_map.address(Environment, Paper("nobody2000", "Nobody", 0, 0, label))
