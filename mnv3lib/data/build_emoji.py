"""Builds the embedded emoji data set from unpacked npm packages, bit for bit the same each time.

    python -m mnv3lib.data.build_emoji --packages DIR

``DIR`` holds the five packages of :data:`mnv3lib.data.emoji_sources.SOURCES`, each unpacked into
a folder of its name (``@lobehub/fluent-emoji-3d`` into ``fluent-emoji-3d``); ``npm pack NAME``
fetches one. SVG is rendered by resvg at 64 pixels, larger pictures are reduced with premultiplied
alpha. The tiles depend on nothing else; the bytes of the WebP files also on the version of Pillow,
which constraints.txt pins.

Described on the book's data card.
"""

import argparse
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mnv3lib.data.emoji_sheets import TILE_PX, Emoji, arrange, emoji_root, index_text, sheet_name
from mnv3lib.data.emoji_sources import CLASSES, SOURCES, Source, licenses_text

__all__ = ["build", "main"]

_APACHE = "LICENSE-APACHE-2.0.txt"
_JOINERS = ("FE0F",)  # asks for the coloured form; not part of what an emoji is


def package_folder(packages: Path, source: Source) -> Path:
    """Folder of a package, after a look at its version.

    Raises:
        FileNotFoundError: The package is not there.
        ValueError: It has another version than the data set was made from.
    """
    folder = packages / source.package.split("/")[-1]
    manifest = folder / "package.json"
    if not manifest.is_file():
        raise FileNotFoundError(
            f"no {manifest}; fetch it with `npm pack {source.package}@{source.version}` "
            f"and unpack it to {folder}"
        )
    version = json.loads(manifest.read_text(encoding="utf-8"))["version"]
    if version != source.version:
        raise ValueError(f"{source.package} is version {version}, expected {source.version}")
    return folder


def find_picture(folder: Path, source: Source, unified: str) -> Path | None:
    """The picture of an emoji in a package, with or without the variation selector."""
    for code in (unified, unified.removesuffix("-FE0F")):
        path = folder / source.pictures.format(code=code.lower(), CODE=code)
        if path.is_file():
            return path
    return None


def _render_svg(path: Path) -> Image.Image:
    try:
        from resvg_py import svg_to_bytes
    except ImportError:
        raise ImportError("rendering SVG needs resvg: pip install resvg-py") from None
    png = svg_to_bytes(svg_path=str(path), width=TILE_PX, height=TILE_PX, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(png)))


_OPEN: dict[str, Callable[[Path], Image.Image]] = {
    ".svg": _render_svg,
    ".png": Image.open,
    ".webp": Image.open,
}


def draw_tile(path: Path) -> np.ndarray:
    """Reads or renders a picture as a tile.

    Args:
        path: SVG, PNG or WebP, square.

    Returns:
        uint8 RGBA, (64, 64, 4); colour is zero where alpha is zero.
    """
    image = _OPEN[path.suffix](path).convert("RGBA")
    if image.size != (TILE_PX, TILE_PX):
        # Pillow resizes RGBA with premultiplied alpha: transparent colour does not bleed.
        image = image.resize((TILE_PX, TILE_PX), Image.Resampling.BOX)
    tile = np.array(image)
    tile[tile[..., 3] == 0] = 0
    return tile


def choose_emoji(packages: Path, classes: Sequence[str] = CLASSES) -> list[Emoji]:
    """Emoji of the classes that are one code point each and drawn in every style.

    Sequences of several code points are left out: most are variants of an emoji that is in (a
    black cat of the cat), and a variant in the training set would give the test away.
    """
    folders = {source: package_folder(packages, source) for source in SOURCES}
    table = folders[SOURCES[0]] / "emoji.json"
    entries = json.loads(table.read_text(encoding="utf-8"))
    entries.sort(key=lambda entry: (entry["subcategory"], entry["sort_order"]))
    chosen: list[Emoji] = []
    for entry in entries:
        codes = [code for code in entry["unified"].split("-") if code not in _JOINERS]
        # Where a design lacks an emoji, emoji-datasource may fall back to another's picture.
        own = entry["has_img_google"] and entry["has_img_twitter"]
        if entry["subcategory"] not in classes or len(codes) != 1 or not own:
            continue
        if all(find_picture(at, source, entry["unified"]) for source, at in folders.items()):
            place = sum(row.subgroup == entry["subcategory"] for row in chosen)
            character, name = chr(int(codes[0], 16)), entry["name"].lower()
            chosen.append(Emoji(entry["subcategory"], place, character, codes[0], name))
    return chosen


def _write_sheet(packages: Path, source: Source, rows: Sequence[Emoji], target: Path) -> None:
    folder = package_folder(packages, source)
    tiles = []
    for row in rows:
        path = find_picture(folder, source, f"{row.codepoint}-FE0F")
        tiles.append(draw_tile(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    arrange(np.stack(tiles)).save(target, lossless=True, quality=80, method=5, exact=True)


def write_checksums(root: Path) -> None:
    """Writes ``SHA256SUMS`` over every other file of the data set, sorted by path."""
    files = sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and path.name != "SHA256SUMS"
    )
    lines = [f"{hashlib.sha256((root / name).read_bytes()).hexdigest()}  {name}" for name in files]
    (root / "SHA256SUMS").write_text("\n".join(lines) + "\n", encoding="utf-8")


def build(packages: Path, root: Path, classes: Sequence[str] = CLASSES) -> list[Emoji]:
    """Writes sheets, index, licences and checksums.

    Args:
        packages: Folder of the unpacked packages.
        root: Folder of the data set. Sheets in it that are not built anew are removed.
        classes: Unicode subgroups to take.

    Returns:
        The index.

    Raises:
        FileNotFoundError: A package is missing.
        ValueError: A package has another version, or a class has no emoji.
    """
    rows = choose_emoji(packages, classes)
    if empty := sorted(set(classes) - {row.subgroup for row in rows}):
        raise ValueError(f"no emoji in all styles for {', '.join(empty)}; is it a subgroup?")
    for old in root.glob("*/*.webp"):
        old.unlink()
    for source in SOURCES:
        for subgroup in sorted(classes):
            members = [row for row in rows if row.subgroup == subgroup]
            _write_sheet(packages, source, members, root / sheet_name(source.style, subgroup))
    (root / "index.csv").write_text(index_text(rows), encoding="utf-8")
    (root / "LICENSES.md").write_text(licenses_text(), encoding="utf-8")
    if not (root / _APACHE).is_file():  # no package carries it; Noto's licence asks for it
        (root / _APACHE).write_bytes((emoji_root() / _APACHE).read_bytes())
    write_checksums(root)
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; ``arguments`` are those after the module's name."""
    parser = argparse.ArgumentParser(prog="python -m mnv3lib.data.build_emoji")
    parser.add_argument("--packages", type=Path, required=True, help="unpacked npm packages")
    parser.add_argument("--root", type=Path, default=None, help="where to write")
    options = parser.parse_args(arguments)
    root = emoji_root(options.root)
    rows = build(options.packages, root)
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    print(f"{len(rows)} emoji in {len(SOURCES)} styles, {size / 1e6:.1f} MB, in {root}")


if __name__ == "__main__":
    main()
