"""Looks at an open page with axe-core, as its rules for WCAG 2 at level A and AA ask."""

from axe_playwright_python.sync_playwright import Axe

AXE = Axe()
RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
CONTRAST = {"type": "rule", "values": ["color-contrast"]}
SHOWN_ELEMENTS = 3
# Autodoc writes the entries of a reference page alike: three of each kind stand for hundreds, at
# which a look would take half a minute. The others leave the page, as axe-core walks all there is.
THIN_OUT = """() => {
  const seen = new Map();
  for (const entry of document.querySelectorAll("dl.py")) {
    seen.set(entry.className, (seen.get(entry.className) ?? 0) + 1);
    if (seen.get(entry.className) > 3) entry.remove();
  }
}"""
# Marks elements of text alone that are styled as one before: words of highlighted code, cells of
# tables. Their contrast is the same, and no other rule asks about them.
MARK_ALIKE = """() => {
  const plain = "span, p, td, code, b, em, i, strong";
  const paths = new Map([[document.documentElement, ""]]);
  const seen = new Set();
  for (const element of document.body.querySelectorAll("*")) {
    const above = paths.get(element.parentElement) ?? "";
    const styled = ["class", "style"].map((name) => element.getAttribute(name) ?? "").join(";");
    const path = `${above}>${element.localName};${styled}`;
    paths.set(element, path);
    if (element.childElementCount || !element.matches(plain)) continue;
    if (seen.has(path)) element.dataset.alike = "";
    seen.add(path);
  }
}"""


def barriers(page) -> list[str]:
    """What keeps somebody from using an open page in its theme, one complaint a rule.

    A reference page is thinned out by that: look at its whole before.
    """
    return _violations(page, RULES)


def pale_texts(page) -> list[str]:
    """A complaint where texts of an open page are too pale in its theme."""
    return _violations(page, CONTRAST)


def _violations(page, asked: dict) -> list[str]:
    page.evaluate(THIN_OUT)
    page.evaluate(MARK_ALIKE)
    # Preloading would fetch the style sheets that others import, from addresses it gets wrong.
    options = {"resultTypes": ["violations"], "iframes": False, "preload": False, "runOnly": asked}
    context = {"exclude": [["[data-alike]"]]}
    found = AXE.run(page, context=context, options=options).response["violations"]
    return [_in_words(violation) for violation in found]


def _in_words(violation: dict) -> str:
    elements = violation["nodes"]
    shown = "; ".join(
        f"{' '.join(map(str, element['target']))} ({_reason(element)})"
        for element in elements[:SHOWN_ELEMENTS]
    )
    return f"{violation['id']} on {len(elements)} elements: {violation['help']}: {shown}"


def _reason(element: dict) -> str:
    checks = element["any"] + element["all"] + element["none"]
    return checks[0]["message"] if checks else element["html"][:80]
