"""Looks at an open page with axe-core, as its rules for WCAG 2 at level A and AA ask."""

from axe_playwright_python.sync_playwright import Axe

AXE = Axe()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
CONTRAST = ["color-contrast"]
SHOWN_ELEMENTS = 3


def barriers(page, *, only: list[str] | None = None) -> list[str]:
    """What keeps somebody from using the page, one complaint a rule, with elements it is about.

    Args:
        page: An open page of Playwright, with its theme in place.
        only: Names of rules to ask; by default all of the levels A and AA.
    """
    asked = {"type": "rule", "values": only} if only else {"type": "tag", "values": RULES}
    # Preloading would fetch the style sheets that others import, from addresses it gets wrong.
    options = {"runOnly": asked, "resultTypes": ["violations"], "iframes": False, "preload": False}
    found = AXE.run(page, options=options).response["violations"]
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
