"""An independent reading of the tables, from stock modules, agrees with our networks."""

from dataclasses import replace

import pytest
import torch

from all_networks import EVERY
from mnv3lib import create_model
from mnv3lib.measure.stock import knows, stock_network
from mnv3lib.models import model_spec


@pytest.mark.parametrize("width", [0.35, 1.0])
@pytest.mark.parametrize("name", [name for name in EVERY if knows(model_spec(name))])
def test_stock_network_gives_the_same_logits(name: str, width: float) -> None:
    ours = create_model(name, width_mult=width, generator=torch.Generator().manual_seed(0))
    stock = stock_network(ours.spec)
    tensors = ours.state_dict().values()
    stock.load_state_dict(dict(zip(stock.state_dict(), tensors, strict=True)))
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    ours, stock = ours.double().eval(), stock.double().eval()
    torch.testing.assert_close(ours(x.double()), stock(x.double()))


def test_stock_network_says_what_it_cannot_do() -> None:
    spec = replace(model_spec("mobilenet_v2"), padding="same")
    with pytest.raises(ValueError, match="knows symmetric padding"):
        stock_network(spec)
