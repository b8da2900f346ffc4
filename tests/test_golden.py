"""Outputs of our networks against torchvision's, through its key layout.

The expected numbers were computed by torchvision itself on the weights of :mod:`golden`.
"""

import pytest
import torch

from golden import golden_image, golden_state
from mnv3lib import create_model, deploy, export_weights, load_weights
from mnv3lib.models import Network

LARGE, SMALL = "mobilenet_v3_large", "mobilenet_v3_small"

# name, padding, resolution, first three logits, mean and unbiased standard deviation
# fmt: off
GOLDEN = [
    (LARGE, "symmetric", 224, (-0.666893791, -0.782944833, 1.45596157), -0.00105249265, 1.17902373),
    (LARGE, "symmetric", 64, (-0.666507935, -0.782781412, 1.45534347), -0.0010520068, 1.17851737),
    (LARGE, "same", 224, (-0.667023559, -0.782801517, 1.45588767), -0.00105247111, 1.17900771),
    (
        SMALL,
        "symmetric",
        224,
        (0.200728477, -1.32637923, 0.383672939),
        -0.000904193062,
        0.874649606,
    ),
    (SMALL, "symmetric", 64, (0.69852931, -1.17015429, -0.211846098), -2.87455172e-4, 0.831914176),
    (SMALL, "same", 224, (0.26623206, -1.31580112, 0.311552783), -8.33240704e-4, 0.864458635),
]
# fmt: on
AT_33 = {
    LARGE: (-0.668311333, -0.7816173, 1.45549251),
    SMALL: (-0.0310708581, -1.46253802, 0.700639172),
}


def golden_network(name: str, **options: object) -> Network:
    network = create_model(name, **options).double().eval()
    return load_weights(network, golden_state(export_weights(network, "torchvision")))


def logits(network: torch.nn.Module, resolution: int) -> torch.Tensor:
    with torch.inference_mode():
        return network(golden_image(resolution))[0]


@pytest.mark.parametrize(("name", "padding", "size", "first", "mean", "std"), GOLDEN)
def test_logits_equal_torchvision(
    name: str, padding: str, size: int, first: tuple, mean: float, std: float
) -> None:
    out = logits(golden_network(name, padding=padding), size)
    assert out[:3].tolist() == pytest.approx(first, rel=1e-6)
    assert out.mean().item() == pytest.approx(mean, rel=1e-6)
    assert out.std().item() == pytest.approx(std, rel=1e-6)


@pytest.mark.parametrize("padding", ["symmetric", "same"])
@pytest.mark.parametrize("name", [LARGE, SMALL])
def test_at_33_pixels_both_paddings_give_torchvisions_logits(name: str, padding: str) -> None:
    out = logits(golden_network(name, padding=padding), 33)
    assert out[:3].tolist() == pytest.approx(AT_33[name], rel=1e-6)


@pytest.mark.parametrize("padding", ["symmetric", "same"])
@pytest.mark.parametrize("name", [LARGE, SMALL])
def test_deployed_form_gives_the_same_logits(name: str, padding: str) -> None:
    network = golden_network(name, padding=padding)
    torch.testing.assert_close(
        logits(deploy(network), 64), logits(network, 64), rtol=1e-9, atol=1e-9
    )
