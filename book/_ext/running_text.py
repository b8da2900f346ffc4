"""The running text of a page: what is read line by line, without headings, code and tables."""

from collections.abc import Iterator

from docutils import nodes
from sphinx.addnodes import pending_xref

# What stands between the lines, or is looked at rather than read.
APART = (nodes.title, nodes.rubric, nodes.caption, nodes.table, nodes.literal, nodes.literal_block)
APART += (nodes.math, nodes.math_block, nodes.raw, nodes.comment, nodes.footnote, nodes.citation)
CELL = "cell"  # the class of a code cell with its outputs


def running_text(node: nodes.Element, *, inside: bool = False) -> Iterator[nodes.Node]:
    """Texts of paragraphs, and links as a whole, in the order of reading."""
    for child in node.children:
        if isinstance(child, nodes.Text):
            if inside:
                yield child
        elif isinstance(child, nodes.reference | pending_xref):
            yield child
        elif not isinstance(child, APART) and CELL not in child.get("classes", ()):
            yield from running_text(child, inside=inside or isinstance(child, nodes.paragraph))


def word_count(document: nodes.document) -> int:
    """Words of the running text; signs that stand alone, such as a dash, are none."""
    text = " ".join(node.astext() for node in running_text(document))
    return sum(any(map(str.isalnum, word)) for word in text.split())
