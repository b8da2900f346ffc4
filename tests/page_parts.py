"""A page of the book cut at its headings: what each part says, and which numbers its cells hold."""

import ast
import json
import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from formulas import calculate

HEADING = re.compile(r"^#{2,} |^```\{exercise\}", re.MULTILINE)
PRINTED = re.compile(r"(?<![\w.])(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:e[+-]?\d+)?)")
DRAFT = re.compile(r"^:class: draft$", re.MULTILINE)
COMMAND = re.compile(r"^( *)%.*", re.MULTILINE)  # of the notebook, not of Python
ALL_DECIMALS = 15


@dataclass
class Part:
    """What stands under one heading.

    Attributes:
        texts: Prose: text cells, captions of figures.
        coded: Numbers that code writes, and what its arithmetic makes of them alone.
        shown: Numbers in stored outputs, each with its decimals.
    """

    texts: list[str] = field(default_factory=list)
    coded: set[float] = field(default_factory=set)
    shown: set[tuple[float, int]] = field(default_factory=set)


def literals(code: str) -> set[float]:
    """The numbers that Python writes, and those that its arithmetic makes of them alone."""
    found = map(calculate, ast.walk(ast.parse(COMMAND.sub(r"\1pass", code))))
    return {abs(number) for number in found if number is not None}


def printed(output: str) -> set[tuple[float, int]]:
    """The numbers in an output, each with its decimals."""
    return {(float(n.replace(",", "")), decimals(n)) for n in PRINTED.findall(output)}


def decimals(written: str) -> int:
    """Digits behind the decimal point; a power of ten counts as exact."""
    return ALL_DECIMALS if "e" in written else len(written.partition(".")[2])


def is_draft(cells: list[dict]) -> bool:
    """Whether a page says at its head that it is a draft, as ``make new-chapter`` leaves it."""
    return bool(cells) and bool(DRAFT.search("".join(cells[0]["source"])))


def parts_of(path: Path) -> list[Part]:
    """The parts of a notebook or of a Markdown page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return cut([{"cell_type": "markdown", "source": text}])
    return cut(json.loads(text)["cells"])


def cut(cells: list[dict]) -> list[Part]:
    """Cells, gathered under their headings."""
    parts = [Part()]
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            add_code(parts[-1], source, cell)
            continue
        edges = [*(match.start() for match in HEADING.finditer(source)), len(source)]
        if edges[0]:
            parts[-1].texts.append(source[: edges[0]])
        parts += [Part([source[start:end]]) for start, end in pairwise(edges)]
    return parts


def add_code(part: Part, source: str, cell: dict) -> None:
    """Add to a part what a code cell holds: its literals, its caption and what it prints."""
    metadata = cell.get("metadata", {})
    part.coded |= literals(source)
    if caption := metadata.get("mystnb", {}).get("figure", {}).get("caption"):
        part.texts.append(caption)
    if "nbval-ignore-output" in metadata.get("tags", ()):
        return
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        plain = [data[kind] for kind in data if kind.endswith("text/plain")]
        for text in plain or [output.get("text", "")]:
            part.shown |= printed("".join(text))
