"""How the built book shows what cells emit: figure twins and captioned tables.

MyST-NB asks the entry points of the group ``myst_nb.mime_renderers`` before its own renderers.
:class:`BookRenderer` answers for two kinds of output and leaves every other one alone:

* a figure of :mod:`mnv3lib.plotting` becomes two images, one for each theme, with what its points
  say beside them as data for the page's script (:mod:`mnv3lib.hover`);
* a table of :mod:`mnv3lib.book` with a caption becomes a numbered table.

Only the book's build imports this module; it needs the extra ``book``.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, ClassVar

from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer

__all__ = ["BookRenderer"]


class BookRenderer:
    """Renderer plug-in for MyST-NB, named in the package's entry points."""

    mime_priority_overrides: ClassVar[Sequence[tuple[str, str, int | None]]] = ()

    @staticmethod
    def handle_mime(
        renderer: NbElementRenderer, data: MimeData, inline: bool
    ) -> list[nodes.Element] | None:
        """Turn one part of an output into document nodes.

        Args:
            renderer: MyST-NB's renderer of the page.
            data: One MIME part of the output, with the output's metadata.
            inline: Whether the output is pasted into a sentence.

        Returns:
            The nodes, or ``None`` to let MyST-NB render the part itself.
        """
        metadata = data.output_metadata
        if data.mime_type == "image/png" and "twin_figure" in metadata:
            return _twin_images(renderer, metadata["twin_figure"])
        if data.mime_type == "text/markdown" and "captioned_table" in metadata and not inline:
            return _captioned_table(renderer, data, metadata["captioned_table"])
        return None


def _twin_images(renderer: NbElementRenderer, twin: dict[str, Any]) -> list[nodes.Element]:
    # In a container of their own: the theme hides a caption beside a picture of the other theme.
    pair = nodes.container(classes=["twin-pair"])
    for theme in ("light", "dark"):
        content = twin[theme].encode()
        name = f"{hashlib.sha256(content).hexdigest()[:16]}.svg"
        uri = renderer.write_file([name], content, overwrite=False, exists_ok=True)
        image = nodes.image(uri=uri, alt=twin["alt"], width=f"{twin['width']}px")
        image["classes"] += ["twin-figure", f"only-{theme}"]
        pair.append(image)
    if twin["points"]:
        pair.append(_point_data(twin["points"]))
    return [pair]


def _point_data(points: Sequence[Sequence[float | str]]) -> nodes.raw:
    # The class tells the book's extension that the page needs the script.
    data = json.dumps(points, ensure_ascii=False).replace("<", "\\u003c")
    html = f'<script type="application/json" class="twin-points">{data}</script>'
    return nodes.raw("", html, format="html", classes=["twin-points"])


def _captioned_table(
    renderer: NbElementRenderer, data: MimeData, about: dict[str, str]
) -> list[nodes.Element]:
    *_, table = renderer.render_markdown(data)  # before it stands the caption as a paragraph
    table.insert(0, nodes.title("", about["caption"]))
    table["names"].append(nodes.fully_normalize_name(about["name"]))
    renderer.renderer.document.note_explicit_target(table, table)
    return [table]
