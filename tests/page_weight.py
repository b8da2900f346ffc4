"""What a page weighs: the bytes a reader's browser loads before any picture, read from the files.

Counted are, uncompressed as they lie in the book: the page itself, its style sheets and what those
import, its scripts, and every font in the first format that a style sheet offers, whether the page
shows a letter of it or not. Not counted are pictures, and addresses outside the book.
"""

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from html_checks import read

LIMIT_BYTES = 1_500_000
LOADED = "script[src], link[rel~=stylesheet]"
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
IMPORT = re.compile(r"@import\s+(?:url\()?[\"']?([^\"')\s;]+)")
FONT_FACE = re.compile(r"@font-face\s*\{[^}]*?url\(\s*[\"']?([^\"')]+)")


def local(base: str, target: str) -> str | None:
    """The file in the book that a target names from a page or style sheet; None outside of it."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return None
    return unquote(urlsplit(urljoin(f"/{base}", parts.path)).path).lstrip("/")


@functools.cache
def named_by_style(root: Path, name: str) -> frozenset[str]:
    """Style sheets and fonts that a style sheet loads, directly or not."""
    if not (root / name).is_file():
        return frozenset()
    text = COMMENT.sub("", (root / name).read_text(encoding="utf-8"))
    sheets = {local(name, target) for target in IMPORT.findall(text)} - {None, name}
    fonts = {local(name, target) for target in FONT_FACE.findall(text)} - {None}
    return frozenset(sheets | fonts).union(*(named_by_style(root, sheet) for sheet in sheets))


def loaded(root: Path, name: str) -> Iterator[str]:
    """Files of the book that a page loads, itself first, each once."""
    files = {name: None}
    for tag in read(root / name).soup.select(LOADED):
        file = local(name, str(tag.get("src") or tag.get("href")))
        if file is not None:
            files[file] = None
            if file.endswith(".css"):
                files.update(dict.fromkeys(sorted(named_by_style(root, file))))
    return (file for file in files if (root / file).is_file())


def weights(root: Path, name: str) -> dict[str, int]:
    """Bytes of each file that a page loads, the heaviest first."""
    sizes = {file: (root / file).stat().st_size for file in loaded(root, name)}
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def too_heavy(root: Path, name: str, limit: int = LIMIT_BYTES) -> list[str]:
    """A complaint where a page weighs more than the limit, with what weighs most."""
    sizes = weights(root, name)
    total = sum(sizes.values())
    if total <= limit:
        return []
    most = ", ".join(f"{file} {size:,}" for file, size in list(sizes.items())[:4])
    return [f"{total:,} bytes before any picture, {limit:,} are allowed: {most}"]
