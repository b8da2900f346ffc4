"""What pages call (glue, table) and what is done with it: rendering, mathematics, storing."""

import json
import pkgutil
import sys
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import torch
from docutils import nodes
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import mnv3lib
from mnv3lib.book import glue, table
from mnv3lib.plotting import twin
from mnv3lib.train.plan import Plan
from mnv3lib.train.recipe import Recipe

ALT = "The line rises from zero to one."


@pytest.fixture
def displayed(monkeypatch):
    """Collects what a cell displays."""
    calls = []
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: calls.append((a, k)))
    return calls


# Numbers for the prose


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (217, "217"),
        (0.5, "0.5"),
        ("one core", "'one core'"),
        (np.float64(0.25), "0.25"),
        (torch.tensor(3), "3"),
        (True, "True"),
    ],
)
def test_glue_stores_a_plain_value(displayed, value, stored):
    glue("key", value)
    ((data,), options) = displayed[0]
    assert data == {"application/papermill.record/text/plain": stored}
    assert options["metadata"]["scrapbook"]["name"] == "key"


def test_glue_writes_what_myst_nb_reads(displayed):
    from myst_nb.core.variables import format_plain_text
    from myst_nb.ext.glue import extract_glue_data_cell

    glue("macs", 216_589_760)
    ((data,), options) = displayed[0]
    cell = new_code_cell(outputs=[new_output("display_data", data, metadata=options["metadata"])])
    ((key, output),) = extract_glue_data_cell(cell)
    assert key == "macs"
    assert cell.outputs == []
    assert format_plain_text(output["data"]["text/plain"], ",") == "216,589,760"


def test_glue_does_nothing_without_the_books_tools(displayed, monkeypatch):
    monkeypatch.setattr("mnv3lib.book.find_spec", lambda name: None)
    glue("key", 1)
    assert displayed == []


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("large-macs", 1, "'large-macs' is not a name"),
        ("macs", [1], "cannot glue list under 'macs'"),
        ("macs", np.zeros(2), "cannot glue ndarray under 'macs'"),
        ("macs", torch.zeros(2, 2), "cannot glue Tensor under 'macs'"),
    ],
)
def test_glue_refuses(displayed, name, value, words):
    with pytest.raises(ValueError, match=words):
        glue(name, value)
    assert displayed == []


# Tables


def test_table_as_text_and_as_markdown():
    rows = [("stem", 464, 5.419), ("b|d", 3440, None)]
    data, metadata = table(rows, ["row", "params", "M MACs"])._repr_mimebundle_()
    assert data["text/plain"] == (
        "row   params  M MACs\n----  ------  ------\nstem     464    5.42\nb|d    3,440       –"
    )
    assert data["text/markdown"] == (
        "| row | params | M MACs |\n"
        "| :--- | ---: | ---: |\n"
        "| stem | 464 | 5.42 |\n"
        "| b\\|d | 3,440 | – |"
    )
    assert metadata == {}


def test_formats_go_by_column_and_leave_text_alone():
    shown = table(
        [(1, 0.5, "x"), (2, 0.25, "y")], list("abc"), formats=["{:03d}", "{:.0%}", "{:d}"]
    )
    assert shown.cells == (("001", "50%", "x"), ("002", "25%", "y"))


def test_truth_is_yes_or_no():
    assert table([(True,), (False,)], ["SE"]).cells == (("yes",), ("no",))


def test_caption_comes_first_and_names_the_table():
    data, metadata = table([(1,)], ["n"], caption="Rows", name="tbl-rows")._repr_mimebundle_()
    assert data["text/plain"].startswith("Rows\n")
    assert data["text/markdown"].startswith("**Rows**\n\n| n |")
    assert metadata == {"captioned_table": {"caption": "Rows", "name": "tbl-rows"}}


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (([], ["a"]), {}, "at least one row"),
        (([(1, 2)], ["a"]), {}, r"2 cells in \[1, 2\] for 1 headers"),
        (([(1,)], ["a"]), {"formats": ["", ""]}, "2 cells in"),
        (([(1,)], ["a"]), {"caption": "Rows"}, "both caption and name"),
        (([(1,)], ["a"]), {"name": "tbl-rows"}, "both caption and name"),
    ],
)
def test_table_refuses(arguments, options, words):
    with pytest.raises(ValueError, match=words):
        table(*arguments, **options)


