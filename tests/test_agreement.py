"""Agreement of two networks: decibels by hand, and the layer that is to blame."""

import math

import pytest
import torch
from torch import nn

from mnv3lib.compress.agreement import (
    Agreement,
    compare_networks,
    layer_sensitivity,
    signal_to_noise_db,
    top1_agreement,
)
from quantised_networks import images, one_product, small_network


def test_decibels_by_hand():
    reference = torch.tensor([[3.0, 4.0]])
    assert signal_to_noise_db(reference, torch.tensor([[3.0, 4.5]])) == pytest.approx(
        20
    )  # 25 / .25
    assert signal_to_noise_db(reference, 2 * reference) == pytest.approx(0)
    assert signal_to_noise_db(reference, reference) == math.inf
    with pytest.raises(ValueError, match=r"cannot compare \(1, 2\) with \(1, 1\)"):
        signal_to_noise_db(reference, reference[:, :1])


def test_two_networks_by_hand():
    first, second = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    assert top1_agreement(torch.cat([first, second]), torch.cat([first, first])) == 0.5

    def swapped(x):  # the second image's logits are exchanged
        return x.flip(1) if x.max() > 1 else x

    found = compare_networks(lambda x: x, swapped, [first, second])  # energies 1 + 4 and 0 + 8
    assert found == Agreement(0.5, pytest.approx(10 * math.log10(5 / 8)), 2)
    with pytest.raises(ValueError, match="no images to compare"):
        compare_networks(swapped, swapped, [])


def test_the_layer_that_is_to_blame():
    # The first layer is the identity, whose weights and inputs int8 represents. In the second the
    # weight 0.4 beside 127 becomes 0, and only that channel has values: the output is lost.
    pytest.importorskip("executorch")
    identity = nn.Conv2d(3, 3, 1, bias=False)
    identity.weight.data = torch.eye(3).reshape(3, 3, 1, 1)
    network = nn.Sequential()
    network.add_module("identity", identity)
    network.add_module("product", one_product(127.0, 0.4, 0.0))
    batch = torch.zeros(256, 3, 1, 1)
    batch[:, 1, 0, 0] = torch.arange(256) * 0.01

    first, second, output = layer_sensitivity(network, [batch[:128], batch[128:]])
    assert (first.layer, first.operator) == ("identity", "conv2d")
    assert (second.layer, second.operator) == ("product.0", "conv2d")
    assert output.layer == "output"
    assert first.alone_db > 100
    assert second.alone_db == first.spared_db == output.spared_db == pytest.approx(0)
    assert min(output.alone_db, second.spared_db) > 50


def test_every_operator_of_a_network_has_its_turn():
    pytest.importorskip("executorch")
    rows = layer_sensitivity(small_network(), [images(16)])
    operators = [row.operator for row in rows]
    assert {"conv2d", "hardswish", "hardsigmoid", "mul", "add", "linear"} <= set(operators)
    assert operators.count("conv2d") == 6  # stem, expand, depthwise, project and two of the gate
    assert rows[0].layer == "stem.conv"
    assert all(row.alone_db > row.spared_db > 10 for row in rows if row.operator == "conv2d")
