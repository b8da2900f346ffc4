"""Sphinx extension of the book: each chapter says below its title how long it is.

Words are counted while the book is built. The minutes are those of the box "Before you start",
where an author states them once; a test holds them against the words and the lines of code.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

from chapters import chapters
from running_text import word_count

LOGGER = logging.getLogger(__name__)
MINUTES = re.compile(r"Reading (?:takes )?(\w+) minutes")


def stated_minutes(document: nodes.document) -> str | None:
    """The minutes that the box "Before you start" promises."""
    boxes = [box for box in document.findall(nodes.admonition) if "before" in box["classes"]]
    found = (MINUTES.search(box.astext().replace("\n", " ")) for box in boxes)
    return next((match[1] for match in found if match), None)


def length(words: int, minutes: str) -> str:
    """The line below the title, with the words to the nearest hundred."""
    return f"About {round(words, -2):,} words, {minutes} minutes to read"


class SayLength(SphinxPostTransform):
    """Puts the length below the title of a chapter."""

    default_priority = 50

    def run(self, **options: object) -> None:
        """Say the length of the page at hand, if it is a chapter."""
        if self.env.docname not in chapters(self.env):
            return
        minutes = stated_minutes(self.document)
        if minutes is None:
            LOGGER.warning(
                "the box 'Before you start' does not say: Reading takes N minutes",
                location=self.document,
            )
            return
        text = length(word_count(self.document), minutes)
        title = next(self.document.findall(nodes.title))
        title.parent.insert(1, nodes.paragraph(text=text, classes=["page-length"]))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_post_transform(SayLength)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
