"""Int8 networks on PyTorch's own kernels: the same values as the graph that they come from."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.fx import GraphModule

from mnv3lib.compress import int8_eager
from mnv3lib.compress.int8_eager import PackedNetwork, look_up, lower_for_x86, with_unsigned
from mnv3lib.compress.post_training import quantise_network
from mnv3lib.measure.runtimes import compile_model
from quantised_networks import images, small_network

pytest.importorskip("executorch")
needs_vnni = pytest.mark.skipif(
    not int8_eager.has_int8_instructions(), reason="the processor has no VNNI instructions"
)


def functions(program: GraphModule) -> list[str]:
    """Names of the functions that a graph calls, in order."""
    return [getattr(n.target, "__name__", "") for n in program.graph.nodes if n.op[:4] == "call"]


def lowered(network: nn.Module, x: torch.Tensor) -> tuple[GraphModule, PackedNetwork]:
    """The int8 graph of a network, calibrated on x, and the same packed."""
    quantised = quantise_network(network, [x])
    return quantised, lower_for_x86(quantised, x)


def snr_db(reference, other):
    return 10 * math.log10(reference.square().sum() / (reference - other).square().sum())


def test_look_up_keeps_shape_and_layout():
    table = torch.arange(255, -1, -1, dtype=torch.uint8)  # 255, 254, ... 0
    x = torch.tensor([[0, 1], [2, 255]], dtype=torch.uint8)
    assert look_up(x, table).tolist() == [[255, 254], [253, 0]]
    assert look_up(x.t(), table).tolist() == [[255, 253], [254, 0]]
    x = torch.randint(0, 256, (2, 3, 4, 5), dtype=torch.uint8)
    x = x.contiguous(memory_format=torch.channels_last)
    found = look_up(x, table)
    assert torch.equal(found, 255 - x)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_unsigned_levels_stand_for_the_same_numbers():
    network, x = nn.Sequential(nn.Conv2d(3, 4, 1)), images(2)
    quantised = quantise_network(network, [x])
    unsigned = with_unsigned(quantised)
    assert torch.equal(unsigned(x), quantised(x))
    nodes = int8_eager._calls(unsigned, "quantize")
    before = int8_eager._calls(quantised, "quantize")
    assert [n.args[2] - b.args[2] for n, b in zip(nodes, before, strict=True)] == [128, 128]
    assert {n.args[3:] for n in nodes} == {(0, 255, torch.uint8)}
    assert {b.args[3:] for b in before} == {(-128, 127, torch.int8)}  # the original is left alone


def test_plain_calls_are_the_operators_bit_for_bit():
    operators = torch.ops.quantized_decomposed
    x = torch.linspace(-3, 3, 4001)  # 0.05 a step: ties between levels among them
    limits = (0, 255, torch.uint8)
    levels = int8_eager._quantise(x, 0.05, 13)
    assert torch.equal(levels, operators.quantize_per_tensor(x, 0.05, 13, *limits))
    back = operators.dequantize_per_tensor(levels, 0.05, 13, *limits)
    assert torch.equal(int8_eager._dequantise(levels, 0.05, 13), back)


@needs_vnni
def test_hard_swish_is_a_table_by_hand():
    # x is 0.1 a step from -12.7 to 12.8. The convolution passes it on, so that hard swish gives 0
    # to 12.8, in steps of about 12.8 / 255 (its dip of -0.375 needs a few levels below zero).
    conv = nn.Conv2d(1, 1, 1, bias=False)
    conv.weight.data.fill_(1.0)
    x = torch.linspace(-12.7, 12.8, 256).reshape(1, 1, 16, 16)
    quantised, packed = lowered(nn.Sequential(conv, nn.Hardswish(), copy.deepcopy(conv)), x)
    program = packed._run.__self__
    assert functions(program).count("look_up") == 1
    assert "hardswish.default" not in functions(program)
    (table,) = (b for name, b in program.named_buffers() if name.startswith("table_"))
    step = (12.8 + 0.375) / 255
    zero = round(0.375 / step)
    for level in (0, 127 - 30, 127, 127 + 30, 255):  # -12.7, -3, 0, 3 and 12.8
        number = (level - 127) / 10
        expected = number * min(max(number + 3, 0), 6) / 6
        assert table[level].item() == pytest.approx(zero + expected / step, abs=1)
    assert torch.equal(packed(x), quantised(x))


@pytest.fixture(scope="module")
def clamped() -> tuple[GraphModule, PackedNetwork]:
    """Convolutions with ReLU and ReLU6 between them, for one image."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.ReLU6(), nn.Conv2d(4, 4, 1)]
    return lowered(nn.Sequential(*layers), 9 * images(1))


@needs_vnni
def test_clamps_go_into_the_quantisation(clamped):
    quantised, packed = clamped
    called = functions(packed._run.__self__)
    assert called.count("qconv_pointwise.default") == 3
    assert not {"relu.default", "hardtanh.default"} & {*called}
    x = 9 * images(1)
    torch.testing.assert_close(packed(x), quantised(x))


@needs_vnni
def test_packed_network_runs_like_any_other(clamped):
    _, packed = clamped
    x = images(1)
    assert copy.deepcopy(packed) is packed
    session = compile_model(packed, x, runtime="eager")
    assert torch.equal(session.run(x), packed.train().eval()(x))
    assert torch.equal(packed(x.contiguous(memory_format=torch.channels_last)), packed(x))
    with pytest.raises(ValueError, match=r"shape \(1, 3, 8, 8\), got \(2, 3, 8, 8\): lower it"):
        packed(images(2))


@needs_vnni
@pytest.mark.parametrize("act", ["hard_swish", "swish"])
def test_network_keeps_its_values(act):
    network, x = small_network(act).requires_grad_(False), images(4)
    quantised, packed = lowered(network, x)
    called = functions(packed._run.__self__)
    assert called.count("qconv_pointwise.default") == 6  # stem, block and its gate
    assert called.count("qlinear_pointwise.default") == 1
    assert called.count("look_up") >= 3  # stem, expansion, depthwise convolution
    assert snr_db(quantised(x), packed(x)) > snr_db(network(x), quantised(x))


def test_what_cannot_be_lowered(monkeypatch):
    graph = torch.fx.symbolic_trace(nn.Sequential(nn.Conv2d(3, 4, 1)))
    with pytest.raises(ValueError, match="no int8 activations: make it with quantise_network"):
        with_unsigned(graph)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    with pytest.raises(ValueError, match="no VNNI instructions"):
        lower_for_x86(graph, images(1))
