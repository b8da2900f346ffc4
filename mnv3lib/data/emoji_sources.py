"""Where the emoji data set comes from: packages, artists, licences, and the classes taken.

Facts only; :mod:`mnv3lib.data.build_emoji` reads them to draw the sheets and to write
``LICENSES.md``. The book's data card prints them as tables.
"""

from dataclasses import dataclass

__all__ = ["CLASSES", "MIT_TEXT", "SOURCES", "Source", "licenses_text"]

# Unicode subgroups with twelve or more emoji that are one code point each and drawn in all five
# styles. Left out although large: flags, symbols and people (skin tones and gender variants);
# hearts, clock faces, envelopes and books (one drawing recoloured or turned, so that the split by
# concept would ask little); `event`, `game`, `place-other` and `emotion` (nothing seen in common).
CLASSES = (
    "animal-bird",
    "animal-bug",
    "animal-mammal",
    "animal-marine",
    "clothing",
    "computer",
    "drink",
    "face-concerned",
    "face-smiling",
    "food-asian",
    "food-fruit",
    "food-prepared",
    "food-sweet",
    "food-vegetable",
    "household",
    "light & video",
    "office",
    "place-building",
    "plant-flower",
    "plant-other",
    "sky & weather",
    "sport",
    "tool",
    "transport-air",
    "transport-ground",
)


@dataclass(frozen=True)
class Source:
    """One style: the package that carries it and what its licence asks for.

    Attributes:
        style: Folder of its sheets.
        package: npm package.
        version: Version that was used.
        pictures: Path of a picture in the package, with ``{code}`` for the code point.
        art: Name of the emoji design.
        author: Who drew it.
        licence: SPDX name.
        licence_link: The licence's text.
        link: Home of the design.
    """

    style: str
    package: str
    version: str
    pictures: str
    art: str
    author: str
    licence: str
    licence_link: str
    link: str


_CC = "https://creativecommons.org/licenses/"
_FLUENT = "https://github.com/microsoft/fluentui-emoji"
SOURCES = (
    Source(
        "noto",
        "emoji-datasource-google",
        "16.0.0",
        "img/google/64/{code}.png",
        "Noto Emoji",
        "Google Inc.",
        "Apache-2.0",
        "LICENSE-APACHE-2.0.txt",
        "https://github.com/googlefonts/noto-emoji",
    ),
    Source(
        "twemoji",
        "emoji-datasource-twitter",
        "16.0.0",
        "img/twitter/64/{code}.png",
        "Twemoji",
        "Twitter, Inc. and other contributors",
        "CC-BY-4.0",
        f"{_CC}by/4.0/",
        "https://github.com/jdecked/twemoji",
    ),
    Source(
        "openmoji",
        "openmoji",
        "17.0.0",
        "color/svg/{CODE}.svg",
        "OpenMoji",
        "the OpenMoji project, HfG Schwäbisch Gmünd",
        "CC-BY-SA-4.0",
        f"{_CC}by-sa/4.0/",
        "https://openmoji.org",
    ),
    Source(
        "fluent-flat",
        "@lobehub/fluent-emoji-flat",
        "1.1.0",
        "assets/{code}.svg",
        "Fluent Emoji, flat",
        "Microsoft Corporation (packaged by LobeHub)",
        "MIT",
        "#mit",
        _FLUENT,
    ),
    Source(
        "fluent-3d",
        "@lobehub/fluent-emoji-3d",
        "1.1.0",
        "assets/{code}.webp",
        "Fluent Emoji, 3D",
        "Microsoft Corporation (packaged by LobeHub)",
        "MIT",
        "#mit",
        _FLUENT,
    ),
)

MIT_TEXT = """\
Copyright (c) Microsoft Corporation (Fluent Emoji).
Copyright (c) 2023 LobeHub (packages of Fluent Emoji).
Copyright (c) 2013 Cal Henderson (emoji-datasource: names and subgroups).

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def licenses_text() -> str:
    """The text of ``LICENSES.md``: who drew what, under which licence, and what was changed."""
    rows = "\n".join(
        f"| `{s.style}/` | [{s.art}]({s.link}) | {s.author} | [{s.licence}]({s.licence_link}) "
        f"| {s.package} {s.version} |"
        for s in SOURCES
    )
    return f"""\
# Licences of the emoji data set

The sheets of each folder stay under the licence of the design that they show, not under that of
the code around them.

| folder | design | by | licence | npm package |
| --- | --- | --- | --- | --- |
{rows}

Changes: each picture was brought to 64 x 64 pixels where it had another size, fully transparent
pixels were set to zero, and the pictures were laid out in sheets.

**OpenMoji is share-alike.** The sheets in `openmoji/` are adaptations of OpenMoji and are
themselves under CC BY-SA 4.0. Whoever publishes pictures made from them, composited images and
scenes among them, must name OpenMoji and use that licence (or a compatible one) for these
pictures. Attribution: all emojis designed by OpenMoji, the open-source emoji and icon project.
License: CC BY-SA 4.0.

Names, groups and subgroups in `index.csv` are those of the Unicode Consortium, as
emoji-datasource 16.0.0 (Cal Henderson, MIT) lists them.

## MIT

{MIT_TEXT}"""
