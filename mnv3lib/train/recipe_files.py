"""Recipe files: found by name, read, and checked key by key.

The files of this project lie under ``data/recipes`` and are named without folder and suffix, for
example ``imagenet/mobilenet_v3_large_torchvision``. Unknown keys, wrong types and values out of
range are errors that name the key. Taught in chapter 7 (training).
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from mnv3lib.names import nearest_names
from mnv3lib.paths import data_root
from mnv3lib.train.recipe import Recipe
from mnv3lib.train.sections import Section

__all__ = [
    "RecipeError",
    "describe_problems",
    "file_names",
    "load_file",
    "load_recipe",
    "parse_changes",
    "parse_recipe",
    "recipe_names",
]

AnySection = TypeVar("AnySection", bound=Section)

_CHANGE = re.compile(r"(\w+)\.(\w+)=(.+)", re.DOTALL)


class RecipeError(ValueError):
    """A recipe that cannot be used; the message names the key and what was expected."""


def recipe_names() -> list[str]:
    """Names of the recipes that the project ships, sorted."""
    return file_names("recipes")


def load_recipe(name: str, /, **changes: Mapping[str, Any]) -> Recipe:
    """Reads a recipe.

    Args:
        name: One of :func:`recipe_names`, or the path of a TOML file.
        **changes: Keys to replace, by section: ``train={"epochs": 2}``.

    Raises:
        FileNotFoundError: There is no such recipe.
        RecipeError: The file is not TOML, or holds a key or value that is not allowed.
    """
    return load_file(Recipe, name, "recipes", changes)


def file_names(folder: str) -> list[str]:
    """Names of the TOML files below a folder of the project's data, sorted."""
    root = data_root() / folder
    files = (path.relative_to(root) for path in root.rglob("*.toml"))
    return sorted(path.with_suffix("").as_posix() for path in files)


def load_file(
    kind: type[AnySection], name: str, folder: str, changes: Mapping[str, Mapping[str, Any]]
) -> AnySection:
    """Reads a TOML file as typed sections, as :func:`load_recipe` does.

    Args:
        kind: What the file holds.
        name: One of ``file_names(folder)``, or the path of a TOML file.
        folder: Where such files lie in the project's data.
        changes: Keys to replace, by section.

    Raises:
        FileNotFoundError: There is no such file.
        RecipeError: The file is not TOML, or holds a key or value that is not allowed.
    """
    path = Path(name) if name.endswith(".toml") else data_root() / folder / f"{name}.toml"
    if not path.is_file():
        raise FileNotFoundError(
            f"no recipe {name!r}; did you mean {nearest_names(name, file_names(folder))}? "
            "A file of your own needs its suffix .toml"
        )
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path.name}: {describe_problems(error)}") from error
    for section, values in changes.items():
        before = content.get(section, {})
        if not isinstance(before, dict):
            raise RecipeError(f"{path.name}: {section} is a value and no section: it has no keys")
        content[section] = {**before, **values}
    return _parse(kind, content, path.name)


def parse_recipe(content: Mapping[str, Any], *, place: str = "recipe") -> Recipe:
    """Checks the content of a recipe; `place` names it in errors."""
    return _parse(Recipe, content, place)


def parse_changes(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Reads changes as they are typed on a command line.

    Args:
        texts: Each ``section.key=value``, the value as in TOML; a word needs no quotes.

    Returns:
        The changes by section, for :func:`load_recipe`.

    Raises:
        RecipeError: A text of another form.

    Example:
        >>> parse_changes(["train.epochs=2", "optimizer.name=adamw"])
        {'train': {'epochs': 2}, 'optimizer': {'name': 'adamw'}}
    """
    changes: dict[str, dict[str, Any]] = {}
    for text in texts:
        found = _CHANGE.fullmatch(text)
        if not found:
            raise RecipeError(f"a change has the form section.key=value, got {text!r}")
        section, key, value = found.groups()
        try:
            parsed = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            parsed = value
        changes.setdefault(section, {})[key] = parsed
    return changes


def describe_problems(error: ValidationError | tomllib.TOMLDecodeError) -> str:
    """What is wrong with a file, key by key, in a line."""
    if isinstance(error, tomllib.TOMLDecodeError):
        return f"it is not TOML: {error}"
    return "; ".join(_describe(found) for found in error.errors())


def _parse(kind: type[AnySection], content: Mapping[str, Any], place: str) -> AnySection:
    try:
        return kind(**content)
    except ValidationError as error:
        raise RecipeError(f"{place}: {describe_problems(error)}") from error


def _describe(found: Mapping[str, Any]) -> str:
    key = ".".join(map(str, found["loc"]))
    if found["type"] == "extra_forbidden":
        return f"{key} is no key here"
    if found["type"] == "missing":
        return f"{key} is missing"
    if found["type"] == "value_error":  # of keys that do not go together
        return ": ".join(filter(None, [key, found["msg"].removeprefix("Value error, ")]))
    return f"{key} {found['msg'].removeprefix('Input ').lower()}, got {found['input']!r}"
