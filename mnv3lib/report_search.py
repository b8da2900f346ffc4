"""What ``mnv3 search`` prints: tables for readers, JSON for programs."""

from typing import TYPE_CHECKING, Any

from mnv3lib.book import table

if TYPE_CHECKING:
    from mnv3lib.search.run_nas import NasRun
    from mnv3lib.search.run_netadapt import NetAdaptRun

__all__ = ["nas_text", "netadapt_text", "run_data"]


def run_data(run: "NasRun | NetAdaptRun") -> dict[str, Any]:
    """All results of a search, with its recipe and seed."""
    return {"metrics": run.metrics, "recipe": run.recipe.model_dump(mode="json"), "seed": run.seed}


def nas_text(run: "NasRun") -> str:
    """The best network of an architecture search, and what it is made of."""
    search, target = run.recipe.search, run.recipe.reward.target_ms
    shown = run.finalists or (run.best,)
    rows = [[100 * c.accuracy, c.latency_ms, c.table_ms, c.reward] for c in shown]
    headers = ["top-1 %", "ms", "ms by table", "reward"]
    stages = [[index, *vars(stage).values()] for index, stage in enumerate(run.point)]
    names = ["stage", *vars(run.point[0])]
    return "\n".join(
        [
            f"{run.recipe.searcher.name} on {search.space}, {search.budget} evaluations, target "
            f"{target:g} ms, seed {run.seed}",
            "",
            repr(table(rows, headers, formats=["{:.2f}", "{:.4g}", "{:.4g}", "{:.4f}"])),
            "",
            repr(table([list(map(_word, row)) for row in stages], names)),
        ]
    )


def netadapt_text(run: "NetAdaptRun") -> str:
    """Costs and accuracies before and after, and the widths."""
    adaptation = run.adaptation
    ends = [
        ["start", adaptation.start_ms, 100 * adaptation.start_accuracy],
        ["after the steps", adaptation.latency_ms, 100 * adaptation.accuracy],
    ]
    if run.trained is not None:
        top1 = 100 * run.trained.metrics["top1"]
        ends.append(["trained from scratch, test images", adaptation.latency_ms, top1])
    widths = [
        [g["index"], g["kind"], _rows_of(g["cells"]), g["before"], g["after"]]
        for g in run.footprint
    ]
    return "\n".join(
        [
            f"{adaptation.start.family}: {len(adaptation.steps)} steps to {run.target:.4g} "
            f"{run.unit}, seed {run.seed}",
            "",
            repr(table(ends, ["network", run.unit, "top-1 %"], formats=["", "{:.4g}", "{:.2f}"])),
            "",
            repr(table(widths, ["group", "kind", "rows", "before", "after"])),
        ]
    )


def _rows_of(cells: list[list]) -> str:
    """The rows of a group, each once."""
    return ", ".join(dict.fromkeys(str(row) for row, _ in cells))


def _word(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value
