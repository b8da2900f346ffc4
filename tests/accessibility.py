"""Looks at an open page with axe-core, as its rules for WCAG 2 at level A and AA ask."""

from axe_playwright_python.sync_playwright import Axe

AXE = Axe()
RULES = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
CONTRAST = "color-contrast"
SHOWN_ELEMENTS = 3
# Marks elements of text alone that are styled as one before: words of highlighted code, cells of
# tables. Their contrast is the same, and to measure it thousands of times takes most of the time.
MARK_ALIKE = """() => {
  const paths = new Map([[document.documentElement, ""]]);
  const seen = new Set();
  for (const element of document.body.querySelectorAll("*")) {
    const above = paths.get(element.parentElement) ?? "";
    const styled = ["class", "style"].map((name) => element.getAttribute(name) ?? "").join(";");
    const path = `${above}>${element.localName};${styled}`;
    paths.set(element, path);
    if (!element.childElementCount && seen.has(path)) element.dataset.alike = "";
    seen.add(path);
  }
}"""


def barriers(page) -> list[str]:
    """What keeps somebody from using an open page, one complaint a rule; contrast is not asked."""
    return _violations(page, None, {"runOnly": RULES, "rules": {CONTRAST: {"enabled": False}}})


def pale_texts(page) -> list[str]:
    """A complaint where texts of an open page are too pale in the theme that it shows."""
    page.evaluate(MARK_ALIKE)
    asked = {"runOnly": {"type": "rule", "values": [CONTRAST]}}
    return _violations(page, {"exclude": [["[data-alike]"]]}, asked)


def _violations(page, context: dict | None, options: dict) -> list[str]:
    # Preloading would fetch the style sheets that others import, from addresses it gets wrong.
    always = {"resultTypes": ["violations"], "iframes": False, "preload": False}
    found = AXE.run(page, context=context, options=always | options).response["violations"]
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
