"""The calculator page counts what mnv3lib.count counts, and bears what is typed into it."""

import functools
import math
import random
from dataclasses import replace

import pytest

from browsing import nothing_in, opened
from mnv3lib import count, create_model
from mnv3lib.models import model_spec
from mnv3lib.models.rows import BneckRow, ConvRow, DenseRow, NetworkSpec, PoolRow

pytestmark = pytest.mark.book

LARGE, SMALL = "mobilenet_v3_large", "mobilenet_v3_small"
PUBLISHED = {"large": LARGE, "small": SMALL}
RANDOM_DESIGNS = 36
MOST_STRIDES = 144  # of all rows together: images of that size are quickly followed through
WORDS = {True: "se", False: "no", "hard_swish": "hs", "relu": "re"}

# Runs in the page: what a reader sees of each row, and in total.
READ = """() => {
  const number = (cell) => Number(cell.innerText.replaceAll(",", ""));
  const rows = [...document.querySelectorAll(".calculator-rows tbody tr")].map(({ cells }) => ({
    shape: cells[8].innerText.trim(), params: number(cells[9]), macs: number(cells[10]),
  }));
  const total = (kind) => [...document.getElementById(`calculator-total-${kind}`).cells];
  const [params, macs] = ["params", "macs"].map((kind) => total(kind).slice(1, 3).map(number));
  return { rows, params, macs };
}"""


@functools.cache
def counted(rows, width=1.0, resolution=224):
    """What the page should show, from the network itself; strides beyond 32 stay strides."""
    strides = math.prod(getattr(row, "stride", 1) for row in rows)
    spec = NetworkSpec("mobilenet_v3", rows, "a test", output_stride=max(32, strides))
    network = create_model(spec, width_mult=width, num_classes=rows[-1].out)
    found = count(network, resolution)
    lines = [
        {"shape": shape_text(row.output_shape), "params": row.params, "macs": row.macs}
        for row in found.rows
    ]
    return lines, found.params, found.macs


def shape_text(shape):
    return f"{shape[1]}² × {shape[0]}" if len(shape) == 3 else f"{shape[0]:,}"


def address(network, rows, width=1.0, resolution=224):
    """The fragment that stands for a design."""

    def code(row):
        match row:
            case ConvRow():
                return "c", (row.kernel, row.out, row.act, row.stride)
            case BneckRow():
                return "b", (row.kernel, row.exp, row.out, row.se, row.act, row.stride)
            case PoolRow():
                return "p", ()
            case DenseRow():
                return "d", (row.out, *([row.act] if row.act else []))

    def word(value):
        return WORDS[value] if isinstance(value, bool | str) else str(value)

    coded = [kind + "-".join(map(word, values)) for kind, values in map(code, rows)]
    return "#design-" + "_".join([f"{network}-{width}-{resolution}", *coded])


def random_design(seed):
    """A table with rows removed, added and changed, a width and a resolution."""
    draw = random.Random(seed)
    network = draw.choice(list(PUBLISHED))
    stem, *blocks, last, pool, hidden, classes = model_spec(PUBLISHED[network]).rows
    kept = [row for row in blocks if draw.random() < 0.5] or blocks[:1]
    added = [replace(draw.choice(kept), stride=1) for _ in range(draw.randint(0, 3))]
    for row in added:
        kept.insert(draw.randint(0, len(kept)), row)
    rows, channels, strides = [stem], stem.out, stem.stride
    for row in kept:
        changed = changed_block(row, channels, draw)
        if strides * changed.stride > MOST_STRIDES:
            changed = replace(changed, stride=1)
        rows.append(changed)
        channels, strides = changed.out, strides * changed.stride
    rows += [replace(last, kernel=draw.choice((1, 1, 3)), out=draw.randint(1, 400)), pool]
    rows += [replace(hidden, out=draw.randint(1, 600)), replace(classes, out=draw.randint(1, 200))]
    width = draw.choice((1.0, 0.35, 0.5, 0.75, 1.25, round(draw.uniform(0.1, 1.6), 3)))
    return network, rows, width, max(strides, draw.randint(24, MOST_STRIDES))


def changed_block(row, channels, draw):
    """A block with some of its fields drawn anew; often without an expansion."""
    return BneckRow(
        kernel=draw.choice((row.kernel, 1, 3, 5, 7)),
        exp=draw.choice((row.exp, channels, draw.randint(1, 300))),
        out=draw.choice((row.out, channels, draw.randint(1, 120))),
        se=draw.random() < 0.5,
        act=draw.choice(("relu", "hard_swish")),
        stride=draw.choice((row.stride, 1, 1, 2, 3)),
    )


