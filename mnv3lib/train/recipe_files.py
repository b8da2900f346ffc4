"""Recipe files: found by name, read, and checked key by key.

The files of this project lie under ``data/recipes`` and are named without folder and suffix, for
example ``imagenet/mobilenet_v3_large_torchvision``. Unknown keys, wrong types and values out of
range are errors that name the key. Taught in chapter 7 (training).
"""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mnv3lib.paths import data_root
from mnv3lib.train.recipe import Recipe

__all__ = ["RecipeError", "load_recipe", "parse_recipe", "recipe_names"]


class RecipeError(ValueError):
    """A recipe that cannot be used; the message names the key and what was expected."""


def recipe_names() -> list[str]:
    """Names of the recipes that the project ships, sorted."""
    root = data_root() / "recipes"
    files = (path.relative_to(root) for path in root.rglob("*.toml"))
    return sorted(path.with_suffix("").as_posix() for path in files)


def load_recipe(name: str, **changes: Mapping[str, Any]) -> Recipe:
    """Reads a recipe.

    Args:
        name: One of :func:`recipe_names`, or the path of a TOML file.
        **changes: Keys to replace, by section: ``train={"epochs": 2}``.

    Raises:
        FileNotFoundError: There is no such recipe.
        RecipeError: The file is not TOML, or holds a key or value that is not allowed.
    """
    path = Path(name) if name.endswith(".toml") else data_root() / "recipes" / f"{name}.toml"
    if not path.is_file():
        nearest = difflib.get_close_matches(name, recipe_names(), n=3, cutoff=0.3)
        raise FileNotFoundError(
            f"no recipe {name!r}; did you mean {' or '.join(nearest or recipe_names())}? "
            "A file of your own needs its suffix .toml"
        )
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path.name} is not TOML: {error}") from error
    for section, values in changes.items():
        content[section] = {**content.get(section, {}), **values}
    return parse_recipe(content, place=path.name)


def parse_recipe(content: Mapping[str, Any], *, place: str = "recipe") -> Recipe:
    """Checks the content of a recipe; `place` names it in errors."""
    try:
        return Recipe(**content)
    except ValidationError as error:
        raise RecipeError(f"{place}: {'; '.join(_problems(error))}") from error


def _problems(error: ValidationError) -> Iterator[str]:
    """What is wrong, key by key, in the words of a recipe."""
    for found in error.errors():
        key = ".".join(map(str, found["loc"]))
        if found["type"] == "extra_forbidden":
            yield f"{key} is no key of a recipe"
        elif found["type"] == "missing":
            yield f"{key} is missing"
        else:
            wanted = found["msg"].removeprefix("Input ").lower()
            yield f"{key} {wanted}, got {found['input']!r}"
