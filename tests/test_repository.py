"""Rules that the repository sets itself: files, versions, the cut of the package, the README."""

import ast
import doctest
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent

# --- what may be committed ---------------------------------------------------------------------

# Paths of the machines that build this and hosts of package registries, put together from parts
# so that this file does not hold them itself.
FOLDERS = ("work", "root", "home", "Users", "farm", "opt", "tmp")
HOSTS = (("pypi", "org"), ("files", "pythonhosted"), ("registry", "npmjs"), ("deb", "debian"))
MACHINE_TRACE = re.compile(
    "|".join(
        # "me" is nobody: the owner of paths in examples.
        [rf"(?<![\w.~/)}}-])/{folder}/(?!me/)\w" for folder in FOLDERS]
        + [r"\.".join(parts) for parts in HOSTS]
    )
)


def tracked_files() -> list[str]:
    """Files of the repository as git lists them; none outside of a git checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    return sorted(filter(None, listed.stdout.split("\0")))


def test_no_machine_paths_or_registry_hosts():
    files = [ROOT / name for name in tracked_files()]
    if not files:
        pytest.skip("not a git checkout: nothing says which files belong to the repository")
    found = []
    for file in filter(Path.is_file, files):
        text = file.read_bytes().decode("utf-8", errors="ignore")
        for number, line in enumerate(text.splitlines(), start=1):
            if match := MACHINE_TRACE.search(line):
                found.append(f"{file.relative_to(ROOT)}:{number}: {match[0]}")
    assert found == []


def test_machine_trace_knows_what_it_looks_for():
    trace = "/".join(["", "home", "someone", "book"])
    assert MACHINE_TRACE.search(f"File {trace}")
    assert MACHINE_TRACE.search(".".join(["https://files", "pythonhosted", "org"]))
    assert not MACHINE_TRACE.search("https://example.org" + trace)
    assert not MACHINE_TRACE.search("../shared/data and " + "/".join(["book", "work", "x"]))


def test_large_files_are_not_committed():
    big = [n for n in tracked_files() if (ROOT / n).is_file() and (ROOT / n).stat().st_size > 3e6]
    assert big == []


def test_everything_in_data_is_documented():
    documented = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    entries = {Path(name).parts[1] for name in tracked_files() if name.startswith("data/")}
    assert [
        entry for entry in sorted(entries - {"README.md"}) if f"`{entry}" not in documented
    ] == []


# --- versions ----------------------------------------------------------------------------------


def project() -> dict:
    """The [project] table of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins() -> dict[str, str]:
    """Name and version of every line of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    rows = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in rows}


def requirements() -> list[Requirement]:
    """What the package and its extras ask for directly."""
    groups = [project()["dependencies"], *project()["optional-dependencies"].values()]
    return [Requirement(row) for rows in groups for row in rows]


def test_every_import_is_declared():
    declared = {canonicalize_name(requirement.name) for requirement in requirements()}
    providers = packages_distributions()
    scripts = [path.relative_to(ROOT).as_posix() for path in (ROOT / "book").rglob("*.py")]
    known = {*sys.stdlib_module_names, "mnv3lib", *(Path(script).stem for script in scripts)}
    for file in MODULES + scripts:
        for name in {dotted.split(".")[0] for dotted in imports(file)}:
            if name not in known:
                found = set(map(canonicalize_name, providers.get(name, [name])))
                assert found & declared, (
                    f"{file} imports {name}, which pyproject.toml does not name"
                )


def test_constraints_pin_every_dependency():
    for requirement in requirements():
        version = pins().get(canonicalize_name(requirement.name))
        assert version, f"constraints.txt does not pin {requirement.name}"
        assert requirement.specifier.contains(version), f"{requirement} does not allow {version}"


def test_constraints_are_sorted():
    names = list(pins())
    assert names == sorted(names, key=canonicalize_name)


def test_conda_environment_installs_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    (pip,) = [row["pip"] for row in environment["dependencies"] if isinstance(row, dict)]
    assert pip == ["-c constraints.txt", "-e .[book,test,deploy,train,ray]"]
    assert ".[book,test,deploy,train,ray]" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_binder_installs_the_tested_versions_for_cpus():
    script = ROOT / "binder" / "postBuild"
    assert os.access(script, os.X_OK), "Binder runs it only if it is executable"
    command = " ".join(script.read_text(encoding="utf-8").replace("\\\n", "").split())
    assert "--constraint constraints.txt" in command
    assert "--torch-backend cpu" in command
    (extras,) = re.findall(r'--editable "\.\[([\w,]+)\]"', command)
    assert (
        {"book", "deploy", "train"} == {*extras.split(",")} <= {*project()["optional-dependencies"]}
    )
    environment = yaml.safe_load((ROOT / "binder" / "environment.yml").read_text(encoding="utf-8"))
    assert {"python=3.11", "uv"} <= {*environment["dependencies"]}


# --- the package -------------------------------------------------------------------------------

MODULES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "mnv3lib").rglob("*.py"))
MAX_MODULE_LINES = 250
# Ground floor first: a room imports only from rooms before it. What is not listed is the roof.
ROOMS = (
    "paths",
    "files",
    "names",
    "executors",
    "ops",
    "models",
    "heads",
    "measure",
    "runs",
    "recorder",
    "data",
    "train",
    "search",
    "compress",
    "ledger",
)


def syntax(module: str) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse((ROOT / module).read_text(encoding="utf-8"))


def imports(module: str) -> list[str]:
    """Every module that a module imports, at its top or later."""
    found = []
    for node in ast.walk(syntax(module)):
        if isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return found


def room(dotted: str) -> str:
    """The room of a module: the first name after the package's."""
    return dotted.split(".")[1] if "." in dotted else ""


