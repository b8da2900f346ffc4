"""Costs of tables from rows, and the rows that a latency table needs."""

import zlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from all_networks import ADAPTABLE
from mnv3lib.measure import count
from mnv3lib.measure.latency_table import LatencyTable, MissingRowsError, deployed_rows
from mnv3lib.measure.placed_rows import shape_text
from mnv3lib.models import Network, NetworkSpec, model_spec
from mnv3lib.models.rows import BneckRow, ConvRow, DenseRow, PoolRow, SeparableRow
from mnv3lib.search.reachable_rows import reachable_places, reachable_rows
from mnv3lib.search.row_costs import macs_at, place_row, table_latency_at
from mnv3lib.search.row_places import row_places
from mnv3lib.search.shrinking import shrink, width_grid, width_groups
from shrunk_tables import shrunk_at_random

TINY = NetworkSpec(
    "tiny",
    (
        ConvRow(3, 16, "relu", 2),
        BneckRow(3, 16, 16, True, "relu"),
        BneckRow(3, 24, 24, True, "hard_swish", 2),
        SeparableRow(3, 16, "relu"),
        ConvRow(1, 32, "relu"),
        PoolRow(),
        DenseRow(3),
    ),
    "made up",
)


def made_up_table(rows) -> LatencyTable:
    rows_ms, handover_ms = {}, {}
    for row in rows:
        rows_ms[row.key] = 1 + zlib.crc32(row.key.encode()) % 1000 / 100
        for shape in (row.input_shape, row.output_shape):
            handover_ms[shape_text(shape)] = sum(shape) / 1000
    return LatencyTable(
        runtime="eager", threads=1, rounds=1, rows_ms=rows_ms, handover_ms=handover_ms, scale=1.1
    )


@pytest.fixture(scope="module")
def tiny_table():
    return made_up_table(reachable_rows(TINY, 32, width_grid(TINY)))


@pytest.mark.parametrize("name", ADAPTABLE)
def test_macs_are_those_of_the_counter(name):
    spec = model_spec(name, width_mult=0.35, output_stride=16)
    assert macs_at(64)(spec) == count(Network(spec), 64).macs


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v3_small"])
def test_rows_alone_are_those_of_the_network(name):
    spec = model_spec(name, width_mult=0.25, output_stride=16)
    alone = [place_row(place, spec, weights=False) for place in row_places(spec, 64)]
    inside = deployed_rows(spec, 64)
    assert [row.key for row in alone] == [row.key for row in inside]
    assert [row.output_shape for row in alone] == [row.output_shape for row in inside]


def test_reachable_rows_of_one_block():
    rows = (ConvRow(1, 3, "relu"), BneckRow(1, 24, 16, False, "relu"), PoolRow(), DenseRow(2))
    spec = NetworkSpec("x", rows, "x")
    found = reachable_places(spec, 32, width_grid(spec))
    blocks = [(p.row.exp, p.row.out) for p in found if isinstance(p.row, BneckRow)]
    assert blocks == [(24, 16), (24, 8), (16, 16), (16, 8), (8, 16), (8, 8)]
    assert [p.in_channels for p in found if isinstance(p.row, DenseRow)] == [16, 8]
    assert len(found) == 1 + 6 + 1 + 2 + 1  # pooling sees 16 and 8 channels, too


def test_reachable_rows_keep_their_structure():
    found = reachable_places(TINY, 32, width_grid(TINY))
    second = {
        (p.in_channels, p.row.exp)
        for p in found
        if getattr(p.row, "stride", 0) == 2 and p.side == 16
    }
    assert second == {(16, 24), (16, 8), (8, 24), (8, 16)}  # not 16 -> 16 and 8 -> 8


@settings(max_examples=8)
@given(data=st.data())
def test_the_table_lacks_no_row_that_shrinking_reaches(data, tiny_table):
    spec = shrunk_at_random(data, TINY)
    assert tiny_table.missing(spec, 32) == []
    assert table_latency_at(tiny_table, 32)(spec) == pytest.approx(tiny_table.predict(spec, 32))


def test_reachable_rows_run(tiny_table):
    for row in list(reachable_rows(TINY, 32, width_grid(TINY, 16)))[:8]:
        with torch.no_grad():
            assert row.module(torch.zeros(row.input_shape)).shape == row.output_shape


def test_the_row_that_a_table_lacks_is_named():
    table = made_up_table(deployed_rows(TINY, 32))
    latency = table_latency_at(table, 32)
    latency(TINY)
    with pytest.raises(MissingRowsError, match=r"first .ConvRow\(kernel=3, out=8"):
        latency(shrink(TINY, width_groups(TINY)[0], 8))
