"""Spaces whose layers choose one by one, their linear latency, and devices that are formulas."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnv3lib import count, create_model
from mnv3lib.models.layer_kinds import Fused, Inverted, LayerBlock, Macs, Tucker
from mnv3lib.models.mobiledet import BLOCKS, MODELS
from mnv3lib.search import Evaluation, decode, encode, run_search, sample_codes
from mnv3lib.search.absolute_reward import AbsoluteReward
from mnv3lib.search.layer_space import BlockOptions, LayerSpace
from mnv3lib.search.linear_latency import LinearLatency, determination, layer_features
from mnv3lib.search.random_search import RandomSearch
from mnv3lib.search.simulated_device import DEVICES, SimulatedDevice, device_latency, space_macs
from mnv3lib.search.tdb_space import KINDS, find_layer_space, full_space, small_space
from mnv3lib.search.tunas import TuNAS

SMALL = small_space()
WIDE = small_space(widths=True)
I4, I8, F4, T = Inverted(3, 4), Inverted(3, 8), Fused(3, 4), Tucker(0.25, 0.75)
# Two blocks: the first of one layer, the second of two, the last of which may be left out.
TINY = replace(
    SMALL,
    name="tiny",
    blocks=(
        BlockOptions((8, 16), 1, (I4,)),
        BlockOptions((16, 24), 2, (I4, F4), (I4, None), layers=2),
    ),
)
SIDE = 32


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- spaces ----------------------------------------------------------------------------------


def test_choices_of_a_tiny_space():
    names = [(choice.stage, choice.name, len(choice.options)) for choice in TINY.choices]
    assert names == [
        (0, "filters", 2),
        (0, "layer 0", 1),
        (1, "filters", 2),
        (1, "layer 0", 2),
        (1, "layer 1", 2),
    ]
    assert TINY.cardinality == 16


def test_a_point_and_its_table():
    point = TINY.point([1, 0, 0, 1, 0])
    assert point == (LayerBlock(16, 1, (I4,)), LayerBlock(16, 2, (F4, I4)))
    assert TINY.indices(point) == (1, 0, 0, 1, 0)
    stem, *rows, _, _ = TINY.spec(point).rows
    assert [row.out for row in (stem, *rows)] == [16, 16, 16, 16]
    assert [row.stride for row in rows] == [1, 2, 1]
    assert not any(module.use_residual for module in create_model(TINY.spec(point)).rows[1:3])


def test_a_layer_that_is_left_out_leaves_no_row():
    whole, shorter = (TINY.spec(TINY.point([0, 0, 0, 0, last])) for last in (0, 1))
    assert len(whole.rows) - len(shorter.rows) == 1
    assert TINY.indices((LayerBlock(8, 1, (I4,)), LayerBlock(16, 2, (I4,)))) == (0, 0, 0, 0, 1)


@pytest.mark.parametrize("processor", ["cpu", "edgetpu", "dsp"])
def test_released_networks_are_points_of_the_full_space(processor):
    released = MODELS[f"mobiledet_{processor}"]
    is_cpu = processor == "cpu"
    options = {"stem": 16, "act": "hard_swish", "se": True} if is_cpu else {}
    space = full_space(**options)
    assert BLOCKS[processor] in space
    assert space.spec(BLOCKS[processor]).rows == released.rows


def test_the_gpus_network_has_widths_that_are_not_offered():
    with pytest.raises(ValueError, match=r"stage 3 .* offers filters .* got 128"):
        full_space().indices(BLOCKS["gpu"])


def test_spaces_contain_one_another():
    assert [len(kinds) for kinds in KINDS.values()] == [4, 8, 12]
    point = small_space("ibn").sample(seeded())
    assert point in SMALL
    assert SMALL.sample(seeded(1)) not in small_space("ibn")
    assert len(full_space().layers) == 22
    assert find_layer_space("ibn_fused_small").name == "ibn_fused_small"
    with pytest.raises(ValueError, match="did you mean"):
        find_layer_space("tdb_smal")
    with pytest.raises(ValueError, match="unknown kinds 'cp'"):
        small_space("cp")


@given(st.integers(0, 2**30))
def test_codes_and_points_round_trip(seed):
    codes = sample_codes(WIDE, 3, seeded(seed))
    assert torch.equal(encode(WIDE, decode(WIDE, codes)), codes)


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ((LayerBlock(8, 1, (I4,)),), "has 2 blocks, got 1"),
        ((LayerBlock(8, 1, (I4,)), LayerBlock(16, 1, (I4,))), "has stride 2"),
        ((LayerBlock(8, 1, (I4,)), LayerBlock(16, 2, (I4, I4, I4))), "1 to 2 layers"),
        ((LayerBlock(8, 1, (I8,)), LayerBlock(16, 2, (I4, I4))), "offers layer 0"),
    ],
)
def test_refuses_points(blocks, message):
    with pytest.raises(ValueError, match=message):
        TINY.indices(blocks)
    assert blocks not in TINY


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filters": ()}, "filters needs different options"),
        ({"first": (I4, I4)}, "first needs different options"),
        ({"layers": 0}, "at least one layer"),
        ({"layers": 2}, "others needs different options"),
    ],
)
def test_refuses_blocks(options, message):
    with pytest.raises(ValueError, match=message):
        BlockOptions(**{"filters": (8,), "stride": 1, "first": (I4,), **options})


# --- devices ---------------------------------------------------------------------------------


def test_prices_by_hand():
    device = SimulatedDevice("toy", 1.0, 10.0, 0.1)
    assert device.cost(Macs(1_000_000, 2_000_000, 30_000_000)) == pytest.approx(24.0)
    with pytest.raises(ValueError, match="above 0"):
        SimulatedDevice("free", 0.0, 1.0, 1.0)


def counted(space: LayerSpace, codes: torch.Tensor) -> torch.Tensor:
    """Millions of multiply-adds by kind, from the networks themselves."""
    rows = []
    for point in decode(space, codes):
        whole = count(create_model(space.spec(point)), SIDE)
        operators = whole.operators
        rows.append([operators.get(kind, 0) for kind in ("pointwise", "depthwise", "conv")])
    return torch.tensor(rows, dtype=torch.float64) / 1e6


@pytest.mark.parametrize("space", [TINY, WIDE], ids=lambda space: space.name)
def test_multiply_adds_are_those_of_the_networks(space):
    codes = sample_codes(space, 3, seeded(3))
    torch.testing.assert_close(space_macs(space, codes, SIDE), counted(space, codes))


def test_the_cpu_counts_multiply_adds_and_the_accelerator_does_not():
    codes = sample_codes(SMALL, 300, seeded())
    macs = space_macs(SMALL, codes, SIDE)
    cpu = device_latency(SMALL, DEVICES["cpu"], SIDE)(codes)
    torch.testing.assert_close(cpu, macs.sum(1))
    accelerator = device_latency(SMALL, DEVICES["accelerator"], SIDE)(codes)
    prices = torch.tensor([0.25, 2.0, 1 / 12], dtype=torch.float64)
    torch.testing.assert_close(accelerator, macs @ prices)
    line = _best_line(macs.sum(1), accelerator)
    assert determination(line, accelerator) < 0.7


def _best_line(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    columns = torch.stack([x, torch.ones_like(x)], dim=1)
    return columns @ torch.linalg.lstsq(columns, y[:, None]).solution[:, 0]


# --- the linear model ------------------------------------------------------------------------


def test_features_of_a_tiny_space():
    # Layer 0: two widths out, one kind. Layer 1: 2 x 2 widths, two kinds. Layer 2: 2 x 2 cells.
    assert layer_features(TINY, torch.tensor([[0, 0, 0, 0, 0], [1, 0, 1, 1, 1]])).tolist() == [
        [0, 2, 10],
        [1, 9, 13],
    ]


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_a_fit_finds_what_is_additive(device):
    truth = device_latency(WIDE, device, SIDE)
    codes = sample_codes(WIDE, 1500, seeded(1))
    fitted = LinearLatency.fit(WIDE, codes, truth(codes))
    others = sample_codes(WIDE, 200, seeded(2))
    assert determination(fitted(others), truth(others)) > 0.999


def test_few_networks_are_too_few():
    truth = device_latency(WIDE, DEVICES["accelerator"], SIDE)
    others = sample_codes(WIDE, 200, seeded(2))
    scores = []
    for number in (40, 400):
        codes = sample_codes(WIDE, number, seeded(1))
        fitted = LinearLatency.fit(WIDE, codes, truth(codes))
        scores.append(determination(fitted(others), truth(others)))
    assert scores[0] < 0.9 < scores[1]


def test_fit_refuses():
    codes = sample_codes(TINY, 3, seeded())
    with pytest.raises(ValueError, match="3 points need one finite latency each"):
        LinearLatency.fit(TINY, codes, torch.zeros(2, dtype=torch.float64))


def test_determination_by_hand():
    measured = torch.tensor([1.0, 2.0, 3.0])
    assert determination(measured, measured) == 1
    assert determination(torch.full((3,), 2.0), measured) == 0
    assert determination(torch.tensor([1.0, 2.0, 2.0]), measured) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="all equal"):
        determination(measured, torch.ones(3))
    with pytest.raises(ValueError, match="as many"):
        determination(measured, torch.ones(2))


# --- search ----------------------------------------------------------------------------------


def capacity(codes: torch.Tensor) -> torch.Tensor:
    """A quality by formula: every layer that is there adds, and more so the more it expands."""
    worth = {None: 0.0, Inverted(3, 1): 0.2}
    total = torch.zeros(len(codes), dtype=torch.float64)
    for layer in SMALL.layers:
        gains = [
            worth[kind] if kind in worth else 0.6 + 0.05 * getattr(kind, "expansion", 2)
            for kind in layer.options
        ]
        total += torch.tensor(gains, dtype=torch.float64)[codes[:, layer.choice]]
    return 0.5 + 0.05 * total / len(SMALL.layers)


def fused_layers(searcher: TuNAS) -> float:
    """How many fused layers a point of the controller has, on average."""
    probabilities = searcher.controller.probabilities()
    return sum(
        probabilities[layer.choice][at].item()
        for layer in SMALL.layers
        for at, kind in enumerate(layer.options)
        if isinstance(kind, Fused)
    )


def test_the_same_quality_and_another_device_give_other_layers():
    """Where little can be spent, the accelerator affords more regular convolutions."""
    used = dict.fromkeys(DEVICES, 0.0)
    for name, device in DEVICES.items():
        cost = device_latency(SMALL, device, 96)
        random = cost(sample_codes(SMALL, 400, seeded(9)))
        reward = AbsoluteReward(0.4 * random.median().item(), beta=-0.2)

        def evaluate(codes, cost=cost):
            return Evaluation(capacity(codes), cost(codes))

        for seed in range(3):
            searcher = TuNAS(SMALL, seed, steps=1500, learning_rate=0.05)
            run_search(searcher, evaluate, reward, budget=1500, batch=1)
            found = searcher.found()
            assert abs(cost(found[None]).item() / reward.target - 1) < 0.05
            tried = run_search(RandomSearch(SMALL, seed), evaluate, reward, budget=400, batch=10)
            assert reward(*evaluate(found[None])) > tried.rewards.mean()
            used[name] += fused_layers(searcher)
    assert used["accelerator"] > used["cpu"] + 1