# The renderer of the build


def mime(kind, output):
    data, metadata = output._repr_mimebundle_()
    return SimpleNamespace(mime_type=kind, content=data[kind], output_metadata=metadata)


def test_a_figure_becomes_two_images_with_alt_text():
    from mnv3lib.bookrender import BookRenderer

    files = {}

    def write_file(path, content, **_):
        files[path[0]] = content
        return "/" + path[0]

    figure = twin(lambda ax: ax.plot([0, 1], [0, 1]), alt=ALT)
    renderer = SimpleNamespace(write_file=write_file)
    (pair,) = BookRenderer.handle_mime(renderer, mime("image/png", figure), False)
    assert [image["classes"][1] for image in pair.children] == ["only-light", "only-dark"]
    assert {image["alt"] for image in pair.children} == {ALT}
    assert sorted(files.values()) == sorted([figure.light.encode(), figure.dark.encode()])


def test_other_outputs_are_left_alone():
    from mnv3lib.bookrender import BookRenderer

    figure = twin(lambda ax: ax.plot([0, 1], [0, 1]), alt=ALT)
    plain = table([(1,)], ["n"])
    assert BookRenderer.handle_mime(None, mime("text/plain", figure), False) is None
    assert BookRenderer.handle_mime(None, mime("text/markdown", plain), False) is None


def test_a_captioned_table_gets_a_title_and_a_target():
    from mnv3lib.bookrender import BookRenderer

    noted = []
    document = SimpleNamespace(note_explicit_target=lambda node, _: noted.append(node))
    renderer = SimpleNamespace(
        render_markdown=lambda data: [nodes.paragraph("", "Rows"), nodes.table()],
        renderer=SimpleNamespace(document=document),
    )
    shown = table([(1,)], ["n"], caption="Rows", name="tbl-rows")
    (node,) = BookRenderer.handle_mime(renderer, mime("text/markdown", shown), False)
    assert node.children[0].astext() == "Rows"
    assert node["names"] == ["tbl-rows"]
    assert noted == [node]


# Mathematics without scripts


@pytest.mark.parametrize(
    ("latex", "pieces"),
    [
        (r"\frac{1}{N} + \frac{1}{K^2}", ["<mfrac>", "<msup>"]),
        (r"\operatorname{ReLU6}(x + 3) / 6", ["ReLU6"]),
        (r"a \cdot b \times c", ["&#x000B7;", "&#x000D7;"]),
        (r"\text{MACs} = H W K^2", ["MACs"]),
    ],
)
def test_latex_becomes_mathml(load, latex, pieces):
    converted = load("_ext/offline").mathml(nodes.math(latex, latex), block=False)
    assert converted.startswith("<math")
    assert all(piece in converted for piece in pieces)
    assert "\\" not in converted


@pytest.mark.parametrize(
    "latex",
    [
        r"a &= b \\ &= c",
        r"\begin{aligned} a &= b \\ &= c \end{aligned}",
        r"\begin{align*} a &= b \\ &= c \end{align*}",
        r"\begin{cases} 0 & x < 0 \\ 1 & \text{else} \end{cases}",
    ],
)
def test_rows_of_a_display_are_aligned(load, latex):
    converted = load("_ext/offline").mathml(nodes.math_block(latex, latex), block=True)
    assert converted.count("<mtr>") == 2
    assert 'display="block"' in converted


@pytest.mark.parametrize(
    ("latex", "leftover"),
    [(r"\newthing x", r"\newthing"), (r"\begin{gathered} a & b \\ c \end{gathered}", "&")],
)
def test_what_does_not_convert_is_reported(load, monkeypatch, latex, leftover):
    offline, warned = load("_ext/offline"), []
    monkeypatch.setattr(offline.LOGGER, "warning", lambda *a, **k: warned.append(a[1]))
    offline.mathml(nodes.math_block("", latex), block=True)
    assert leftover in warned


