"""Every number in the book's prose has a source: a cell, a formula, a cited place, or a reason.

The rules stand in ``prose_numbers.py``, the reasons in ``prose_numbers.yaml``.
"""

import json
import re

import pytest
import yaml

from conftest import REPOSITORY
from formulas import arithmetic, false_equations, values
from page_parts import Part, cut, is_draft, parts_of
from prose_numbers import is_covered, is_quoted, is_rounding, is_vouched, numbers, unexplained

# --- which numbers a text tells ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("It has 5,483,032 params and took 51.4 ms.", ["5,483,032", "51.4"]),
        ("Three rows, 12 blocks, 13 blocks.", ["13"]),  # twelve can be counted
        ("Only 5 % of 7 points in 3 ms.", ["5", "7", "3"]),  # with a unit they are measured
        ("MobileNetV3 at @16, top-1, 8-bit, version 0.1.2", []),  # parts of words
        ("Table 3, section 6.1, width 0.75, rows 13 and 14, 26 May 2021", []),  # names
        ("`x = 99`, {glue:text}`macs:.99f`, $a = 99$ and $$b = 99$$", []),
        ("The minimum is $-0.375$.", ["0.375"]),  # a number, whatever its dress
        ("(label-77)=\n:width: 672px\n[text](http://a.org/77)", []),
        (":::{admonition} Before you start\n:class: before\nReading takes 40 minutes.\n:::", []),
        ("A third of 1e-5 and 2.5e3", ["1e-5", "2.5e3"]),
        ("```bash\nmake -j 64\n```\nbut 64 here", ["64"]),
    ],
)
def test_numbers_of_a_text(text, told):
    assert [found.written for found in numbers(text)] == told


def first(text):
    """The first number of a text."""
    return next(numbers(text))


@pytest.mark.parametrize(
    ("text", "number", "decimals", "same"),
    [
        ("75.2 points", 75.2, 1, True),
        ("75.2 points", 75.24, 2, True),
        ("75.2 points", 75.26, 2, False),
        ("75.20 points", 75.2, 1, False),  # printed with less than the prose claims
        ("17 %", 0.1726, 4, True),
        ("17 seeds", 0.1726, 4, False),
        ("5.48 million", 5_483_032, 0, True),
        ("219 M", 216_589_760, 0, False),
    ],
)
def test_prose_may_round_and_scale_but_not_more(text, number, decimals, same):
    assert is_rounding(first(text), number, decimals) is same


# --- who vouches ---------------------------------------------------------------------------------


def test_long_numbers_may_be_printed_anywhere_short_ones_only_nearby():
    here, elsewhere = Part(shown={(0.5, 1)}), Part(shown={(75.2, 1), (64.0, 0)})
    page = [here, elsewhere]
    assert is_vouched(first("It reaches 75.2."), here, page)
    assert not is_vouched(first("It has 64 channels."), here, page)
    assert is_vouched(first("It has 64 channels."), elsewhere, page)


def test_code_vouches_under_its_heading_only():
    here, elsewhere = Part(coded={0.7, 128.0}), Part()
    assert is_vouched(first("an image of 128 pixels"), here, [here, elsewhere])
    assert is_vouched(first("falls to 70 %"), here, [here, elsewhere])
    assert not is_vouched(first("an image of 128 pixels"), elsewhere, [here, elsewhere])


def test_a_formula_beside_it_vouches():
    text = "V1 needs $196 \\cdot 512 \\cdot (9 + 512)$, which is 52,283,392 MACs."
    assert is_vouched(first(text), Part(), [])
    assert not is_vouched(first(text.replace("392", "393")), Part(), [])


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("It has 75.2 % ({cite:t}`a`, Table 3).", True),
        ("The abstract of {cite:t}`a` says 75.2 %.", True),
        ("The paper's Table 3 has 75.2 %.", True),
        ("It has 75.2 % {cite:p}`a`.", False),  # where in it?
        ("It has 75.2 % in Table 3.", False),  # of what?
        ("We get 75.2 %, as {cite:t}`a` in Table 3.", False),  # ours: compute it
        ("It has 75.2 %.\n\nThe paper's Table 3 has others.", False),  # another paragraph
        ("- It has 75.2 %.\n- The paper's Table 3 has others.", False),
        ("The paper's Table 3:\n\n| net | top-1 |\n| :-- | --: |\n| V3 | 75.2 |", True),
        (":::{admonition} a\n:class: paper\nIt has 75.2 %.\n\nSo {cite:p}`a`, Table 3.\n:::", True),
    ],
)
def test_a_quotation_names_source_and_place(text, quoted):
    assert is_quoted(first(text)) is quoted


