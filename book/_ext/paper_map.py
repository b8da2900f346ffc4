"""Sphinx extension of the book: the papers as a picture with links, and as a list.

The directive ``paper-map`` draws what ``book/paper_map.yaml`` says: a box for each paper, an arrow
from who gives to who takes. The picture is part of the page, so that its boxes are links and its
colours those of the theme. The list below it says the same in sentences.
"""

import re
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from chapters import chapters

TABLE = Path(__file__).resolve().parent.parent / "paper_map.yaml"
WIDTH, HEIGHT = 170, 40  # of a box, in units of the picture
COLUMN, ROW, EDGE = 208, 54, 4  # from box to box, and around all of them
SVG = """\
<div class="paper-map" tabindex="0" role="group" aria-label="Map of the papers">
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<defs><marker id="paper-map-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"
markerHeight="7" orient="auto"><path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>
{arrows}
{boxes}
</svg></div>
"""
BOX = """\
<a href="{href}"><title class="nohighlight">{title}</title>
<rect class="{kind}" x="{x}" y="{y}" width="{w}" height="{h}" rx="6"/>
<text x="{middle}" y="{line_1}">{name}</text>
<text class="year" x="{middle}" y="{line_2}">{year}</text></a>"""
ARROW = (
    '<path class="arrow" d="{path}" marker-end="url(#paper-map-tip)">'
    '<title class="nohighlight">{title}</title></path>'
)


class PaperMap(nodes.General, nodes.Element):
    """Where the picture will be, once all links are known."""


@dataclass(frozen=True)
class Paper:
    """A box of the map."""

    key: str
    name: str
    column: float
    row: float
    label: str | None

    @property
    def year(self) -> str:
        """The year, which the key of the bibliography holds."""
        return re.search(r"\d{4}", self.key)[0]

    @property
    def corner(self) -> tuple[float, float]:
        """The upper left corner of the box."""
        return EDGE + COLUMN * self.column, EDGE + ROW * self.row


@dataclass(frozen=True)
class Arrow:
    """What one paper takes from another."""

    giver: Paper
    taker: Paper
    what: str

    @property
    def sentence(self) -> str:
        """The arrow in words."""
        return f"{self.taker.name} takes from {self.giver.name} {self.what}."


@cache
def read_map(table: Path = TABLE) -> tuple[dict[str, Paper], tuple[Arrow, ...]]:
    """The papers by their keys, and the arrows between them."""
    stored = yaml.safe_load(table.read_text(encoding="utf-8"))
    papers = {
        row["key"]: Paper(row["key"], row["name"], *row["at"], row.get("leads to"))
        for row in stored["papers"]
    }
    arrows = [Arrow(papers[a["from"]], papers[a["to"]], a["what"]) for a in stored["arrows"]]
    return papers, tuple(arrows)


def route(giver: Paper, taker: Paper) -> str:
    """Path of an arrow: down within a column, otherwise from the right edge to the left one."""
    (x, y), (to_x, to_y) = giver.corner, taker.corner
    if giver.column == taker.column:
        return f"M{x + WIDTH / 2:g} {y + HEIGHT:g}V{to_y - 1:g}"
    y, to_y, bend = y + HEIGHT / 2, to_y + HEIGHT / 2, (to_x - x - WIDTH) / 2
    start = f"M{x + WIDTH:g} {y:g}"
    return f"{start}C{x + WIDTH + bend:g} {y:g} {to_x - bend:g} {to_y:g} {to_x - 1:g} {to_y:g}"


def draw(hrefs: dict[str, str], titles: dict[str, str]) -> str:
    """The picture, with an address and a tooltip for each paper."""
    papers, arrows = read_map()
    boxes = []
    for key, paper in papers.items():
        x, y = paper.corner
        kind = "chapter" if paper.label else "entry"
        place = {"x": f"{x:g}", "y": f"{y:g}", "w": WIDTH, "h": HEIGHT, "middle": x + WIDTH / 2}
        lines = {"line_1": y + 17, "line_2": y + 33, "name": escape(paper.name), "year": paper.year}
        links = {"href": escape(hrefs[key]), "title": escape(titles[key]), "kind": kind}
        boxes.append(BOX.format(**place, **lines, **links))
    paths = [
        ARROW.format(path=route(arrow.giver, arrow.taker), title=escape(arrow.sentence))
        for arrow in arrows
    ]
    width = max(paper.corner[0] for paper in papers.values()) + WIDTH + EDGE
    height = max(paper.corner[1] for paper in papers.values()) + HEIGHT + EDGE
    picture = {"arrows": "\n".join(paths), "boxes": "\n".join(boxes)}
    return SVG.format(width=f"{width:g}", height=f"{height:g}", **picture)


def address(env: BuildEnvironment, paper: Paper) -> tuple[str, str, str]:
    """Page, anchor and tooltip of what a box leads to: the chapter or the bibliography entry."""
    if paper.label:
        try:
            page, anchor, title = env.get_domain("std").labels[paper.label]
        except KeyError as error:
            raise ExtensionError(f"paper_map.yaml: no chapter has the label {error}") from None
        return page, anchor, f"Chapter {chapters(env).get(page, '')}: {title}"
    for citation in env.get_domain("cite").citations:
        if citation.key == paper.key:
            page = citation.bibliography_key.docname
            return page, citation.citation_id, f"{paper.name} in the bibliography"
    raise ExtensionError(f"paper_map.yaml: {paper.key} is not in the bibliography")


class DrawPaperMap(SphinxPostTransform):
    """Puts picture and list in the place of the directive."""

    default_priority = 50
    formats = ("html",)

    def run(self, **options: object) -> None:
        """Draw the map where the page at hand asks for it."""
        for place in list(self.document.findall(PaperMap)):
            papers, arrows = read_map()
            found = {key: address(self.env, paper) for key, paper in papers.items()}
            uri, here = self.app.builder.get_relative_uri, self.env.docname
            hrefs = {key: f"{uri(here, page)}#{anchor}" for key, (page, anchor, _) in found.items()}
            picture = draw(hrefs, {key: title for key, (*_, title) in found.items()})
            listed = nodes.bullet_list()
            for arrow in arrows:
                link = nodes.reference(
                    "", arrow.taker.name, refuri=hrefs[arrow.taker.key], internal=True
                )
                rest = nodes.Text(arrow.sentence.removeprefix(arrow.taker.name))
                listed += nodes.list_item("", nodes.paragraph("", "", link, rest))
            place.replace_self([nodes.raw("", picture, format="html"), listed])


class PaperMapDirective(SphinxDirective):
    """Asks for the map at its place."""

    def run(self) -> list[nodes.Node]:
        """Leave a mark, and have the page written anew when the table changes."""
        self.env.note_dependency(str(TABLE))
        return [PaperMap()]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_node(PaperMap)
    app.add_directive("paper-map", PaperMapDirective)
    app.add_post_transform(DrawPaperMap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
