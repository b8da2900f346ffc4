"""Networks as plain data: what goes in comes out, through JSON."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from all_networks import EVERY, table
from mnv3lib.models import Network, model_spec
from mnv3lib.models.tables import from_table, to_table
from mnv3lib.search import MNASNET, MNASNET_A1_POINT, SMALL_32, spec_of
from mnv3lib.search.encoding import decode, from_ranks


@pytest.mark.parametrize("name", EVERY)
def test_every_registered_network_survives_json(name):
    spec = table(name, num_classes=7)
    assert from_table(json.loads(json.dumps(to_table(spec)))) == spec


@given(rank=st.integers(0, SMALL_32.cardinality - 1))
@settings(max_examples=30, deadline=None)
def test_searched_networks_survive_json(rank):
    (point,) = decode(SMALL_32, from_ranks(SMALL_32, torch.tensor([rank])))
    spec = spec_of(SMALL_32, point)
    assert from_table(json.loads(json.dumps(to_table(spec)))) == spec


def test_the_network_is_the_same_too():
    spec = model_spec("mobilenet_v3_small", num_classes=3)
    networks = [
        Network(s, generator=torch.Generator().manual_seed(1))
        for s in (spec, from_table(to_table(spec)))
    ]
    one, other = (network.state_dict() for network in networks)
    assert all(torch.equal(one[key], other[key]) for key in one)


def change(**changes) -> dict:
    return {**to_table(model_spec("mobilenet_v3_small")), **changes}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (change(colour=1), "a network has no field 'colour'"),
        ({"family": "x", "source": "y"}, "a network lacks 'rows'"),
        (change(rows=[{"kernel": 3}]), "row 0 is of kind None; there are conv"),
        (change(rows=[{"kind": "pool"}, {"kind": "dense"}]), r"row 1 \(dense\) lacks 'out'"),
        (change(rows=[{"kind": "pool", "out": 3}]), r"row 0 \(pool\) has no field 'out'"),
    ],
)
def test_wrong_tables_are_refused_by_name(content, message):
    with pytest.raises(ValueError, match=message):
        from_table(content)


def test_rows_with_other_shortcuts_have_no_data_form():
    stages = [replace(stage, skip="pool") for stage in MNASNET_A1_POINT]
    with pytest.raises(ValueError, match="row 3 is a SkipBneckRow"):
        to_table(spec_of(MNASNET, tuple(stages)))
