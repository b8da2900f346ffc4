"""Achieved multiply-adds: what is counted, what is timed, and that a chain's ends are taken off."""

import pytest
import torch
from torch import nn

from mnv3lib.measure import utilisation as module
from mnv3lib.measure.latency import Spread
from mnv3lib.measure.utilisation import ConvCase, LayerCase, Utilisation, added_ms, utilisation


@pytest.mark.parametrize(
    ("case", "macs"),
    [
        (ConvCase("regular", 32, 80), 58_982_400),  # 9 x 32 x 32 a pixel
        (ConvCase("depthwise", 32, 80), 1_843_200),
        (ConvCase("depthwise", 32, 80, 5), 5_120_000),
        (ConvCase("pointwise", 32, 80, 1), 6_553_600),
    ],
)
def test_macs_by_hand(case, macs):
    assert case.macs == case.layer.macs == macs
    layer = case.layer.build()
    assert layer.weight.numel() * case.side**2 == macs
    x = torch.zeros(1, 32, 5, 5)
    assert layer(x).shape == x.shape


def test_names():
    assert ConvCase("depthwise", 32, 80, 5).name == "depthwise 5x5, 32x80x80"


def test_rate():
    assert Utilisation(3_000_000, Spread(1.5, 1.0, 2.0)).gmacs == pytest.approx(2.0)


def test_a_layer_costs_what_the_longer_chain_takes_more():
    samples = {"1 a": [3.0, 4.0], "5 a": [11.0, 4.0], "1 b": [1.0, 1.0], "5 b": [1.0, 1.0]}
    assert module._differences(samples, "a") == [2.0, 0.0]


@pytest.mark.parametrize("runtime", ["eager", "onnxruntime"])
def test_all_kinds_are_timed(runtime):
    cases = {
        case.name: case.layer
        for case in (ConvCase("depthwise", 4, 6), ConvCase("pointwise", 4, 6, 1))
    }
    before = torch.get_rng_state()
    measured = utilisation(cases, runtime, rounds=2)
    assert torch.equal(before, torch.get_rng_state())
    assert list(measured) == list(cases)
    assert measured["depthwise 3x3, 4x6x6"].macs == 9 * 4 * 36
    assert all(len(times) == 3 for times in added_ms(cases, runtime, rounds=3).values())


def test_chains_lie_in_channels_last():
    chain = module._chain(4, [ConvCase("depthwise", 4, 6).layer.build()])
    x = torch.zeros(1, 4, 6, 6).to(memory_format=torch.channels_last)
    assert chain(x).is_contiguous(memory_format=torch.channels_last)
    assert sum(1 for m in chain.modules() if isinstance(m, nn.Conv2d)) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dense", 4, 4), "unknown kind 'dense'"),
        (("regular", 0, 4), "at least 1"),
        (("pointwise", 4, 4, 3), "kernel of 1, got 3"),
    ],
)
def test_refuses_cases(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConvCase(*arguments)


def test_refuses_nothing_to_time():
    with pytest.raises(ValueError, match="nothing to time"):
        added_ms({})
    with pytest.raises(ValueError, match="unknown runtime"):
        added_ms({"a": LayerCase(nn.Identity, 1, 1, 1)}, "abacus")
