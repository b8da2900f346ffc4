"""The look of the book's figures: one palette and one set of sizes, for light and for dark pages.

Colours keep a contrast of 3:1 to the page and stay apart under the common colour vision
deficiencies; markers and line styles differ as well, so that no curve is told by colour alone.

Explained on the book's style page.
"""

from typing import Any

import matplotlib.pyplot as plt
from cycler import cycler

__all__ = ["PALETTE", "set_style", "style"]

PALETTE: dict[str, tuple[str, ...]] = {
    "light": ("#1B81C9", "#DD6516", "#0E6141", "#AF4D88", "#745E03", "#50565E"),
    "dark": ("#57A9E4", "#F58C4E", "#5CE9BA", "#C77DA5", "#E3C53B", "#B8C0CA"),
}
_MARKERS = ("o", "s", "^", "D", "v", "P")
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
_INK = {"light": ("#1F2328", "#D5DAE0"), "dark": ("#E2E6EB", "#414A55")}  # text, grid


def style(theme: str = "light") -> dict[str, Any]:
    """Return the matplotlib settings of one theme.

    Args:
        theme: ``"light"`` or ``"dark"``.

    Returns:
        Settings for ``matplotlib.rcParams`` or ``matplotlib.rc_context``.

    Raises:
        ValueError: The theme is neither of the two.
    """
    if theme not in PALETTE:
        raise ValueError(f"unknown theme {theme!r}: expected one of {', '.join(PALETTE)}")
    ink, grid = _INK[theme]
    cycle = cycler(color=PALETTE[theme]) + cycler(marker=_MARKERS) + cycler(linestyle=_LINES)
    ink_keys = ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
    return {
        **dict.fromkeys(ink_keys, ink),
        "axes.edgecolor": ink,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.prop_cycle": cycle,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": 12,
        "figure.facecolor": "none",
        "font.size": 12,
        "grid.color": grid,
        "grid.linewidth": 0.8,
        "legend.frameon": False,
        "legend.fontsize": 11,
        "lines.linewidth": 2.0,
        "lines.markersize": 6.5,
        "savefig.facecolor": "none",
        "svg.fonttype": "path",
        "svg.hashsalt": "mnv3lib",
        "xtick.labelsize": 11,
        "ytick.labelsize": 11,
    }


def set_style(theme: str = "light") -> None:
    """Apply a theme to every later matplotlib figure of this process.

    Figures made by :func:`mnv3lib.plotting.show` need no such call.

    Args:
        theme: ``"light"`` or ``"dark"``.

    Raises:
        ValueError: The theme is neither of the two.
    """
    plt.rcParams.update(style(theme))
