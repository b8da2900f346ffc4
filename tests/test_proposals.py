"""Proposals and cuts, on a table that is counted by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnv3lib.measure.counting import count
from mnv3lib.models import Network, NetworkSpec
from mnv3lib.models.mnasnet import MNASNET_A1
from mnv3lib.models.rows import BneckRow, ConvRow, DenseRow, PoolRow
from mnv3lib.search.cut_schedule import CutSchedule, UnreachableError
from mnv3lib.search.proposals import propose
from mnv3lib.search.row_costs import macs_at
from mnv3lib.search.shrinking import shrink, width_grid, width_groups

# At one pixel: 3 * 8 + (8 * 24 + 24 + 24 * 8) + 8 * 2 = 24 + 408 + 16 = 448 multiply-adds.
# A channel of the expansion costs 8 + 1 + 8 = 17. Stem and block are tied: with 4 channels,
# 3 * 4 + (4 * 24 + 24 + 24 * 4) + 4 * 2 = 236.
BY_HAND = NetworkSpec(
    "by_hand",
    (ConvRow(1, 8, "relu"), BneckRow(1, 24, 8, False, "relu"), PoolRow(), DenseRow(2)),
    "made up",
)
MACS = macs_at(1)


def proposed(cut):
    found = propose(BY_HAND, MACS, cut, width_grid(BY_HAND, divisor=4))
    return [(p.group.kind, p.width, p.latency_ms) for p in found]


def test_the_count_by_hand():
    assert MACS(BY_HAND) == 448
    assert count(Network(BY_HAND), 32).macs == 32 * 32 * 432 + 16


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        (1, [("bottleneck", 4, 236), ("expansion", 20, 380)]),
        (68, [("bottleneck", 4, 236), ("expansion", 20, 380)]),  # just what four channels cost
        (69, [("bottleneck", 4, 236), ("expansion", 16, 312)]),
        (205, [("bottleneck", 4, 236), ("expansion", 4, 108)]),  # 8 would equal the input
        (213, [("expansion", 4, 108)]),
        (341, []),
    ],
)
def test_the_largest_width_that_pays_the_cut(cut, expected):
    assert proposed(cut) == expected


def test_a_cost_that_does_not_fall_with_the_width():
    """Of a kernel that is slow at 20 channels, the next faster width is taken."""

    def latency(spec):
        return {24: 10.0, 20: 11.0, 16: 8.0, 12: 9.0}.get(spec.rows[1].exp, 1.0)

    grid = width_grid(BY_HAND, divisor=4)
    assert [(p.group.index, p.width) for p in propose(BY_HAND, latency, 1.0, grid)] == [(1, 16)]


@pytest.mark.parametrize("cut", [0, -1])
def test_a_cut_that_cuts_nothing_is_refused(cut):
    with pytest.raises(ValueError, match="the cut must be above 0"):
        proposed(cut)


def test_a_foreign_grid_is_refused():
    with pytest.raises(ValueError, match="the grid has 22 groups, the table 2"):
        propose(BY_HAND, MACS, 1, width_grid(MNASNET_A1))


def test_proposals_lead_from_mnasnet_to_the_expansions_of_large():
    """With the right cuts, the expansions of MobileNetV3-Large are proposals for MnasNet-A1."""
    macs, grid, spec = macs_at(224), width_grid(MNASNET_A1), MNASNET_A1
    for row, width in ((2, 64), (3, 72), (8, 200), (9, 184), (10, 184)):
        (group,) = (g for g in width_groups(spec) if g.cells == ((row, "exp"),))
        cut = macs(spec) - macs(shrink(spec, group, width))
        by_group = {p.group.index: p for p in propose(spec, macs, cut, grid)}
        assert by_group[group.index].width == width
        spec = by_group[group.index].spec
    assert macs(spec) == 260_090_656


# --- cuts --------------------------------------------------------------------------------------


def test_cuts_of_netadapts_code():
    cuts = CutSchedule(delta=0.025, decay=0.96)
    assert [cuts.cut(1), cuts.cut(2)] == [0.025, 0.024]
    assert cuts.total(2) == pytest.approx(0.049)
    assert cuts.limit == pytest.approx(0.625)


@given(st.floats(0.001, 0.5), st.floats(0.5, 1), st.integers(1, 50))
def test_the_sum_of_cuts(delta, decay, steps):
    cuts = CutSchedule(delta, decay)
    assert cuts.total(steps) == pytest.approx(sum(cuts.cut(i) for i in range(1, steps + 1)))
    assert cuts.total(steps) <= cuts.limit * (1 + 1e-9)


def test_a_quarter_is_out_of_reach_of_netadapts_code():
    cuts = CutSchedule(delta=0.025, decay=0.96)
    cuts.check_target(100, 38)
    with pytest.raises(UnreachableError, match=r"25 ms is 75.0% below .* less than 62.5%"):
        cuts.check_target(100, 25)


@pytest.mark.parametrize("target", [100, 120, 0, -1, float("nan")])
def test_targets_that_leave_nothing_to_do(target):
    with pytest.raises(ValueError, match="must be above 0 and below the present 100 ms"):
        CutSchedule().check_target(100, target)


@pytest.mark.parametrize("delta", [0, -0.1, 1, 3])
def test_impossible_deltas(delta):
    with pytest.raises(ValueError, match=f"above 0 and below 1, got {delta}"):
        CutSchedule(delta)


@pytest.mark.parametrize("decay", [0, 1.1])
def test_impossible_decays(decay):
    with pytest.raises(ValueError, match=f"at most 1, got {decay}"):
        CutSchedule(0.01, decay)
