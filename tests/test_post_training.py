"""Post-training quantisation: levels by hand, one network in and one out, clear errors."""

import copy

import pytest
import torch
from torch import nn

from mnv3lib.compress.agreement import signal_to_noise_db
from mnv3lib.compress.post_training import quantise_network, record
from quantised_networks import images, one_product, small_network

pytest.importorskip("executorch")


def calls(graph, name):
    """The calls of an operator: what it reads, its scale, zero point, limits and type."""
    target = getattr(torch.ops.quantized_decomposed, name).default
    return [n.args for n in graph.graph.nodes if n.op == "call_function" and n.target is target]


def test_one_convolution_by_hand():
    # Weights: 1.27 / 127 = 0.01 a step. Input from 0 to 2.55: 0.01 a step, 0 at -128.
    # Output from -0.64 to 3.2385 over the two calibration images below.
    network = one_product(1.27, -0.64, 0.004)
    batch = torch.tensor([[2.55, 0.0, 0.0], [0.0, 1.0, 0.0]])[..., None, None]
    quantised = quantise_network(network, [batch])

    enters, leaves = calls(quantised, "quantize_per_tensor")
    assert enters[1:] == (pytest.approx(0.01), -128, -128, 127, torch.int8)
    step = (3.2385 + 0.64) / 255
    assert leaves[1:3] == (pytest.approx(step), -128 + round(0.64 / step))
    (weights,) = calls(quantised, "dequantize_per_channel")
    levels = getattr(quantised, weights[0].target)
    assert levels.dtype == torch.int8
    assert levels.flatten().tolist() == [127, -64, 0]
    assert getattr(quantised, weights[1].target).tolist() == [pytest.approx(0.01)]

    exact = 1.27 * 0.5 - 0.64 * 0.25  # the third weight was rounded to nothing
    x = torch.tensor([0.5, 0.25, 2.0]).reshape(1, 3, 1, 1)
    assert quantised(x).item() == pytest.approx(exact, abs=step / 2)


def test_relu6_gets_all_levels():
    network = one_product(1.0, 0.0, 0.0).append(nn.ReLU6())
    batch = torch.tensor([-10.0, 10.0]).reshape(2, 1, 1, 1).expand(2, 3, 1, 1)
    _, leaves = calls(quantise_network(network, [batch]), "quantize_per_tensor")
    assert leaves[1:3] == (pytest.approx(6 / 255), -128)


@pytest.mark.parametrize("act", ["hard_swish", "swish", "relu"])
def test_it_agrees_with_the_float_network(act):
    network = small_network(act)
    batches = [images(16, seed=1), images(16, seed=2)]
    quantised = quantise_network(network, batches)
    with torch.no_grad():  # on the images seen, nothing is out of range
        assert signal_to_noise_db(network(batches[0]), quantised(batches[0])) > 25


def test_the_network_is_left_alone_and_the_result_is_a_module_like_any_other():
    network = small_network(dropout=0.5).train()
    before = copy.deepcopy(network.state_dict())
    quantised = quantise_network(network, [images(16)])
    assert network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())

    test = images(5)
    output = quantised(test)
    assert not output.requires_grad
    assert quantised.train() is quantised
    torch.testing.assert_close(quantised(test), output)  # no dropout, in either mode
    torch.testing.assert_close(quantised.eval()(test[:1]), output[:1])  # any number of images
    again = torch.export.export(quantised, (test[:1],)).module()
    torch.testing.assert_close(again(test[:1]), output[:1])


def test_one_calibration_image_is_enough():
    assert quantise_network(small_network(), [images(1)])(images(3)).shape == (3, 4)


def test_recording_keeps_the_numbers():
    network = small_network(dropout=0.5)
    with torch.no_grad():
        torch.testing.assert_close(record(network, images(1))(images(4)), network(images(4)))


@pytest.mark.parametrize(
    ("batches", "problem"),
    [
        ([], "no images to calibrate with"),
        ([images(2), images(2, side=6)], r"first was \(2, 3, 8, 8\), this one is \(2, 3, 6, 6\)"),
        ([images(2)[0]], r"\(N, 3, H, W\)"),
        ([images(0)], "N at least 1"),
        ([images(2)[:, :2]], r"does not take images of shape \(2, 2, 8, 8\)"),
    ],
)
def test_wrong_images(batches, problem):
    with pytest.raises(ValueError, match=problem):
        quantise_network(small_network(), batches)


class DependsOnValues(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        (nn.Sigmoid(), "nothing in this network can be quantised"),
        (DependsOnValues(), "cannot record this DependsOnValues"),
    ],
)
def test_wrong_networks(network, problem):
    with pytest.raises(ValueError, match=problem):
        quantise_network(network, [images(2)])


def test_unknown_calibration():
    with pytest.raises(ValueError, match="unknown calibration 'minmax'; did you mean min_max"):
        quantise_network(small_network(), [images(2)], calibration="minmax")