@pytest.fixture(scope="module")
def calculator(contexts, server):
    """The page, open during all tests of a process that need no other one."""
    with opened(contexts["desktop"], server) as (page, complaints):
        page.goto(f"{server}/book/calculator.html", wait_until="load")
        yield page
        nothing_in(complaints)


@pytest.fixture
def fresh(calculator):
    """The page as it is first seen: Large as published."""
    calculator.get_by_label("start from").select_option("MobileNetV3-Large")
    calculator.get_by_role("button", name="Reset").click()
    return calculator


def go(page, fragment):
    """Follow a link to a design on the open page."""
    page.evaluate(
        """(fragment) => new Promise((done) => {
          addEventListener("hashchange", () => done(), { once: true });
          if (location.hash === fragment) done();
          location.hash = fragment;
        })""",
        fragment,
    )


def differences(page, rows, width=1.0, resolution=224):
    """Where the page and mnv3lib do not say the same."""
    seen = page.evaluate(READ)
    lines, params, macs = counted(tuple(rows), width, resolution)
    pairs = enumerate(zip(seen["rows"], lines, strict=True), start=1)
    wrong = [f"row {row}: {ours} for {true}" for row, (ours, true) in pairs if ours != true]
    totals = (seen["params"][0], seen["macs"][0])
    return wrong + ([] if totals == (params, macs) else [f"total: {totals} for {params, macs}"])


@pytest.mark.parametrize(
    ("network", "params", "macs"),
    [("large", 5_483_032, 216_589_760), ("small", 2_542_856, 56_510_400)],
)
def test_published_networks(fresh, network, params, macs):
    fresh.get_by_label("start from").select_option(network)
    rows = model_spec(PUBLISHED[network]).rows
    assert differences(fresh, rows) == []
    seen = fresh.evaluate(READ)
    assert seen["params"] == [params, params]
    assert seen["macs"] == [macs, macs]


@pytest.mark.parametrize("seed", range(RANDOM_DESIGNS))
def test_random_designs(calculator, seed):
    network, rows, width, resolution = random_design(seed)
    go(calculator, address(network, rows, width, resolution))
    assert differences(calculator, rows, width, resolution) == []
    inputs = calculator.evaluate(
        """() => Counting.count(Address.decode(location.hash, ["large", "small"]))
          .rows.map((row) => row.inputShape)"""
    )
    outputs = calculator.evaluate(
        """() => Counting.count(Address.decode(location.hash, ["large", "small"]))
          .rows.map((row) => row.outputShape)"""
    )
    assert inputs == [[3, resolution, resolution], *outputs[:-1]]


def type_into(page, label, text):
    """Replace what a field holds, key by key."""
    page.get_by_label(label, exact=True).press("ControlOrMeta+a")
    page.keyboard.press("Delete")
    page.keyboard.type(text)


def test_typed_row(fresh):
    type_into(fresh, "Row 5: kernel", "7")
    type_into(fresh, "Row 5: expansion", "24")  # as its input: no first convolution
    type_into(fresh, "Row 9: output channels", "100")
    rows = list(model_spec(LARGE).rows)
    rows[4] = replace(rows[4], kernel=7, exp=24)
    rows[8] = replace(rows[8], out=100)
    assert differences(fresh, rows) == []


def test_typed_scale(fresh):
    fresh.get_by_label("start from").select_option("MobileNetV3-Small")
    type_into(fresh, "width multiplier", "0.35")
    type_into(fresh, "resolution, pixels", "160")
    type_into(fresh, "Row 1: output channels", "20")
    rows = list(model_spec(SMALL).rows)
    rows[0] = replace(rows[0], out=20)
    assert differences(fresh, rows, 0.35, 160) == []
    theirs = count(create_model(SMALL))
    seen = fresh.evaluate(READ)
    assert (seen["params"][1], seen["macs"][1]) == (theirs.params, theirs.macs)


def test_keyboard_alone(fresh):
    fresh.get_by_label("Row 4: kernel", exact=True).focus()
    fresh.keyboard.press("ArrowUp")  # from 3 to the next odd number
    fresh.get_by_label("Row 4: squeeze-and-excite", exact=True).press("Space")
    fresh.get_by_role("button", name="Remove row 7").press("Enter")
    fresh.keyboard.press("Shift+Tab")  # from the button that took its place to the one before it
    fresh.keyboard.press("Enter")
    rows = list(model_spec(LARGE).rows)
    rows[3] = replace(rows[3], kernel=5, se=True)
    del rows[6]
    rows.insert(7, replace(rows[6], stride=1))
    assert fresh.evaluate("document.activeElement.id") == "calculator-8-kernel"
    assert differences(fresh, rows) == []


