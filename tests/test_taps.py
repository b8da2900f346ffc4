"""Maps inside a network."""

import pytest
import torch

from mnv3lib import create_model
from mnv3lib.models.taps import Tap, tapped_maps


@pytest.fixture(scope="module")
def network():
    return create_model("mobilenet_v3_small", generator=torch.Generator().manual_seed(0)).eval()


def test_taps_are_what_the_parts_return(network):
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    seen = {}
    for part in ("expand", "depthwise"):
        module = getattr(network.rows[9], part)
        module.register_forward_hook(lambda _, __, out, part=part: seen.update({part: out}))
    taps = [Tap(12), Tap(9, "depthwise"), Tap(9, "expand"), Tap(9)]
    last, depthwise, expand, block = tapped_maps(network.rows, images, taps)
    assert torch.equal(expand, seen["expand"])
    assert torch.equal(depthwise, seen["depthwise"])
    shapes = [tuple(found.shape[1:]) for found in (expand, depthwise, block)]
    assert shapes == [(288, 4, 4), (288, 2, 2), (96, 2, 2)]
    assert torch.equal(last, network.features(images)["C5"])


def test_the_input_of_a_tapped_block_is_still_added(network):
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    _, tapped = tapped_maps(network.rows, images, [Tap(6, "depthwise"), Tap(6)])
    (plain,) = tapped_maps(network.rows, images, [Tap(6)])
    assert network.rows[6].use_residual
    assert torch.equal(tapped, plain)


@pytest.mark.parametrize(
    ("tap", "message"),
    [
        (Tap(99), "rows 0 to 15"),
        (Tap(1, "expand"), "it has parts depthwise, se, project"),
        (Tap(0, "expand"), "no parts to tap"),
    ],
)
def test_places_that_do_not_exist_are_named(network, tap, message):
    with pytest.raises(ValueError, match=message):
        tapped_maps(network.rows, torch.zeros(1, 3, 64, 64), [tap])