# Pages for phones


def test_cells_are_marked_by_length(load):
    cells = [nodes.entry("", nodes.paragraph(text="x" * length)) for length in (24, 25, 60, 61)]
    load("_ext/offline").mark_cells(None, nodes.table("", *cells))
    assert [cell["classes"] for cell in cells] == [["short"], [], [], ["long"]]


def test_the_icon_script_is_emptied_after_a_build_only(load, tmp_path):
    script = tmp_path / "_static" / "scripts" / "fontawesome.js"
    script.parent.mkdir(parents=True)
    script.write_text("x" * 1000)
    drop, app = load("_ext/offline").drop_icon_script, SimpleNamespace(outdir=tmp_path)
    drop(app, RuntimeError("the build failed"))
    assert script.stat().st_size == 1000
    drop(app, None)
    assert script.stat().st_size < 100


# Names in the API pages


def test_exported_names_lead_to_the_defining_module(load):
    defining_name = load("_ext/public_names").defining_name
    assert defining_name("mnv3lib.ops.make_divisible") == "mnv3lib.ops.channels.make_divisible"
    assert defining_name("mnv3lib.ops.channels.make_divisible") is None
    assert defining_name("mnv3lib.ops.no_such_thing") is None
    assert defining_name("mnv3lib") is None


@pytest.mark.parametrize(
    ("target", "resolved"),
    [
        ("torch.nn.Module", "text"),
        ("collections.abc.Sequence", "text"),
        ("ValueError", "text"),
        ("mnv3lib.models.builder.Network.feature_channels", "text"),
        ("mnv3lib.ops.make_divisible", "link to mnv3lib.ops.channels.make_divisible"),
        ("make_divisible", "link to mnv3lib.ops.channels.make_divisible"),
        ("mnv3lib.ops.make_divisable", None),
        ("no_such_name", None),
    ],
)
def test_names_resolve_or_are_reported(load, target, resolved):
    domain = SimpleNamespace(resolve_xref=lambda *arguments: f"link to {arguments[4]}")
    env = SimpleNamespace(get_domain=lambda name: domain)
    scope = {"py:module": "mnv3lib.ops"}
    node = nodes.Element(reftype="func", reftarget=target, refdoc="page", refdomain="py", **scope)
    resolve = load("_ext/public_names").resolve
    assert resolve(SimpleNamespace(builder=None), env, node, "text") == resolved


def test_a_mark_becomes_a_section_for_each_public_module(load, tmp_path):
    source = ["# Bricks\n\n<!-- modules of mnv3lib.ops -->\n"]
    load("_ext/public_names").list_modules(SimpleNamespace(srcdir=tmp_path), "api", source)
    assert ".. automodule:: mnv3lib.ops.channels\n   :members:" in source[0]
    assert "<!--" not in source[0]


def test_a_second_page_takes_modules_of_a_room_by_patterns(load, tmp_path):
    public_names, app = load("_ext/public_names"), SimpleNamespace(srcdir=tmp_path)
    (tmp_path / "book" / "api").mkdir(parents=True)
    pages = [["<!-- modules of mnv3lib.ops -->\n"], ["<!-- modules of mnv3lib.ops: ch* conv -->\n"]]
    (tmp_path / "book" / "api" / "second.md").write_text(pages[1][0])
    for page in pages:
        public_names.list_modules(app, "api", page)
    first, second = (page[0].split(".. automodule:: mnv3lib.ops.")[1:] for page in pages)
    names = [part.split()[0] for part in first + second]
    assert [part.split()[0] for part in second if part.startswith("channels")] == ["channels"]
    assert sorted(names) == sorted(public_names.public_modules("mnv3lib.ops"))


def test_recipes_are_shown_without_their_constraints(load):
    shorten = load("_ext/public_names").shorten_signature
    assert shorten(None, "class", "Recipe", Recipe, None, "(*, source: str)", None) == ("", None)
    assert shorten(None, "class", "Plan", Plan, None, "(images: int)", None) is None


