"""Sphinx extension of the book: the API pages list every module, and names lead where they should.

A page with the line ``<!-- modules of mnv3lib.ops -->`` gets a section for each public module of
that room, so that a new module needs no new page. Where a room is too large for one page, another
page takes some of its modules by patterns, ``<!-- modules of mnv3lib.search: twist_* tuning -->``,
and leaves the rest to the page whose line has none. A name that a room exports links to the module
that documents it. A name of Python or of another library is plain text, since their pages are on
the network; a name that does not exist anywhere stays a warning, and the strict build stops.
"""

import pkgutil
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

MARK = re.compile(r"^<!-- modules of (mnv3lib[.\w]*)(?:: ([\w* ]+))? -->$", re.MULTILINE)
API = "book/api"
SECTION = """\
## `{name}`

```{{eval-rst}}
.. automodule:: {room}.{name}
   :members:
```
"""


@cache
def public_modules(room: str) -> list[str]:
    """Names of the modules of a room, without those that start with an underscore."""
    found = pkgutil.iter_modules(find_spec(room).submodule_search_locations)
    names = [m.name for m in found if not m.ispkg and not m.name.startswith("_")]
    for name in names:
        # Before autodoc does it with TYPE_CHECKING set, under which pydantic's classes stay undone.
        import_module(f"{room}.{name}")
    return names


def taken(folder: Path, room: str) -> Iterator[str]:
    """Patterns of the modules of a room that pages of a folder take by name."""
    for page in sorted(folder.glob("*.md")):
        for mark in MARK.finditer(page.read_text(encoding="utf-8")):
            if mark[1] == room:
                yield from (mark[2] or "").split()


def list_modules(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put a section for each module where the page has the mark of its room."""

    def sections(mark: re.Match[str]) -> str:
        room, own = mark[1], (mark[2] or "").split()
        patterns = own or list(taken(Path(app.srcdir) / API, room))
        names = [
            name
            for name in public_modules(room)
            if any(fnmatch(name, pattern) for pattern in patterns) == bool(own)
        ]
        return "\n".join(SECTION.format(room=room, name=name) for name in names)

    source[0] = MARK.sub(sections, source[0])


def import_rooms(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Import what pages describe now, before several processes read them and each would do so."""
    for docname in docnames:
        if docname.startswith(API):
            text = Path(env.doc2path(docname)).read_text(encoding="utf-8")
            for mark in MARK.finditer(text):
                public_modules(mark[1])


def find(name: str) -> Any:
    """Import whatever a dotted name stands for; raise LookupError if there is no such thing."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            thing = import_module(".".join(parts[:cut]))
            for part in parts[cut:]:
                # An attribute that only instances have stands in the docstring of the class.
                told = re.search(rf"\n +{part}:", getattr(thing, "__doc__", None) or "")
                thing = thing if told and not hasattr(thing, part) else getattr(thing, part)
        except (AttributeError, ImportError, ValueError):
            continue
        return thing
    raise LookupError(name)


def defining_name(target: str) -> str | None:
    """Return ``module.name`` of the module that defines an object exported elsewhere."""
    module, _, name = target.rpartition(".")
    try:
        home = getattr(find(target), "__module__", None)
    except LookupError:
        return None
    return f"{home}.{name}" if home and not module.startswith(home) else None


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.Element | None:
    """Link our names to where they are documented; leave foreign ones as text."""
    if node.get("refdomain") != "py":
        return None
    target = node.get("reftarget", "")
    scope = [node.get("py:module"), node.get("py:class")]
    candidates = [target, f"builtins.{target}"]
    candidates += [".".join([*filter(None, scope[:depth]), target]) for depth in (1, 2)]
    for name in candidates:
        documented = defining_name(name) if name.startswith("mnv3lib.") else None
        if documented:
            arguments = (node["refdoc"], app.builder, node["reftype"], documented, node, content)
            return env.get_domain("py").resolve_xref(env, *arguments) or content
        try:
            find(name)
        except LookupError:
            continue
        return content
    return None


def shorten_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """Leave out the signature of a pydantic class: it spells out every constraint of every field.

    The class docstring lists the fields.
    """
    return ("", returns) if what == "class" and hasattr(obj, "model_fields") else None


def skip_settings(
    app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out pydantic's own settings of a class."""
    return True if name == "model_config" else None


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("env-before-read-docs", import_rooms, priority=900)  # when all are listed
    app.connect("source-read", list_modules)
    app.connect("missing-reference", resolve)
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("autodoc-skip-member", skip_settings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