@pytest.mark.parametrize(
    ("label", "text", "words"),
    [
        ("Row 5: kernel", "4", "odd"),
        ("Row 5: kernel", "13", "up to 11"),
        ("Row 5: expansion", "0", "At least 1"),
        ("Row 5: expansion", "2.5", "whole number"),
        ("Row 1: output channels", "", "A number is needed"),
        ("Row 3: stride", "0", "At least 1"),
        ("Row 2: stride", "8", "leaves nothing"),
        ("Row 20: output channels", "-3", "At least 1"),
        ("width multiplier", "0", "At least 0.1"),
        ("resolution, pixels", "31", "leaves nothing"),
    ],
)
def test_what_cannot_be_counted_is_told(fresh, label, text, words):
    before = fresh.evaluate(READ)
    field = fresh.get_by_label(label, exact=True)
    valid = field.input_value()
    field.fill(text)
    problem = fresh.locator(f"#{field.get_attribute('aria-describedby')}")
    assert words in problem.inner_text()
    assert f"Counted with {valid}" in problem.inner_text()
    assert field.get_attribute("aria-invalid") == "true"
    assert fresh.evaluate(READ) == before
    field.fill(valid)
    assert problem.inner_text() == ""
    assert field.get_attribute("aria-invalid") is None


def test_a_draft_counts_as_soon_as_it_fits(fresh):
    type_into(fresh, "Row 2: stride", "8")  # 256 in all, of 224 pixels
    type_into(fresh, "resolution, pixels", "256")
    rows = list(model_spec(LARGE).rows)
    rows[1] = replace(rows[1], stride=8)
    assert differences(fresh, rows, resolution=256) == []
    assert fresh.locator("[aria-invalid]").count() == 0


def test_a_link_shares_a_design(contexts, server, fresh):
    type_into(fresh, "Row 3: stride", "1")
    type_into(fresh, "width multiplier", "0.75")
    rows = list(model_spec(LARGE).rows)
    rows[2] = replace(rows[2], stride=1)
    fragment = address("large", rows, 0.75)
    fresh.wait_for_function("(expected) => location.hash === expected", arg=fragment)
    with opened(contexts["phone"], server) as (other, complaints):
        other.goto(fresh.url)
        assert differences(other, rows, 0.75) == []
        nothing_in(complaints)
    fresh.get_by_role("button", name="Reset").click()
    fresh.wait_for_function("() => location.hash === ''")
    assert differences(fresh, model_spec(LARGE).rows) == []


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (("large", "huge"), "no network"),
        (("_p_", "_"), "no table"),
        (("c3-", "c4-"), "odd"),
        (("-no-", "-maybe-"), "maybe"),
        (("-224_", "-20_"), "leaves nothing"),
    ],
)
def test_a_damaged_link_is_told(fresh, damage, words):
    go(fresh, address("large", model_spec(LARGE).rows).replace(*damage))
    assert words in fresh.get_by_role("status").inner_text()
    assert differences(fresh, model_spec(LARGE).rows) == []


def test_the_largest_design_stays_exact(calculator):
    """At the limits of all fields, a sum is still a whole number that JavaScript holds exactly."""
    exact = calculator.evaluate(
        """() => {
          const most = (name) => Counting.LIMITS[name].most;
          const [kernel, exp, out, features] = ["kernel", "exp", "out", "features"].map(most);
          const conv = { kind: "conv", kernel, out, act: "relu", stride: 1 };
          const block = { kind: "bneck", kernel, exp, out, se: true, act: "relu", stride: 1 };
          const blocks = Array.from({ length: most("blocks") }, (_, index) =>
            index % 2 ? block : { ...block, out: 1 });  // a wide ratio of expansion to input
          const rows = [conv, ...blocks, conv, { kind: "pool" },
            { kind: "dense", out: features }, { kind: "dense", out: features }];
          const [width, resolution] = ["width", "resolution"].map(most);
          const { params, macs } = Counting.count({ width, resolution, rows });
          return [params, macs].every(Number.isSafeInteger);
        }"""
    )
    assert exact


def test_without_scripts_the_page_says_what_it_would_show(browser, server):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{server}/book/calculator.html")
    assert "With scripts switched on" in page.locator("#calculator-page").inner_text()
    context.close()
