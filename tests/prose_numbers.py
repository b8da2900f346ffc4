"""Where the digits of a page's prose come from: a cell of the page or the place of a source.

A number in prose needs a voucher, and a weak voucher is none:

- *Printed.* A cell of the page prints or glues a value of which the number is a rounding. Three
  significant digits hardly agree by chance, so they may stand anywhere on the page; one or two
  often do, so their cell has to stand under the same heading. What a cell prints differently each
  time (``nbval-ignore-output``) vouches for nothing.
- *Written in code.* A literal, or arithmetic with literals, in a cell under the same heading: what
  the prose tells is what the cell sets. Code elsewhere on a page holds most small numbers.
- *Worked out.* A formula of the same text cell amounts to it; that the formulas of the book are
  right is a test of its own (:mod:`formulas`).
- *Quoted.* The paragraph, list item, table or box of a paper cites a source and names the place in
  it, and the sentence does not speak of us: what we find is ours to compute.
- *Counted.* Whole numbers up to twelve, as long as no unit follows. A reader counts those; a
  percentage, a time or a size is measured.

Numbers that the role ``glue:text`` shows are not written in the first place; those of names
(MobileNetV3, width 0.75, stride 16, Table 6, Pixel 1, May 2021) tell nothing. What has no voucher
goes into ``prose_numbers.yaml``, with its arithmetic or its reason.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from formulas import values
from page_parts import Part

SMALL = 12  # whole numbers up to here are counted, not measured
DIGITS_ANYWHERE = 3  # significant digits that do not agree by chance

# A word of its own: not a part of V3, top-1, @16, 8-bit or 0.1.2.
NUMBER = re.compile(
    r"(?<![\w.,@])(?<!\w-)(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:e-?\d+)?)"
    r"(?!\w|[.,]\d|-bit\b)"
)
UNIT = re.compile(
    r"\s?(?:(?P<percent>%|percent)|(?P<million>M\b|million)|(?P<billion>B\b|billion)"
    r"|(?:ms|µs|s|px|dB|[KMG]i?B|points?)\b)"
)
SCALES = {"percent": 100.0, "million": 1e-6, "billion": 1e-9}

# What holds digits and tells nothing: code, formulas, roles, labels, addresses, options of boxes,
# the time that a page takes to read and to run.
SILENT = re.compile(
    r"^```(?:bash|python|md|json|console)?\n.*?^```$|`[^`\n]*`|\$\$.*?\$\$|\$(?!-?[\d.]+\$)[^$]*\$"
    r"|\{[\w:-]+\}|\]\([^)]*\)|^\([\w-]+\)=$|^:[\w-]+:.*?$|^\s*\d+\. |<[^>]*>"
    r"|^:::\{admonition\} [^\n]*\n:class: before\n.*?^:::$",
    re.DOTALL | re.MULTILINE,
)
# Names that hold digits: of a place in a source or in the book, a variant, a licence, a phone, a
# date.
NAME = re.compile(
    r"\b(?:Tables?|Fig(?:ure|s)?\.?|[Ss]ections?|[Cc]hapters?|[Ee]quations?|[Rr]ows?|[Vv]ersions?"
    r"|Appendix|Algorithm|[Ff]ootnote|pages?|[Ll]ines?|[Rr]elease|Python|arXiv|issue|BY-SA|Pixel"
    r"|[Ss]trides?|[Ww]idths?|[Ss]eed)[ ~][A-Z]?\d[\d.]*"
    r"(?:(?:,| and| to| or|, and) [A-Z]?\d[\d.]*\b)*"
    r"|(?:\d+ )?\b(?:January|February|March|April|May|June|July|August|September|October|November"
    r"|December) \d{4}\b"
)
PLACE = re.compile(
    r"\b(?:Tables?|Fig(?:ure|s)?\.?|[Ss]ections?|[Ee]quations?|Appendix|Algorithm|[Ff]ootnote"
    r"|pages?)[ ~][A-Z]?\d|\b[Aa]bstract\b|\bAppendix [A-Z]\b|\bREADME\b"
)
CITES = re.compile(r"\{cite(?::\w)?\}|\b[Tt]he paper's\b|\bREADME\b")
OURS = re.compile(r"\b(?:[Ww]e|[Oo]urs?|us)\b")
PAPER_BOX = re.compile(r"^:::\{admonition\} [^\n]*\n:class: paper\n.*?^:::$", re.DOTALL | re.M)
BREAK = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )|\n(?=:::|```)|(?<=:::)\n")


@dataclass(frozen=True)
class Found:
    """A number in prose: where it stands in its text, and how it is written."""

    text: str
    start: int
    written: str

    def __str__(self) -> str:
        around = self.text[max(0, self.start - 40) : self.end + 20]
        return f"{self.written} in '{' '.join(around.split())}'"

    @property
    def end(self) -> int:
        """Place behind the number."""
        return self.start + len(self.written)

    @property
    def value(self) -> float:
        """The number itself."""
        return float(self.written.replace(",", ""))

    @property
    def significant(self) -> int:
        """Significant digits; zeros at the end of a whole number are none."""
        digits = self.written.partition("e")[0].replace(",", "")
        return len((digits if "." in digits else digits.rstrip("0")).replace(".", "").lstrip("0"))

    @property
    def unit(self) -> re.Match[str] | None:
        """The unit that follows, if any."""
        return UNIT.match(self.text, self.end)

    @property
    def scale(self) -> float:
        """What turns a plain number into one in that unit."""
        kinds = self.unit.groupdict() if self.unit else {}
        return next((SCALES[kind] for kind, told in kinds.items() if told), 1.0)

    @property
    def sentence(self) -> str:
        """The words around it, up to the ends of the sentence."""
        before = re.split(r"[.:;?!] |\n\n", self.text[: self.start])[-1]
        return (before + re.split(r"[.;?!](?: |\n|$)|\n\n", self.text[self.start :])[0]).strip()

    @property
    def block(self) -> str:
        """The paper's box, table with its introduction, list item or paragraph around it."""
        for box in PAPER_BOX.finditer(self.text):
            if box.start() <= self.start < box.end():
                return box[0]
        edges = [0, *(m.start() for m in BREAK.finditer(self.text)), len(self.text)]
        first = max(edge for edge in edges if edge <= self.start)
        block = self.text[first : min(edge for edge in edges if edge > self.start)]
        introduction = self.text[:first].rstrip()
        if block.lstrip().startswith("|") and introduction:
            return Found(self.text, len(introduction) - 1, "").block + block
        return block


