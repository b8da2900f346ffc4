"""Sphinx extension of the book: in each chapter the first use of a glossary term leads there.

Authors link a term where they introduce it. Where a chapter uses one before that, or never links
it, its first use in the running text becomes a link, singular or plural, the longest term first.
The terms are those of the glossary page. Words with an everyday sense too are left to authors.
"""

import re
from collections.abc import Iterable

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from chapters import chapters
from running_text import running_text

# Said in another sense as well, as in "the slopes reach 1": only an author knows which is meant.
BY_HAND = frozenset(
    {"calibration", "claim", "head", "level", "per channel", "reach", "stem", "warm-up"}
)
SENTENCE = r"(?:^|(?<=[.!?:] ))"  # where one begins


def spellings(term: str) -> str:
    """Pattern of a term: with a capital where a sentence begins, as a plural, without a hyphen."""
    last = "(?:y|ies)" if term.endswith("y") else re.escape(term[-1])
    plural = "" if term.endswith(("s", "y")) else "(?:e?s)?"
    middle = r"[ -]".join(map(re.escape, re.split("[ -]", term[1:-1])))
    first = re.escape(term[0])
    if term == term.lower():
        first = f"(?:{first}|{SENTENCE}{re.escape(term[0].upper())})"
    return first + middle + last + plural


def pattern(terms: Iterable[str]) -> re.Pattern[str]:
    """Pattern that finds any of the terms as whole words; group 1 is the first of `longest`."""
    groups = "|".join(f"({spellings(term)})" for term in longest(terms))
    return re.compile(rf"(?<![\w-])(?:{groups})(?![\w-])")


def longest(terms: Iterable[str]) -> list[str]:
    """Terms, the longest first, so that a term is not found inside another one."""
    return sorted(terms, key=lambda term: (-len(term), term))


def link(term: str, text: str, docname: str) -> pending_xref:
    """The link that an author writes as ``{term}`text <term>```."""
    target = {"refdomain": "std", "reftype": "term", "reftarget": term, "refdoc": docname}
    return pending_xref("", nodes.inline(text=text), **target, refexplicit=True, refwarn=True)


def link_first_uses(document: nodes.document, terms: Iterable[str], docname: str) -> None:
    """Turn the first use of each term into a link, unless a link of the author comes before it."""
    order = longest(terms)
    found, seen = pattern(order), set()
    for node in list(running_text(document)):
        if not isinstance(node, nodes.Text):
            if node.get("reftype") == "term":
                seen.add(node["reftarget"].lower())
            continue
        text, pieces, end = node.astext(), [], 0
        for match in found.finditer(text):
            term = order[match.lastindex - 1]
            if term.lower() not in seen:
                seen.add(term.lower())
                pieces += [nodes.Text(text[end : match.start()]), link(term, match[0], docname)]
                end = match.end()
        if pieces:
            node.parent.replace(node, [*pieces, nodes.Text(text[end:])])


class LinkFirstUses(SphinxPostTransform):
    """Links terms in chapters; what it makes is resolved as if an author had written it."""

    default_priority = 5  # before Sphinx resolves links

    def run(self, **options: object) -> None:
        """Link the terms of the page at hand, if it is a chapter."""
        if self.env.docname in chapters(self.env):
            objects = self.env.get_domain("std").objects
            terms = {name for kind, name in objects if kind == "term"} - BY_HAND
            link_first_uses(self.document, terms, self.env.docname)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_post_transform(LinkFirstUses)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
