"""Start a chapter: copy the template under the next free number and enter it in every list.

    make new-chapter NAME=my_topic                 # in the last numbered part of the book
    make new-chapter NAME=my_topic PART=Tasks      # at the end of another one

The page is the template with labels and a title of its own, so it builds, runs and passes the
tests at once. A box at its head says that it is a draft; as long as it stands there, the tests ask
neither for a chapter's length nor for the sources of its numbers. The lists are the table of
contents, the table of chapters in README.md and the start page. Either all of the files are written
or none.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import nbformat
from execute import clean, stored

from mnv3lib.files import write_atomically

ROOT = Path(__file__).resolve().parent.parent
NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
HEAD = """\
(ch-{label})=
# {title}

{promise}

:::{{admonition}} A draft
:class: draft
`make new-chapter` has copied this page from {{ref}}`template`, and the words are still its own. \
Take this box away when the chapter is written: then the tests hold it to {{ref}}`style`.
:::"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make new-chapter", description="Start a chapter.")
    parser.add_argument("name", help="NAME=my_topic: small letters, digits and underscores")
    parser.add_argument("part", nargs="?", default="", help="PART=Tasks: a numbered part")
    chosen = parser.parse_args(arguments)
    try:
        page = start_chapter(ROOT, chosen.name, chosen.part)
    except (ValueError, OSError) as error:
        print(f"new-chapter: {error}", file=sys.stderr)
        return 2
    print(f"{page} is there, and in _toc.yml, README.md and book/index.md.")
    print("Write it as the book's style page says, run `make notebooks`, then `make test`.")
    return 0


def start_chapter(root: Path, name: str, part: str = "") -> str:
    """Write the page of a new chapter and enter it in every list.

    Args:
        root: The repository.
        name: What the chapter is about, in snake_case.
        part: Caption of its part in the table of contents; the last numbered one if empty.

    Returns:
        The page's file, relative to the root.

    Raises:
        ValueError: The name or the part cannot be taken; nothing is written.
        OSError: A file cannot be written; the others are as they were.
    """
    check_name(root, name)
    number = 1 + max(int(path.name[:2]) for path in (root / "book").glob("[0-9][0-9]_*.ipynb"))
    page, title = f"book/{number:02}_{name}", name.replace("_", " ").capitalize()
    label = name.replace("_", "-")
    toc, readme, start = (
        (root / file).read_text(encoding="utf-8")
        for file in ("_toc.yml", "README.md", "book/index.md")
    )
    part = check_part(toc, part)
    row = f"| {number} | [{title}]({page}.ipynb) | (a draft) |"
    point = f"{number}. {{ref}}`ch-{label}`: (a draft)"
    write_all(
        {
            root / f"{page}.ipynb": draft(root / "book" / "template.ipynb", label, title),
            root / "_toc.yml": after_last(
                toc, rf"  - caption: {re.escape(part)}", r"      - file: ", f"      - file: {page}"
            ),
            root / "README.md": after_last(readme, "## Chapters", r"\| \d+ \| ", row),
            root / "book" / "index.md": renumbered(
                after_last(start, rf"\*\*{re.escape(part)}\*\*", r"\d+\. ", point)
            ),
        }
    )
    return f"{page}.ipynb"


def check_name(root: Path, name: str) -> None:
    """Raise ValueError if a chapter cannot have this name."""
    advice = "say for example make new-chapter NAME=my_topic"
    if not name:
        raise ValueError(f"NAME is empty: {advice}")
    if not NAME.fullmatch(name):
        raise ValueError(f"NAME={name!r} is not small letters, digits and underscores: {advice}")
    label = f"(ch-{name.replace('_', '-')})="
    for path in sorted((root / "book").glob("*.*")):
        taken = path.suffix in (".ipynb", ".md") and (
            re.sub(r"^\d\d_", "", path.stem) == name or label in path.read_text(encoding="utf-8")
        )
        if taken:
            raise ValueError(f"NAME={name!r} is taken by book/{path.name}: choose another name")


def check_part(toc: str, part: str) -> str:
    """The caption of the part that is meant; ValueError if it is none of the numbered ones."""
    parts = re.findall(r"^  - caption: (.+)\n    numbered: true$", toc, re.MULTILINE)
    if not parts:
        raise ValueError("no numbered part in _toc.yml: enter the chapter there by hand")
    if part and part not in parts:
        raise ValueError(f"PART={part!r} is no part of the book: choose one of {', '.join(parts)}")
    return part or parts[-1]


def draft(template: Path, label: str, title: str) -> bytes:
    """The template as a notebook of its own: labels and title are the chapter's."""
    notebook = nbformat.read(template, as_version=4)
    promise = notebook.cells[0].source.split("\n\n")[1]
    cells = json.dumps(notebook.cells).replace("-template-", f"-{label}-")
    notebook.cells = nbformat.from_dict(json.loads(cells))
    notebook.cells[0].source = HEAD.format(label=label, title=title, promise=promise)
    return stored(clean(notebook))


def after_last(text: str, section: str, item: str, line: str) -> bytes:
    """A text with a line more, behind the last item of the list under a heading.

    Args:
        text: The whole file.
        section: Pattern of the heading, a line of its own.
        item: Pattern of how the lines of the list begin.
        line: The new one.

    Raises:
        ValueError: There is no such list.
    """
    heading = re.search(rf"^{section}$", text, re.MULTILINE)
    start = heading.end() if heading else len(text)
    rows = re.compile(rf"(?:.*\n)*?(?:{item}.*\n)+", re.MULTILINE).match(text, start)
    if rows is None:
        raise ValueError(f"no list under {section!r}: enter the chapter there by hand")
    return f"{text[: rows.end()]}{line}\n{text[rows.end() :]}".encode()


def renumbered(page: bytes) -> bytes:
    """The start page with its chapters counted through."""
    numbers = iter(range(1, 100))
    return re.sub(
        rb"^\d+(?=\. \{ref\}`ch-)", lambda _: str(next(numbers)).encode(), page, flags=re.MULTILINE
    )


def write_all(files: dict[Path, bytes]) -> None:
    """Write all files, or none where one fails."""
    before = {path: path.read_bytes() if path.exists() else None for path in files}
    try:
        for path, content in files.items():
            write_atomically(path, content)
    except BaseException:
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            elif path.read_bytes() != content:
                write_atomically(path, content)
        raise


if __name__ == "__main__":
    sys.exit(main())
