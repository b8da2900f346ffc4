"""Which networks the papers time against each other, group by group.

A ratio of two latencies means something only if both were measured in the same rounds, so a group
holds everything that is compared with each other, and :mod:`mnv3lib.ledger.record_ratios` times
one group after the other. Chapter 6 explains why ratios and not milliseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["GROUPS", "Case", "Group"]


@dataclass(frozen=True)
class Case:
    """A network at a resolution.

    Attributes:
        model: Registered network, or variant of :mod:`mnv3lib.ledger.variants`.
        width_mult: Width multiplier.
        resolution: Side of the square image in pixels.
        naive: Whether hard swish is computed by its formula, operation by operation.
    """

    model: str
    width_mult: float = 1.0
    resolution: int = 224
    naive: bool = False


@dataclass(frozen=True)
class Group:
    """Cases that are timed in the same rounds.

    Attributes:
        cases: By name.
        ratios: By name: how long the first case takes in units of the second.
    """

    cases: Mapping[str, Case]
    ratios: Mapping[str, tuple[str, str]]


LARGE, SMALL = "mobilenet_v3_large", "mobilenet_v3_small"
V2, A1 = "mobilenet_v2", "mnasnet_a1"


def _networks() -> Group:
    """The families beside each other (V3, Table 3; V2, Table 4; MnasNet, Tables 1 and 4)."""
    cases = {
        "large": Case(LARGE),
        "small": Case(SMALL),
        "v1": Case("mobilenet_v1"),
        "v2": Case(V2),
        "v2_035": Case(V2, 0.35),
        "v2_140": Case(V2, 1.4),
        "mnasnet_a1": Case(A1),
        "mnasnet_a1_035": Case(A1, 0.35),
    }
    pairs = [
        ("large", "v2"),
        ("small", "v2_035"),
        ("mnasnet_a1", "large"),
        ("v2", "v1"),
        ("v2_140", "v2"),
        ("v2_140", "mnasnet_a1"),
        ("mnasnet_a1_035", "v2_035"),
    ]
    return Group(cases, {f"{a}_over_{b}": (a, b) for a, b in pairs})


def _hard_swish() -> Group:
    """Where hard swish sits, optimised and naive (V3, Table 5)."""
    placed = {
        "v3": LARGE,
        "everywhere": f"{LARGE}_hard_swish_16",
        "from_112": f"{LARGE}_hard_swish_112",
    }
    cases = {name: Case(model) for name, model in placed.items()}
    cases |= {f"{name}_naive": Case(model, naive=True) for name, model in placed.items()}
    cases["relu"] = Case(f"{LARGE}_relu")
    ratios = {
        "naive_over_optimised": ("v3_naive", "v3"),
        "relu_over_v3": ("relu", "v3"),
        "everywhere_over_v3": ("everywhere", "v3"),
        "from_112_over_v3": ("from_112", "v3"),
        "everywhere_naive_over_v3_naive": ("everywhere_naive", "v3_naive"),
        "from_112_naive_over_v3_naive": ("from_112_naive", "v3_naive"),
    }
    return Group(cases, ratios)


def _redesign() -> Group:
    """The steps from MnasNet-A1 to Large, and what is left without them (V3, section 5)."""
    cases = {
        "v3_expansions": Case("mnasnet_a1_v3_expansions"),
        "efficient_last_stage": Case("mnasnet_a1_efficient_last_stage"),
        "stem_16": Case("mnasnet_a1_stem_16"),
        "large": Case(LARGE),
        "squeeze_input": Case(f"{LARGE}_squeeze_input"),
        "without_se": Case(f"{LARGE}_without_se"),
        "large_minimalistic": Case(f"{LARGE}_minimalistic"),
        "small": Case(SMALL),
        "small_minimalistic": Case(f"{SMALL}_minimalistic"),
    }
    ratios = {
        "last_stage": ("efficient_last_stage", "v3_expansions"),
        "stem": ("stem_16", "efficient_last_stage"),
        "squeeze_expansion_over_input": ("large", "squeeze_input"),
        "large_over_without_se": ("large", "without_se"),
        "large_minimalistic_over_large": ("large_minimalistic", "large"),
        "small_minimalistic_over_small": ("small_minimalistic", "small"),
    }
    return Group(cases, ratios)


def _widths(model: str) -> Group:
    """Width multipliers against width 1 (V3, Table 9)."""
    cases = {f"width_{round(100 * w):03}": Case(model, w) for w in (0.35, 0.5, 0.75, 1.0, 1.25)}
    return Group(cases, {name: (name, "width_100") for name in cases if name != "width_100"})


def _resolutions(model: str) -> Group:
    """Resolutions against 224 pixels (V3, Table 9)."""
    sides = (96, 128, 160, 192, 224, 256)
    cases = {f"resolution_{side}": Case(model, resolution=side) for side in sides}
    base = "resolution_224"
    return Group(cases, {name: (name, base) for name in cases if name != base})


def _layers() -> Group:
    """One kind of layer only, against MnasNet-A1's mixture (MnasNet, Table 6)."""
    kinds = ("mbconv6_3x3", "mbconv6_5x5", "mbconv3_3x3", "mbconv3_5x5")
    cases = {A1: Case(A1)} | {kind: Case(f"mnasnet_{kind}_only") for kind in kinds}
    return Group(cases, {f"{kind}_over_{A1}": (kind, A1) for kind in kinds})


GROUPS: dict[str, Group] = {
    "networks": _networks(),
    "hard_swish": _hard_swish(),
    "redesign": _redesign(),
    "widths_large": _widths(LARGE),
    "widths_small": _widths(SMALL),
    "resolutions_large": _resolutions(LARGE),
    "resolutions_small": _resolutions(SMALL),
    "layers": _layers(),
}
