"""Sphinx extension of the book: chapters list what they import, the reference says which do.

Both follow from the imports in the chapters' code cells, so that a new chapter needs no list. A
chapter, which is a numbered notebook, ends with a folded box. On the API pages a line under each
module, function and class names the chapters whose code shows it. A constant without a description
of its own leads to its module.
"""

import ast
import functools
import json
import re
from collections import defaultdict
from collections.abc import Container
from importlib import import_module
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import desc, desc_signature, index
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

from chapters import chapters
from public_names import defining_name, public_modules

TITLE = "Functions of this page"
INTRODUCTION = "What the code of this page imports from the package, each name a link."
COMMAND = re.compile(r"^( *)[%!].*", re.MULTILINE)  # of the notebook, not of Python
PAGE_TOOLS = {"mnv3lib.book", "mnv3lib.exercises", "mnv3lib.plotting"}  # on every page
FEW = 3  # so many chapters are named by their titles


@functools.cache
def imported(notebook: Path) -> tuple[str, ...]:
    """Dotted names that the code cells of a notebook import from mnv3lib, each once."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    trees = [ast.parse(COMMAND.sub(r"\1pass", source)) for source in sources]
    imports = [n for tree in trees for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    ours = [node for node in imports if (node.module or "").split(".")[0] == "mnv3lib"]
    return tuple(dict.fromkeys(f"{node.module}.{a.name}" for node in ours for a in node.names))


def exporters(room: str, name: str) -> list[str]:
    """The modules of a room that export a name; none for a module, which has no rooms in it."""
    if not hasattr(import_module(room), "__path__"):
        return []
    modules = [f"{room}.{module}" for module in public_modules(room)]
    return [m for m in modules if name in getattr(import_module(m), "__all__", ())]


def description(name: str, described: Container[str]) -> str | None:
    """The name under which the reference describes an import: its own, or else its module's."""
    full = defining_name(name) or name
    if full in described:
        return full
    room, _, short = name.rpartition(".")
    return next((module for module in [*exporters(room, short), room] if module in described), None)


def listed(parts: list[nodes.Node], last: str = ", ") -> list[nodes.Node]:
    """Parts of a sentence with commas between them, and another word before the last."""
    gaps = [", "] * (len(parts) - 2) + [last] * (len(parts) > 1) + ["."]
    return [node for part, gap in zip(parts, gaps, strict=True) for node in (part, nodes.Text(gap))]


def folded(title: str, *content: nodes.Node) -> nodes.admonition:
    """A folded box."""
    heading = nodes.title(text=title)
    return nodes.admonition("", heading, *content, classes=["dropdown", "functions"])


def end_of_text(parent: nodes.Element, start: int) -> int:
    """Where the text of a module ends among its siblings: before descriptions and sections."""
    ends = (desc, nodes.section, nodes.target)
    at = next((i for i in range(start, len(parent)) if isinstance(parent[i], ends)), len(parent))
    return at - 1 if at < len(parent) and isinstance(parent[at - 1], index) else at


class ShowImports(SphinxPostTransform):
    """Adds the box to chapters and the lines to API pages."""

    default_priority = 100
    formats = ("html",)

    def run(self, **options: object) -> None:
        """Add what belongs on the page at hand."""
        self.objects = self.env.get_domain("py").objects
        self.chapters = chapters(self.env)
        if self.env.docname in self.chapters:
            self.add_box()
        elif any(entry.docname == self.env.docname for entry in self.objects.values()):
            self.add_lines()

    def imports(self, chapter: str) -> dict[str, str]:
        """Each name that a chapter imports, and what describes it."""
        names = imported(Path(self.env.doc2path(chapter)))
        found = {name: description(name, self.objects) for name in names}
        return {name: full for name, full in found.items() if full}

    def module(self, full: str) -> str:
        """The module of what is described."""
        return full if self.objects[full].objtype == "module" else full.rpartition(".")[0]

    def refer(self, page: str, anchor: str, content: nodes.Node) -> nodes.reference:
        """A link from the page at hand."""
        return make_refnode(self.app.builder, self.env.docname, page, anchor, content)

    def name(self, full: str, text: str) -> nodes.reference:
        """A link to a description."""
        entry = self.objects[full]
        return self.refer(entry.docname, entry.node_id, nodes.literal(text=text))

    def add_box(self) -> None:
        """End a chapter with a folded list of what it imports, a line for each module."""
        names = defaultdict(list)
        for name, full in self.imports(self.env.docname).items():
            names[self.module(full)].append(self.name(full, name.rpartition(".")[2]))
        lines = [
            nodes.paragraph("", "", self.name(module, module), nodes.Text(": "), *listed(found))
            for module, found in sorted(names.items())
            if module not in PAGE_TOOLS
        ]
        if lines:
            items = nodes.bullet_list("", *(nodes.list_item("", line) for line in lines))
            page = self.document[-1]
            after = int("provenance" in page[-1].get("classes", ()))  # that box comes last of all
            page.insert(len(page) - after, folded(TITLE, nodes.paragraph(text=INTRODUCTION), items))

    def add_lines(self) -> None:
        """Name the chapters under the descriptions of an API page."""
        showing = defaultdict(dict)  # the chapters of each name: a dictionary as an ordered set
        for chapter in self.chapters:
            for full in self.imports(chapter).values():
                showing[full][chapter] = showing[self.module(full)][chapter] = None
        here = self.env.docname
        anchors = {e.node_id: full for full, e in self.objects.items() if e.docname == here}
        for node in list(self.document.findall(nodes.Element)):
            for full in filter(showing.get, map(anchors.get, node.get("ids", ()))):
                self.place(node, self.line(list(showing[full])))

    def place(self, node: nodes.Element, line: nodes.paragraph) -> None:
        """Put a line below the text of a description, of a section or of a module without one."""
        if isinstance(node, desc_signature):
            content = node.parent[-1]
            rest = (i for i, n in enumerate(content) if not isinstance(n, nodes.paragraph))
            content.insert(next(rest, len(content)), line)
        elif isinstance(node, nodes.section):
            node.insert(end_of_text(node, 2), line)
        else:
            node.parent.insert(end_of_text(node.parent, node.parent.index(node) + 1), line)

    def line(self, shown_in: list[str]) -> nodes.paragraph:
        """Name chapters: a few by their titles, many by their numbers."""
        few = len(shown_in) <= FEW
        texts = [
            f"chapter {self.chapters[name]}, {self.env.titles[name].astext()}"
            if few
            else str(self.chapters[name])
            for name in shown_in
        ]
        links = [
            self.refer(name, "", nodes.inline(text=text))
            for name, text in zip(shown_in, texts, strict=True)
        ]
        start = nodes.Text("Shown in " if few else "Shown in chapters ")
        return nodes.paragraph("", "", start, *listed(links, " and "), classes=["shown-in"])


def reread(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Where a chapter changed, read the API pages again, which name it."""
    described = {entry.docname for entry in env.get_domain("py").objects.values()}
    if chapters(env).keys() & set(docnames):
        docnames += sorted(described & env.found_docs - set(docnames))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_post_transform(ShowImports)
    app.connect("env-before-read-docs", reread)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
