"""Rules for notebooks: what a stored one may hold, and the rhythm of a chapter.

The limits come from measuring books that read well: short code cells, prose before code, a page
for one sitting.
"""

import json
import re
import statistics
from pathlib import Path

import pytest

from page_parts import is_draft

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "book").rglob("*.ipynb"))
CHAPTERS = [name for name in NOTEBOOKS if re.match(r"\d\d_", Path(name).name)]


def cells(notebook: str) -> list[dict]:
    """The cells of a notebook."""
    return json.loads((ROOT / notebook).read_text(encoding="utf-8"))["cells"]


def source(cell: dict) -> str:
    """The text of a cell, which files keep as one string or as a list of lines."""
    return "".join(cell["source"])


def tags(cell: dict) -> set[str]:
    """The tags of a cell."""
    return set(cell["metadata"].get("tags", ()))


def outputs(notebook: str) -> list[dict]:
    """All outputs of a notebook."""
    return [output for cell in cells(notebook) for output in cell.get("outputs", ())]


def pages_in_toc() -> set[str]:
    """Every file that _toc.yml names, without suffix."""
    return set(
        re.findall(r"(?:file|root): *(\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8"))
    )


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_notebook_is_in_the_table_of_contents(notebook):
    assert notebook.removesuffix(".ipynb") in pages_in_toc()


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_notebook_stores_text_and_nothing_else(notebook):
    for output in outputs(notebook):
        assert output["output_type"] != "error", f"an error is stored: {output.get('evalue')}"
        assert output.get("name") != "stderr", f"stderr is stored: {output.get('text')}"
        images = [kind for kind in output.get("data", {}) if kind.startswith("image/")]
        assert images == [], "pictures are stored; the build draws them"


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_notebook_was_executed_in_order(notebook):
    ran = [cell for cell in cells(notebook) if cell["cell_type"] == "code" and source(cell).strip()]
    assert [cell["execution_count"] for cell in ran] == list(range(1, len(ran) + 1))


# --- rhythm of the chapters --------------------------------------------------------------------

HIDDEN = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
NOT_PROSE = re.compile(
    "|".join(
        [
            r"<!--.*?-->",
            r"\$\$.*?\$\$",
            r"^(`{3,}|:{3,})(\{[\w-]+\})?",  # the fence of a box; its title is prose
            r"^:[\w-]+:[^\n]*$",  # an option of a box
            r"^\([\w-]+\)=$",  # a label
            r"^\|[-:| ]+\|$",  # the rule under a table's head
        ]
    ),
    re.DOTALL | re.MULTILINE,
)


def prose(cell: dict) -> list[str]:
    """The words of a text cell that a reader reads: no markup of boxes, no formulas."""
    text = re.sub(r"\]\([^)]*\)", "]", NOT_PROSE.sub(" ", source(cell)))
    return re.findall(r"\S*\w\S*", text)


def shown(notebook: str) -> list[dict]:
    """The cells whose source a reader sees, in order."""
    return [cell for cell in cells(notebook) if not tags(cell) & HIDDEN]


def code_lengths(notebook: str) -> list[int]:
    """Lines of each code cell that is shown, without blank ones."""
    codes = [source(cell) for cell in shown(notebook) if cell["cell_type"] == "code"]
    return [sum(bool(line.strip()) for line in code.splitlines()) for code in codes]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_fits_one_sitting(chapter):
    words = sum(len(prose(cell)) for cell in cells(chapter) if cell["cell_type"] == "markdown")
    least = 0 if is_draft(cells(chapter)) else 1500
    assert least <= words <= 3000, f"{words} words"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_has_short_code_cells(chapter):
    lengths = code_lengths(chapter)
    assert statistics.median(lengths) <= 8, f"lines a cell: {lengths}"
    long = [length for length in lengths if length > 22]
    assert len(long) <= len(lengths) / 10, f"lines a cell: {lengths}"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_speaks_before_it_computes(chapter):
    kinds = "".join(cell["cell_type"][0] for cell in shown(chapter))  # "m" or "c", a cell each
    before = [kinds[i - 1] for i in range(1, len(kinds)) if kinds[i] == "c"]
    assert before.count("m") >= 0.85 * len(before), f"cells: {kinds}"
    assert "ccc" not in kinds, f"more than two code cells in a row: {kinds}"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_computes_early(chapter):
    words = 0
    for cell in shown(chapter):
        if cell["cell_type"] == "code":
            break
        words += len(prose(cell))
    assert words <= 600, f"{words} words before the first code"