@pytest.mark.parametrize("module", MODULES)
def test_module_says_what_it_is_for_and_what_it_offers(module):
    tree = syntax(module)
    assert ast.get_docstring(tree), "no docstring"
    names = [
        t.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for t in node.targets
        if isinstance(t, ast.Name)
    ]
    assert "__all__" in names, "no __all__"


@pytest.mark.parametrize("module", MODULES)
def test_module_holds_one_idea(module):
    lines = len((ROOT / module).read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_MODULE_LINES, f"{lines} lines: there are two ideas in it"


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_from_lower_rooms_only(module):
    own = room(module.removesuffix(".py").replace("/", "."))
    if own not in ROOMS:
        return  # the roof: plotting, exercises, the command, the book's helpers
    allowed = {*ROOMS[: ROOMS.index(own) + 1]}
    for name in imports(module):
        if name.split(".")[0] == "mnv3lib":
            assert room(name) in allowed, f"{own} must not import {name}"


def test_no_module_branches_on_the_name_of_a_network():
    """What a network can do is asked of its rows; what it is called may choose a table's line."""
    from mnv3lib.models import list_models, model_spec

    names = {*list_models(), *(model_spec(name).family for name in list_models())}
    asked = [
        f"{module}:{node.lineno}"
        for module in MODULES
        for node in ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare | ast.MatchValue)
        and any(isinstance(part, ast.Constant) and part.value in names for part in ast.walk(node))
    ]
    assert asked == []


# --- README ------------------------------------------------------------------------------------


def test_readme_lists_the_chapters():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    chapters = sorted(f"book/{path.name}" for path in (ROOT / "book").glob("[0-9][0-9]_*.ipynb"))
    assert re.findall(r"\((book/\d\d_\w+\.ipynb)\)", text) == chapters


def test_readme_links_and_pictures_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+)\)|(?:src|srcset)=\"([^\"]+)\"", text)
    local = [link or picture for link, picture in targets if "://" not in link + picture]
    assert [target for target in local if not (ROOT / target).is_file()] == []


def test_readme_example_prints_what_it_says():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = "\n".join(re.findall(r"```python\n(.*?)```", text, re.S))
    example = doctest.DocTestParser().get_doctest(text, {}, "README.md", "README.md", 0)
    assert example.examples, "no example"
    assert doctest.DocTestRunner().run(example).failed == 0


def test_readme_names_the_commands_of_the_makefile():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    assert {"book", "test", "lint", "links", "notebooks", "new-chapter", "clean"} <= targets
    assert set(re.findall(r"`?make ([a-z-]+)`?", text)) <= targets


# --- CONTRIBUTING --------------------------------------------------------------------------------


def contributing() -> str:
    """The page for those who add something."""
    return (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_contributing_is_found_from_readme_and_style_page():
    for page in ("README.md", "book/style.md"):
        assert "CONTRIBUTING.md)" in (ROOT / page).read_text(encoding="utf-8")


def test_contributing_names_what_there_is():
    text = contributing()
    links = re.findall(r"\]\(([^)#]+)\)", text)
    files = re.findall(r"`((?:book|data|mnv3lib|tests)/[\w/.]*)`", text)
    modules = [name.replace(".", "/") for name in re.findall(r"`(mnv3lib(?:\.\w+)+)`", text)]
    assert len(links) >= 5
    assert len(files) >= 5
    assert len(modules) >= 5
    assert [name for name in links + files if not (ROOT / name).exists()] == []
    assert [
        name for name in modules if not any((ROOT / f"{name}{end}").exists() for end in ("", ".py"))
    ] == []


def test_contributing_explains_every_step_and_room():
    text = contributing()
    (steps,) = re.findall(r"^STEPS := (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert re.findall(r"^\| `(\w+)` \| [^|]+ \|$", text, re.M)[-len(steps.split()) :] == (
        steps.split()
    )
    (kinds,) = re.findall(r"^\| kind \|.*\n.*\n((?:\|.*\n)+)", text, re.M)
    assert re.findall(r"^\| `(\w+)`", kinds, re.M) == ["exact", "ratio", "trend", "cluster"]
    (rooms,) = re.findall(r"ground floor first: (.+?)\.", text)
    assert [r for r in re.findall(r"`(\w+)`", rooms) if r not in ROOMS] == []
