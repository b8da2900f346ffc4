"""What the ``mnv3`` command prints: the same results as tables for readers, as JSON for programs.

Keys of the JSON are the field names of the results and stay as they are.
"""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mnv3lib.book import table

if TYPE_CHECKING:
    from mnv3lib.ledger import Claim, Judgement
    from mnv3lib.measure.latency import LatencyComparison
    from mnv3lib.measure.profile import Profile, ProfileRow
    from mnv3lib.models import NetworkSpec

__all__ = [
    "as_json",
    "claims_data",
    "claims_text",
    "latency_data",
    "latency_text",
    "list_data",
    "list_text",
    "number",
    "printed",
    "profile_data",
    "profile_text",
]

_KIB = 1024
_DIRECTION = "direction of "
_ACTIVATIONS = {"relu": "RE", "hard_swish": "HS", "relu6": "R6", "swish": "SW"}
_PROFILE_HEADERS = (
    *("#", "input", "operator", "exp", "out", "SE", "NL", "s"),
    *("params", "MACs", "KiB", "ms"),
)


def as_json(data: Any) -> str:
    """Data as indented JSON."""
    return json.dumps(data, indent=2, ensure_ascii=False)


def number(value: float | None) -> str:
    """A number of the ledger with as many digits as are worth reading; a dash for None."""
    if value is None:
        return "–"
    if float(value).is_integer() and abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


def printed(claim: "Claim", *, unit: bool = True) -> str:
    """What the paper prints: number and unit, or for a claim without a number its direction."""
    if claim.unit.startswith(_DIRECTION):
        value, name = ("more" if claim.value > 0 else "less"), claim.unit.removeprefix(_DIRECTION)
    else:
        # A decimal keeps its zero: 4.0 is a printed digit more than 4.
        is_whole = isinstance(claim.value, int)
        value, name = (f"{claim.value:,}" if is_whole else str(claim.value)), claim.unit
    return f"{value} {name}" if unit else value


def list_data(specs: "dict[str, NetworkSpec]") -> list[dict[str, Any]]:
    """Networks as name, source and number of rows."""
    return [
        {"name": name, "source": spec.source, "rows": len(spec.rows)}
        for name, spec in specs.items()
    ]


def list_text(specs: "dict[str, NetworkSpec]") -> str:
    """Networks as a table."""
    rows = [[entry["name"], entry["rows"], entry["source"]] for entry in list_data(specs)]
    return repr(table(rows, ["name", "rows", "follows"]))


def profile_data(name: str, options: dict[str, Any], profile: "Profile") -> dict[str, Any]:
    """A profile with the name and the options of its network."""
    return {"model": name, "options": options, **asdict(profile)}


def profile_text(name: str, options: dict[str, Any], profile: "Profile") -> str:
    """A profile as the paper prints a network, with its costs beside."""
    rows = [_profile_cells(row) for row in profile.rows]
    totals = [profile.params, profile.macs, profile.memory_bytes / _KIB, profile.latency_ms]
    rows.append(["", "", "network", *[None] * 5, *totals])
    formats = [""] * 10 + ["{:,.0f}", "{:.3f}"]
    threads = f"{profile.threads} thread" + ("s" if profile.threads > 1 else "")
    said = ", ".join(f"{key} {value}" for key, value in options.items())
    return "\n".join(
        [
            f"{name}, {profile.resolution} px" + (f", {said}" if said else ""),
            "",
            repr(table(rows, _PROFILE_HEADERS, formats=formats)),
            "",
            f"params, MACs: {profile.convention}",
            "KiB: peak activations of the row, float32; the network's is its hungriest row's",
            f"ms: {profile.runtime}, {threads}, batch 1, median of {profile.rounds} interleaved "
            "rounds; a row's is what it adds, so rows need not sum up to the network's",
        ]
    )


def _profile_cells(row: "ProfileRow") -> list[Any]:
    *sides, channels = (*row.input_shape[1:], row.input_shape[0])
    return [
        str(row.index),
        " x ".join(map(str, [*sides, channels])),
        row.operator,
        row.exp,
        row.out,
        "yes" if row.se else "",
        _ACTIVATIONS.get(row.act, row.act) or "",
        row.stride,
        row.params,
        row.macs,
        row.memory_bytes / _KIB,
        row.latency_ms,
    ]


def latency_data(comparison: "LatencyComparison") -> dict[str, Any]:
    """A comparison, with each model's ratio to the first."""
    first = next(iter(comparison.timings))
    ratios = {name: asdict(comparison.ratio(name, first)) for name in comparison.timings}
    return {**comparison.to_dict(), "ratio_to": first, "ratios": ratios}


def latency_text(comparison: "LatencyComparison") -> str:
    """A comparison as a table."""
    first = next(iter(comparison.timings))
    rows = [
        [t.name, t.median_ms, t.q1, t.q3, comparison.ratio(t.name, first).median]
        for t in comparison.timings.values()
    ]
    headers = ["model", "median ms", "quartile 1", "quartile 3", f"of {first}"]
    return f"{str(comparison).splitlines()[0]}\n\n{table(rows, headers)!r}"


def claims_data(judgements: "list[Judgement]", *, check: bool = False) -> dict[str, Any]:
    """Claims beside our numbers, or only those that contradict their entry; totals of all."""
    from mnv3lib.ledger import totals

    entries = []
    for judgement in judgements:
        claim = asdict(judgement.claim)
        del claim["answer"], claim["explained_by"], claim["explanation"], claim["not_run"]
        found = {key: value for key, value in vars(judgement).items() if key != "claim"}
        if judgement.contradiction or not check:
            entries.append({**claim, **found})
    return {"claims": entries, "totals": totals(judgements)}


def claims_text(judgements: "list[Judgement]", *, check: bool = False) -> str:
    """Claims as a table, reasons below it, totals of all at the end; `check` as above."""
    from mnv3lib.ledger import Verdict, totals

    shown = [j for j in judgements if j.contradiction or not check]
    headers = ["claim", "paper", "ours", "verdict", "where"]
    rows = [
        [j.claim.key, printed(j.claim), number(j.ours), j.verdict, j.claim.where] for j in shown
    ]
    reasons = [f"{j.claim.key}: {j.reason}" for j in shown if j.verdict is Verdict.DIFFERS]
    counted = ", ".join(f"{n} {verdict}" for verdict, n in totals(judgements).items())
    parts = [repr(table(rows, headers))] if rows else []
    parts += ["Why they differ\n\n" + "\n".join(reasons)] if reasons and not check else []
    return "\n\n".join([*parts, f"{len(judgements)} claims: {counted}"])
