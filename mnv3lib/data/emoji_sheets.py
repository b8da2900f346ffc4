"""The emoji data set on disk: sheets of 64 px tiles, an index, checksums, and the two splits.

One sheet (a sprite atlas, lossless WebP with alpha) holds one Unicode subgroup drawn in one
style, eight tiles a row, in Unicode's order; every style has the same emoji at the same places,
so that one row of ``index.csv`` finds an emoji in all of them. ``SHA256SUMS`` is written in the
form that ``sha256sum --check`` reads, and every file is held against it when it is read.

Described on the book's data card; written by :mod:`mnv3lib.data.build_emoji`.
"""

import csv
import hashlib
import io
import re
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from PIL import Image

from mnv3lib.paths import data_root

__all__ = [
    "COLUMNS",
    "STYLES",
    "TEST_STYLE",
    "TILE_PX",
    "Emoji",
    "arrange",
    "emoji_root",
    "held_out_codepoints",
    "index_text",
    "read_checked",
    "read_index",
    "read_sheet",
    "sheet_name",
]

STYLES = ("noto", "twemoji", "openmoji", "fluent-flat", "fluent-3d")
TEST_STYLE = "openmoji"  # the designer whom the split by style keeps for the test
TILE_PX = 64
COLUMNS = 8
TEST_SHARE = 0.2
_RESTORE = (
    "restore it with `git checkout -- data/emoji`, or build it again with "
    "`python -m mnv3lib.data.build_emoji`"
)


@dataclass(frozen=True)
class Emoji:
    """One row of the index.

    Attributes:
        subgroup: Unicode's subgroup, the class: ``animal-mammal``.
        position: Place in each style's sheet, row by row from 0.
        emoji: The character.
        codepoint: Its code point in hexadecimal: ``1F436``.
        name: Unicode's name in lower case: ``dog face``.
    """

    subgroup: str
    position: int
    emoji: str
    codepoint: str
    name: str


def sheet_name(style: str, subgroup: str) -> str:
    """Path of a sheet below the data set's folder.

    Example:
        >>> sheet_name("noto", "sky & weather")
        'noto/sky-weather.webp'
    """
    return f"{style}/{re.sub(r'[^a-z0-9]+', '-', subgroup.lower())}.webp"


def emoji_root(root: str | Path | None = None) -> Path:
    """The folder of the data set: ``root``, or the one that travels with the package."""
    return data_root() / "emoji" if root is None else Path(root)


def read_checked(root: Path, name: str) -> bytes:
    """Reads a file of the data set and holds it against ``SHA256SUMS``.

    Args:
        root: Folder of the data set.
        name: Path below it.

    Returns:
        The file's content.

    Raises:
        FileNotFoundError: The file or the list of checksums is missing.
        ValueError: The list does not name the file, or its content is not what was recorded.
    """
    sums = _read(root, "SHA256SUMS").decode()
    recorded = {line[66:]: line[:64] for line in sums.splitlines()}
    if name not in recorded:
        raise ValueError(f"{root / 'SHA256SUMS'} has no line for {name}; {_RESTORE}")
    content = _read(root, name)
    found = hashlib.sha256(content).hexdigest()
    if found != recorded[name]:
        raise ValueError(
            f"{root / name} is damaged or changed: its SHA-256 is {found[:12]}..., "
            f"SHA256SUMS says {recorded[name][:12]}...; {_RESTORE}"
        )
    return content


def _read(root: Path, name: str) -> bytes:
    try:
        return (root / name).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"the emoji data set lacks {root / name}; {_RESTORE}") from None


def index_text(emoji: list[Emoji]) -> str:
    """The index as the text of ``index.csv``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Emoji)])
    writer.writerows(astuple(row) for row in emoji)
    return text.getvalue()


def read_index(root: str | Path | None = None) -> list[Emoji]:
    """Reads ``index.csv``, sorted by subgroup and position; errors as :func:`read_checked`."""
    rows = csv.DictReader(io.StringIO(read_checked(emoji_root(root), "index.csv").decode()))
    return [Emoji(**{**row, "position": int(row["position"])}) for row in rows]


def arrange(tiles: np.ndarray) -> Image.Image:
    """Lays tiles out as a sheet, row by row; free places at the end stay transparent.

    Args:
        tiles: uint8 RGBA, (N, side, side, 4).

    Returns:
        A picture of :data:`COLUMNS` tiles a row.
    """
    count, side = tiles.shape[:2]
    rows = -(-count // COLUMNS)
    padded = np.zeros((rows * COLUMNS, side, side, 4), np.uint8)
    padded[:count] = tiles
    grid = padded.reshape(rows, COLUMNS, side, side, 4).swapaxes(1, 2)  # rows, side, columns, side
    return Image.fromarray(np.ascontiguousarray(grid.reshape(rows * side, COLUMNS * side, 4)))


def read_sheet(style: str, subgroup: str, count: int, root: str | Path | None = None) -> np.ndarray:
    """Reads the tiles of one subgroup in one style.

    Args:
        style: One of :data:`STYLES`.
        subgroup: A subgroup of the index.
        count: Emoji of this subgroup in the index.
        root: Folder of the data set; the embedded one when not given.

    Returns:
        uint8 RGBA, (count, 64, 64, 4).

    Raises:
        FileNotFoundError: No such sheet.
        ValueError: The sheet is damaged (:func:`read_checked`).
    """
    content = read_checked(emoji_root(root), sheet_name(style, subgroup))
    sheet = np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))
    rows = sheet.shape[0] // TILE_PX
    grid = sheet.reshape(rows, TILE_PX, COLUMNS, TILE_PX, 4).swapaxes(1, 2)
    return grid.reshape(-1, TILE_PX, TILE_PX, 4)[:count].copy()


def held_out_codepoints(emoji: list[Emoji]) -> frozenset[str]:
    """Code points that the split by concept keeps for the test: a fifth of every subgroup.

    Within a subgroup the emoji are ordered by the SHA-256 of their code point and the first
    fifth is taken. The choice depends on nothing else, neither on a seed nor on other classes.
    """
    taken: set[str] = set()
    for subgroup in {row.subgroup for row in emoji}:
        points = [row.codepoint for row in emoji if row.subgroup == subgroup]
        points.sort(key=lambda point: hashlib.sha256(point.encode()).hexdigest())
        taken.update(points[: round(TEST_SHARE * len(points))])
    return frozenset(taken)
