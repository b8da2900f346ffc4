"""Execute notebooks of the book and store them as this repository keeps them.

    python book/execute.py                       # every notebook in book/
    python book/execute.py book/04_hard_swish.ipynb

Each notebook runs top to bottom in a fresh kernel, in the folder book/. What is stored: text
outputs, tables and glued numbers. What is left out: pictures (the build draws them) and whatever
changes from run to run (times, random cell ids, versions), so that a diff shows what changed in
the page. A cell that fails, or that writes to stderr without the tag `remove-stderr`, stops the
run and leaves the stored file as it was.
"""

import argparse
import hashlib
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from mnv3lib.files import write_atomically

BOOK = Path(__file__).resolve().parent
TIMEOUT_S = 120  # a cell; the same limit as in _config.yml
KEPT_METADATA = ("scrapbook", "captioned_table")
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Execute notebooks and store their text outputs.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of book/*.ipynb")
    paths = parser.parse_args(arguments).notebooks or sorted(BOOK.glob("*.ipynb"))
    failed = [path for path in paths if not store(path)]
    if failed:
        print("not stored: " + ", ".join(path.name for path in failed), file=sys.stderr)
    return 1 if failed else 0


def store(path: Path) -> bool:
    """Execute one notebook and write it back; report and return False where it fails."""
    start = time.perf_counter()
    try:
        notebook = clean(execute(path))
    except (CellExecutionError, FileNotFoundError, ValueError) as error:
        print(f"\n{path.name}: {error}", file=sys.stderr)
        return False
    write_atomically(path, stored(notebook))
    print(f"\r{path.name}: {len(notebook.cells)} cells, {time.perf_counter() - start:.0f} s")
    return True


def execute(path: Path) -> NotebookNode:
    """Run all cells of a notebook in a fresh kernel, with progress on one line."""
    notebook = nbformat.read(path, as_version=4)
    total = len(notebook.cells)

    def report(cell: NotebookNode, cell_index: int, **_: object) -> None:
        print(f"\r{path.name}: cell {cell_index + 1} of {total}", end="", flush=True)

    client = NotebookClient(
        notebook,
        timeout=TIMEOUT_S,
        kernel_name=KERNEL["name"],
        resources={"metadata": {"path": str(path.resolve().parent)}},
        on_cell_executed=report,
        record_timing=False,
    )
    client.execute()
    return notebook


def stored(notebook: NotebookNode) -> bytes:
    """The file that a notebook becomes."""
    return (nbformat.writes(notebook).rstrip("\n") + "\n").encode()


def clean(notebook: NotebookNode) -> NotebookNode:
    """Leave out of an executed notebook what must not be stored.

    Raises:
        ValueError: A cell wrote to stderr and does not carry the tag ``remove-stderr``.
    """
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        if cell.cell_type == "code":
            clean_code_cell(cell)
    notebook.nbformat_minor = 5
    nbformat.validate(notebook)
    return notebook


def clean_code_cell(cell: NotebookNode) -> None:
    """Drop pictures, stderr and volatile metadata of one cell's outputs."""
    tags = cell.metadata.get("tags", [])
    cell.metadata.pop("execution", None)
    kept = []
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stderr":
            if "remove-stderr" not in tags:
                raise ValueError(f"a cell wrote to stderr:\n{cell.source}\n---\n{output.text}")
            continue
        if "data" in output:
            output.data = {k: v for k, v in output.data.items() if not k.startswith("image/")}
            output.metadata = {k: v for k, v in output.metadata.items() if k in KEPT_METADATA}
        kept.append(output)
    cell.outputs = kept


if __name__ == "__main__":
    sys.exit(main())
