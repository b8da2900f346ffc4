"""Sphinx extension of the book: a name that a room exports links to where it is documented.

Pages and docstrings write ``mnv3lib.ops.hard_swish``, as readers import it; the API page documents
it once, in the module that defines it. This resolves the one to the other.
"""

from importlib import import_module

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def defining_name(target: str) -> str | None:
    """Return ``module.name`` of the module that defines an exported object, if it is ours."""
    module, _, name = target.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (AttributeError, ImportError, ValueError):
        return None
    home = getattr(found, "__module__", None)
    return f"{home}.{name}" if home and home != module else None


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or not target.startswith("mnv3lib."):
        return None
    actual = defining_name(target)
    if actual is None:
        return None
    domain = env.get_domain("py")
    return domain.resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], actual, node, content
    )


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