def numbers(text: str) -> Iterator[Found]:
    """The numbers that a text tells: those of no name, formula or piece of code, and not counted.

    Args:
        text: Markdown as it is written.
    """

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    for match in NUMBER.finditer(NAME.sub(blank, SILENT.sub(blank, text))):
        found = Found(text, match.start(1), match[1])
        if found.unit or not found.written.isdigit() or found.value > SMALL:
            yield found


def is_rounding(found: Found, number: float, decimals: int) -> bool:
    """Whether the number in the text is another one, rounded, in the text's unit.

    Args:
        found: The number in the text.
        number: The other one.
        decimals: To how many decimals the other one is known.
    """
    places = len(found.written.partition(".")[2]) if "e" not in found.written else 15
    half = 0.5 * 10.0**-places * (1 + 1e-9)
    plain = decimals >= places and abs(number - found.value) <= half
    in_unit = found.scale != 1 and number != 0
    return plain or (in_unit and abs(number * found.scale - found.value) <= half)


def is_vouched(found: Found, here: Part, page: list[Part]) -> bool:
    """Whether a cell prints the number, or writes it under the same heading, or a formula does."""
    scales = {1.0, found.scale}
    if any(abs(found.value - scale * n) < 1e-9 for n in here.coded for scale in scales):
        return True
    if any(is_rounding(found, number, 15) for number in values(found.text)):
        return True
    parts = page if found.significant >= DIGITS_ANYWHERE else [here]
    return any(is_rounding(found, *number) for part in parts for number in part.shown)


def is_quoted(found: Found) -> bool:
    """Whether the block names a source and the place in it, and the sentence is not about us."""
    block = found.block
    return bool(CITES.search(block) and PLACE.search(block)) and not OURS.search(found.sentence)


def unexplained(page: list[Part]) -> list[Found]:
    """Numbers of a page that nothing vouches for, in their order."""
    told = [(part, found) for part in page for text in part.texts for found in numbers(text)]
    return [
        found for part, found in told if not (is_vouched(found, part, page) or is_quoted(found))
    ]


def is_covered(found: Found, phrase: str) -> bool:
    """Whether a phrase stands around a number."""
    starts = (match.start() for match in re.finditer(re.escape(phrase), found.text))
    return any(start <= found.start and found.end <= start + len(phrase) for start in starts)
