"""What ``mnv3`` prints about data and training: tables for readers, JSON for programs."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mnv3lib.book import table
from mnv3lib.report import number

if TYPE_CHECKING:
    from mnv3lib.data.inspect import CheckReport
    from mnv3lib.train.recipe import Recipe
    from mnv3lib.train.run import Trained

__all__ = [
    "check_data",
    "check_text",
    "datasets_text",
    "recipes_data",
    "recipes_text",
    "trained_data",
    "trained_text",
]


def recipes_data(recipes: "dict[str, Recipe]") -> dict[str, Any]:
    """Recipes by name, with all their values."""
    return {name: recipe.model_dump(mode="json") for name, recipe in recipes.items()}


def recipes_text(recipes: "dict[str, Recipe]") -> str:
    """Recipes as a table."""
    rows = [
        [name, recipe.model.name, recipe.train.epochs, recipe.train.batch_size, _expected(recipe)]
        for name, recipe in recipes.items()
    ]
    return repr(table(rows, ["recipe", "network", "epochs", "batch", "expected, %"]))


def _expected(recipe: "Recipe") -> str | None:
    found = [f"{metric} {100 * share:.2f}" for metric, share in recipe.expected.items()]
    return ", ".join(found) or None


def trained_data(trained: "Trained") -> dict[str, Any]:
    """The numbers of a trained network, with its recipe."""
    return {
        "metrics": trained.metrics,
        "recipe": trained.recipe.model_dump(mode="json"),
        "classes": trained.classes,
    }


def trained_text(trained: "Trained") -> str:
    """The numbers of a trained network as a table."""
    model, data = trained.recipe.model, trained.recipe.data
    rows = [(name, number(value)) for name, value in trained.metrics.items()]
    return "\n".join(
        [
            f"{model.name} on {data.name}, {data.resolution} px, {len(trained.classes)} classes",
            "",
            repr(table(rows, ["metric", "value"])),
        ]
    )


def datasets_text(rows: list[dict[str, str]]) -> str:
    """Data sets as a table, a dash where one is not there."""
    shown = ("name", "task", "splits", "folder", "licence")
    return repr(table([[row[key] or "–" for key in shown] for row in rows], shown))


def check_data(report: "CheckReport") -> dict[str, Any]:
    """What a check found, with ``ok``."""
    return {**asdict(report), "ok": report.ok}


def check_text(report: "CheckReport") -> str:
    """What a check found: a line a split, then what is missing and what is wrong."""
    lines = [f"{report.title}: {report.classes} classes"]
    for split, images in report.images.items():
        boxes = f", {report.boxes[split]:,} boxes" if split in report.boxes else ""
        lines.append(f"{split}: {images:,} images{boxes}")
    lines += [f"{split}: not there" for split in report.missing]
    lines += [f"{problem.split} {problem.where}: {problem.text}" for problem in report.problems]
    return "\n".join([*lines, "all is well" if report.ok else f"{len(report.problems)} problems"])