def test_every_room_and_module_has_an_api_page(repository):
    pages = "\n".join(path.read_text() for path in (repository / "book" / "api").glob("*.md"))
    found = [module for module in pkgutil.iter_modules(mnv3lib.__path__) if module.name[0] != "_"]
    marks = {True: "<!-- modules of mnv3lib.{} -->\n", False: ".. automodule:: mnv3lib.{}\n"}
    assert [m.name for m in found if marks[m.ispkg].format(m.name) not in pages] == []


# Storing notebooks


@pytest.fixture
def execute(load):
    return load("execute")


def notebook(*cells):
    return new_notebook(cells=list(cells))


def test_pictures_and_volatile_metadata_are_not_stored(execute):
    picture = {"image/png": "AAAA", "text/plain": f"Figure: {ALT}"}
    cell = new_code_cell("show()", metadata={"execution": {"iopub.status.busy": "now"}})
    cell.outputs = [new_output("display_data", picture, metadata={"twin_figure": {"light": "s"}})]
    stored = execute.clean(notebook(cell)).cells[0]
    assert stored.outputs[0].data == {"text/plain": f"Figure: {ALT}"}
    assert stored.outputs[0].metadata == {}
    assert stored.metadata == {}


def test_glue_and_captions_are_stored(execute):
    kept = {"scrapbook": {"name": "n", "mime_prefix": "p"}, "captioned_table": {"name": "t"}}
    cell = new_code_cell(outputs=[new_output("display_data", {"text/plain": "1"}, metadata=kept)])
    assert execute.clean(notebook(cell)).cells[0].outputs[0].metadata == kept


def test_stderr_is_refused_unless_tagged(execute):
    def cell(**metadata):
        outputs = [new_output("stream", name="stderr", text="careless")]
        return new_code_cell("warn()", outputs=outputs, metadata=metadata)

    with pytest.raises(ValueError, match="careless"):
        execute.clean(notebook(cell()))
    assert execute.clean(notebook(cell(tags=["remove-stderr"]))).cells[0].outputs == []


def test_cell_ids_follow_the_content(execute):
    def cells():
        return [new_markdown_cell("text"), new_code_cell("1 + 1"), new_code_cell("1 + 1")]

    first, second = execute.clean(notebook(*cells())), execute.clean(notebook(*cells()))
    ids = [cell.id for cell in first.cells]
    assert ids == [cell.id for cell in second.cells]
    assert ids[2] == f"{ids[1]}-2"


def test_the_stored_page_executes_to_itself(execute, tmp_path, capsys):
    path = tmp_path / "page.ipynb"
    nbformat.write(notebook(new_markdown_cell("# Page"), new_code_cell("print(6 * 7)")), path)
    assert execute.main([str(path)]) == 0
    once = path.read_bytes()
    assert execute.main([str(path)]) == 0
    assert path.read_bytes() == once
    assert json.loads(once)["cells"][1]["outputs"][0]["text"] == ["42\n"]
    assert "page.ipynb: 2 cells" in capsys.readouterr().out


def test_a_failing_page_keeps_its_stored_form(execute, tmp_path, capsys):
    path = tmp_path / "page.ipynb"
    nbformat.write(notebook(new_code_cell("1 / 0")), path)
    before = path.read_bytes()
    assert execute.main([str(path)]) == 1
    assert path.read_bytes() == before
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_page_is_named(execute, tmp_path, capsys):
    assert execute.main([str(tmp_path / "none.ipynb")]) == 1
    assert "none.ipynb" in capsys.readouterr().err


def test_the_stored_cover_is_what_the_script_draws(repository, load, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / "book"))
    try:
        figure = load("draw_cover").cover()
    finally:
        sys.modules.pop("execute", None)
    static = repository / "book" / "_static"
    assert (static / "cover-light.svg").read_text() == figure.light
    assert (static / "cover-dark.svg").read_text() == figure.dark
    assert figure.alt in (repository / "book" / "index.md").read_text()
