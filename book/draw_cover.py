"""Draw the picture of the cover page and of the README: where MobileNetV3-Large spends its work.

    python book/draw_cover.py

Writes cover-light.svg and cover-dark.svg into book/_static/, the same bytes on every run.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from mnv3lib import count, create_model
from mnv3lib.files import write_atomically
from mnv3lib.plotting import TwinFigure, twin

STATIC = Path(__file__).resolve().parent / "_static"
ALT = (
    "MobileNetV3-Large row by row: bars of multiply-adds from the 224 pixel image to the classes, "
    "tallest at 14 pixels, most of the deep ones with squeeze-and-excite."
)


def cover() -> TwinFigure:
    """Count the rows of MobileNetV3-Large and draw them as bars under their image size."""
    model = create_model("mobilenet_v3_large")
    rows = count(model).rows
    squeezed = np.array([getattr(row, "se", False) for row in model.spec.rows])
    millions = np.array([row.macs / 1e6 for row in rows])
    sizes = [row.output_shape[1] if len(row.output_shape) == 3 else 1 for row in rows]

    def draw(ax: Axes) -> None:
        places = np.arange(len(rows))
        for chosen, label in ((~squeezed, "plain"), (squeezed, "with squeeze-and-excite")):
            hatch = "//" if chosen is squeezed else None
            edge = ax.get_xaxis().label.get_color() if hatch else "none"
            ax.bar(places[chosen], millions[chosen], label=label, hatch=hatch, edgecolor=edge)
        for size in dict.fromkeys(sizes):
            first, last = sizes.index(size), len(sizes) - 1 - sizes[::-1].index(size)
            ax.axvline(last + 0.5, color="C5", linewidth=0.8)
            ax.text((first + last) / 2, 33.5, f"{size} px", ha="center", color="C5", fontsize=11)
        ax.set(xlim=(-0.7, len(rows) - 0.5), ylim=(0, 36))
        ax.set(xlabel="row of the paper's table", ylabel="million multiply-adds")
        ax.set_xticks(places[::3])
        ax.set_yticks(range(0, 31, 10))
        ax.grid(visible=False, axis="x")
        ax.legend(loc="upper left", bbox_to_anchor=(0.2, 0.9))

    return twin(draw, alt=ALT, size=(7.0, 3.4))


def main() -> None:
    figure = cover()
    write_atomically(STATIC / "cover-light.svg", figure.light.encode())
    write_atomically(STATIC / "cover-dark.svg", figure.dark.encode())
    print(f"wrote {STATIC.name}/cover-light.svg and cover-dark.svg\n{figure}")


if __name__ == "__main__":
    main()