def test_a_page_is_cut_at_its_headings():
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "intro\n", "## One\n", "first"]},
        {
            "cell_type": "code",
            "source": "x = 2 * 50",
            "metadata": {"mystnb": {"figure": {"caption": "A caption."}}},
            "outputs": [{"text": ["1,284 anchors, 0.25"]}, {"data": {"text/plain": "3e-5"}}],
        },
        {"cell_type": "markdown", "source": "### Two\nsecond"},
        {
            "cell_type": "code",
            "source": "run()",
            "metadata": {"tags": ["nbval-ignore-output"]},
            "outputs": [{"text": "51 ms"}],
        },
    ]
    intro, one, two = cut(cells)
    assert intro.texts == ["# Title\nintro\n"]
    assert one.texts == ["## One\nfirst", "A caption."]
    assert one.coded == {2, 50, 100}
    assert one.shown == {(1284.0, 0), (0.25, 2), (3e-5, 15)}
    assert two.shown == set()  # a time vouches for nothing


# --- formulas ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "amounts"),
    [
        (r"$9 \cdot 512 = 4{,}608$", {4608}),
        (r"$56^2 \cdot 24$", {75264}),
        (r"$\frac{0.025}{0.04}$", {0.625}),
        (r"$\sqrt{16}$ and $\ln 1$ and $\lfloor 22 / 8 \rfloor$", {4, 0, 2}),
        (r"$K^2 \cdot M$", set()),
        (r"$x = 3$", {3}),
        (r"The minimum is $-0.375$.", set()),  # or every number would vouch for itself
    ],
)
def test_values_of_formulas(formula, amounts):
    assert values(formula) == amounts


@pytest.mark.parametrize(
    ("formula", "wrong"),
    [
        (r"$1/512 + 1/9 = 0.1131$", 0),
        (r"$1/512 + 1/9 = 0.1132$", 1),
        (r"$5\,419\,008 = 56^2 \cdot 24 \cdot 72$", 0),
        (r"$16 < 0.9 \cdot 18 = 16.2$", 0),
        (r"$17 < 0.9 \cdot 18 = 16.2$", 1),
        (r"$\frac{0.025}{0.04} = 62.5\,\%$", 0),
        (r"$$3 \cdot 400 = 1200, \qquad 6 \cdot 539 = 3235.$$", 1),
        (r"$a = b = 3$", 0),
    ],
)
def test_equations_that_do_not_hold_are_found(formula, wrong):
    assert len(false_equations(formula)[0]) == wrong


# --- the book ------------------------------------------------------------------------------------


def pages():
    """Files of the pages that _toc.yml names, without the API and without drafts."""
    listed = (REPOSITORY / "_toc.yml").read_text(encoding="utf-8")
    for name in re.findall(r"(?:file|root): *(\S+)", listed):
        path = next(p for s in (".ipynb", ".md") if (p := REPOSITORY / f"{name}{s}").is_file())
        draft = path.suffix == ".ipynb" and is_draft(json.loads(path.read_text())["cells"])
        if not (name.startswith("book/api/") or draft):
            yield path


PAGES = {path.stem: path for path in pages()}
REASONS = yaml.safe_load((REPOSITORY / "tests" / "prose_numbers.yaml").read_text(encoding="utf-8"))
EVERYWHERE = "everywhere"
SUMS = [
    (page, phrase, reason.removeprefix("="))
    for page, phrases in REASONS.items()
    for phrase, reason in phrases.items()
    if reason.startswith("=")
]


@pytest.fixture(scope="module")
def open_numbers():
    """Numbers that need a reason, by page."""
    return {name: unexplained(parts_of(path)) for name, path in PAGES.items()}


@pytest.mark.parametrize("page", PAGES)
def test_every_number_has_a_source(page, open_numbers):
    phrases = [*REASONS[EVERYWHERE], *REASONS.get(page, ())]
    lost = [n for n in open_numbers[page] if not any(is_covered(n, p) for p in phrases)]
    assert [str(number) for number in lost] == [], "glue it, cite it with its place, or say why"


def test_every_reason_is_needed(open_numbers):
    everything = [number for numbers in open_numbers.values() for number in numbers]
    needed_by = {**open_numbers, EVERYWHERE: everything}
    idle = [
        f"{page}: {phrase}"
        for page, phrases in REASONS.items()
        for phrase in phrases
        if not any(is_covered(number, phrase) for number in needed_by[page])
    ]
    assert idle == []


@pytest.mark.parametrize(("page", "phrase", "sum_"), SUMS, ids=[f"{p}-{s}" for p, s, _ in SUMS])
def test_sums_behind_reasons_are_right(page, phrase, sum_, open_numbers):
    pages = PAGES if page == EVERYWHERE else [page]
    covered = [n for name in pages for n in open_numbers[name] if is_covered(n, phrase)]
    result = arithmetic(sum_)
    assert result is not None, "not arithmetic"
    assert [str(n) for n in covered if not is_rounding(n, result, 15)] == []


@pytest.mark.parametrize("page", PAGES)
def test_no_formula_is_false(page):
    assert [
        w for part in parts_of(PAGES[page]) for t in part.texts for w in false_equations(t)[0]
    ] == []


def test_formulas_are_read_at_all():
    texts = [t for path in PAGES.values() for part in parts_of(path) for t in part.texts]
    assert sum(false_equations(text)[1] for text in texts) >= 50
