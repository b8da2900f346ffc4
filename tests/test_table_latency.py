"""Additive costs: the look-up gives what building and summing gives."""

import zlib
from dataclasses import replace

import pytest
import torch

from mnv3lib.measure.latency_table import LatencyTable, MissingRowsError, deployed_rows
from mnv3lib.measure.placed_rows import shape_text
from mnv3lib.search import MNASNET, SMALL_32, decode, network_of, sample_codes
from mnv3lib.search.table_latency import additive_cost, covering_points, table_latency

# Three stages in MnasNet's manner, with other channels before the second and third.
MIXED = replace(
    MNASNET,
    name="mixed",
    stages=(
        replace(MNASNET.stages[0], op=("dwconv",), se=(False,), skip=("none",), filters=(8, 16)),
        replace(
            MNASNET.stages[1], op=("conv", "mbconv3"), kernel=(3,), se=(True,), filters=(8, 16)
        ),
        replace(
            MNASNET.stages[2], op=("mbconv3",), kernel=(3, 5), se=(False,), skip=("identity",),
            filters=(16, 24), layers=(3, 1),
        ),
    ),
)  # fmt: skip


def params(network) -> list[int]:
    return [sum(p.numel() for p in row.parameters()) for row in network.rows]


def drawn(space, count: int) -> torch.Tensor:
    return sample_codes(space, count, torch.Generator().manual_seed(1))


def made_up_table(space, resolution: int) -> LatencyTable:
    """A table with an arbitrary time for every row of a space."""
    rows_ms, handover_ms = {}, {}
    for point in covering_points(space):
        for row in deployed_rows(network_of(space, point, num_classes=3), resolution):
            rows_ms[row.key] = 1 + zlib.crc32(row.key.encode()) % 1000 / 100
            for shape in (row.input_shape, row.output_shape):
                handover_ms[shape_text(shape)] = sum(shape) / 1000
    return LatencyTable(
        runtime="eager", threads=1, rounds=1, rows_ms=rows_ms, handover_ms=handover_ms, scale=1.1
    )


@pytest.fixture(scope="module")
def small_cost():
    return additive_cost(SMALL_32, params, num_classes=3)


@pytest.fixture(scope="module")
def mixed_table():
    return made_up_table(MIXED, 32)


@pytest.mark.parametrize("space", [MIXED, SMALL_32], ids=lambda space: space.name)
def test_parameters_add_up_for_any_point(space):
    cost = additive_cost(space, params, num_classes=3)
    codes = drawn(space, 25)
    built = [sum(params(network_of(space, p, num_classes=3))) for p in decode(space, codes)]
    assert cost(codes).tolist() == built


def test_a_cell_for_each_combination(small_cost):
    # Two widths may come before each stage but the first, and before the head.
    assert len(small_cost.cells) == 16 + 2 * 48 + 2 * 16 + 2
    assert small_cost.starts.tolist() == [0, 16, 112, 144]


def test_predictions_are_those_of_the_table(mixed_table):
    latency = table_latency(MIXED, mixed_table, 32, num_classes=3)
    codes = drawn(MIXED, 10)
    networks = [network_of(MIXED, point, num_classes=3) for point in decode(MIXED, codes)]
    expected = torch.tensor([mixed_table.predict(network, 32) for network in networks]).double()
    torch.testing.assert_close(latency(codes), expected, rtol=1e-6, atol=0)


def test_the_row_that_a_table_lacks_is_named(mixed_table):
    lost = next(key for key in mixed_table.rows_ms if key.startswith("SkipBneckRow"))
    rows_ms = {key: value for key, value in mixed_table.rows_ms.items() if key != lost}
    poorer = replace(mixed_table, rows_ms=rows_ms)
    with pytest.raises(MissingRowsError, match=r"for 1 rows, first .SkipBneckRow\(kernel=3"):
        table_latency(MIXED, poorer, 32, num_classes=3)


def test_covering_points_have_every_row():
    covered = {
        row.key
        for point in covering_points(MIXED)
        for row in deployed_rows(network_of(MIXED, point, num_classes=3), 32)
    }
    for point in decode(MIXED, drawn(MIXED, 10)):
        rows = deployed_rows(network_of(MIXED, point, num_classes=3), 32)
        assert {row.key for row in rows} <= covered


def test_no_points_no_costs(small_cost):
    assert small_cost(drawn(SMALL_32, 0)).shape == (0,)


def test_foreign_codes_are_refused(small_cost):
    with pytest.raises(ValueError, match="codes of small_32"):
        small_cost(drawn(MNASNET, 2))
