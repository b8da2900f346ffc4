"""SkipblockNet: its table to the unit, its skip blocks by hand, and its differences to V3-Large."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from mnv3lib.measure import count
from mnv3lib.models import Network, deploy, model_spec
from mnv3lib.models.edits import without_skip_blocks
from mnv3lib.models.mobilenet_v3 import MOBILENET_V3_LARGE
from mnv3lib.models.rows import BneckRow
from mnv3lib.models.scaling import scale_rows
from mnv3lib.models.skip_rows import SkipBlockRow
from mnv3lib.models.skipblocknet import MODELS, SKIPBLOCKNET_M
from mnv3lib.models.tables import from_table, to_table
from mnv3lib.models.taps import Tap, tapped_maps
from mnv3lib.ops.skip_block import SkipBlock, averaged_down

SKIPS = [row for row in SKIPBLOCKNET_M.rows if isinstance(row, SkipBlockRow)]


@pytest.fixture(scope="module")
def medium():
    return count(Network(SKIPBLOCKNET_M), batch_norm="counted")


def narrow(**changes: object) -> Network:
    """A network of the table's shape that is quick to run."""
    rows = scale_rows(SKIPBLOCKNET_M.rows, 0.35)
    spec = replace(SKIPBLOCKNET_M, rows=rows, **changes).with_classes(5)
    return Network(spec, generator=torch.Generator().manual_seed(0))


# --- counts ------------------------------------------------------------------------------------


def test_rows_of_the_published_code(medium):
    base_to_last_conv = [
        *[464, 752, 3_440, 4_440, 10_328, 20_992, 57_264, 8_240],
        *[32_080, 34_760, 31_992, 31_992, 4_520],
        *[214_424, 386_120, 429_224, 797_360, 797_360, 155_520],
    ]
    head = [0, 1_230_080, 1_281_000]
    assert [row.params for row in medium.rows] == base_to_last_conv + head
    assert medium.params == 5_532_352


def test_multiply_adds_with_and_without_batch_norm(medium):
    free = count(Network(SKIPBLOCKNET_M))
    assert free.macs == 236_622_048
    norms = medium.operators["batch_norm"]
    # The published 246 M count two operations an element of a batch norm.
    assert free.macs + 2 * norms == 246_625_888
    assert medium.macs == free.macs + norms
    assert [row.macs for row in free.rows if row.operator.startswith("skip")] == [
        1_204_224 + 1_881_600 + 3_010_560,
        125_440 + 70_560 + 627_200,
    ]


@pytest.mark.parametrize(("classes", "params"), [(100, 4_379_452), (10, 4_264_162)])
def test_fewer_classes(classes, params):
    network = Network(SKIPBLOCKNET_M.with_classes(classes))
    assert sum(p.numel() for p in network.parameters()) == params


@pytest.mark.parametrize(
    ("name", "params", "macs", "with_norm"),
    [
        ("skipblocknet_xs", 2_328_680, 76_213_456, 81_707_728),
        ("skipblocknet_s", 3_686_480, 144_399_040, 152_726_688),
        ("skipblocknet_m", 5_532_352, 236_622_048, 246_625_888),
        ("skipblocknet_l", 7_134_360, 351_803_456, 365_149_488),
    ],
)
def test_the_family(name, params, macs, with_norm):
    counted = count(Network(MODELS[name]), batch_norm="counted")
    norms = counted.operators["batch_norm"]
    assert (counted.params, counted.macs - norms) == (params, macs)
    assert counted.macs + norms == with_norm


def test_squeezed_widths():
    network = Network(SKIPBLOCKNET_M)
    gates = [block.se for block in network.rows if getattr(block, "se", None) is not None]
    assert [(gate.reduce.in_channels, gate.reduce.out_channels) for gate in gates] == [
        (72, 24),
        (120, 32),
        (240, 64),
        (480, 120),
        (672, 168),
        (672, 168),
        (960, 240),
        (960, 240),
    ]


def test_difference_to_large(medium):
    large = count(Network(MOBILENET_V3_LARGE))
    assert medium.params - large.params == 49_320
    plain = [row for row in SKIPBLOCKNET_M.rows if row not in SKIPS]
    pairs = zip(plain, MOBILENET_V3_LARGE.rows, strict=True)
    changed = [
        (ours, theirs) for ours, theirs in pairs if ours != theirs and isinstance(ours, BneckRow)
    ]
    assert [(ours.exp, ours.act, theirs.exp, theirs.act) for ours, theirs in changed] == [
        (16, "hard_swish", 16, "relu"),
        (240, "hard_swish", 120, "relu"),
    ]


# --- the skip block ----------------------------------------------------------------------------


def test_a_skip_block_by_hand():
    block = SkipBlock(1, 2, 1, 3, norm_layer=lambda channels: nn.Identity())
    with torch.no_grad():
        block.expand.conv.weight.copy_(torch.tensor([1.0, -1]).view(2, 1, 1, 1))
        block.depthwise.conv.weight.zero_()[:, :, 1, 1] = 2.0
        block.project.conv.weight.copy_(torch.tensor([3.0, 5]).view(1, 2, 1, 1))
    earlier = torch.tensor([[1.0, 3, -4, -4], [5, 7, -4, -4]]).view(1, 1, 2, 4)
    x = torch.tensor([[10.0, 20]]).view(1, 1, 1, 2)
    # Means 4 and -4; expanded to (4, -4) and (-4, 4), ReLU, doubled: (8, 0) and (0, 8).
    assert block(x, earlier).flatten().tolist() == [10 + 3 * 8, 20 + 5 * 8]


@pytest.mark.parametrize(("side", "small"), [(8, 2), (8, 8), (7, 4), (10, 3)])
def test_averages_are_adaptive_pooling(side, small):
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    expected = functional.adaptive_avg_pool2d(x, small)
    torch.testing.assert_close(averaged_down(x, (small, small)), expected)


class Averaging(nn.Module):
    """A map of 8 pixels, averaged down to 2 between two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.after(averaged_down(self.before(x), (2, 2)))


def test_averaging_stays_with_the_fast_kernels(tmp_path, monkeypatch):
    pytest.importorskip("executorch", reason="needs the extra 'deploy'")
    from mnv3lib.compress.executorch_file import executorch_bytes, left_behind
    from mnv3lib.measure.runtime_executorch import load_program

    monkeypatch.setenv("MNV3_CACHE", str(tmp_path))
    network, x = Averaging().eval(), torch.randn(1, 3, 8, 8)
    content = executorch_bytes(network, x)
    assert left_behind(content) == []
    torch.testing.assert_close(load_program(content, 1).bind(x)(), network(x).detach())


def test_skip_blocks_read_the_first_block():
    assert [(row.source, row.kernel, row.out) for row in SKIPS] == [(1, 5, 40), (1, 3, 80)]
    network = Network(SKIPBLOCKNET_M)
    blocks = [block for block in network.rows if isinstance(block, SkipBlock)]
    assert [block.expand.conv.out_channels for block in blocks] == [96, 40]
    assert [block.expand.conv.in_channels for block in blocks] == [16, 16]


@pytest.mark.parametrize("width", [0.35, 0.5, 1.25])
def test_skip_blocks_read_the_width_that_there_is(width):
    """The published code expects 16 channels at any width, and fails."""
    network = Network(replace(SKIPBLOCKNET_M, rows=scale_rows(SKIPBLOCKNET_M.rows, width)))
    base = network.spec.rows[1].out
    found = [b.expand.conv.in_channels for b in network.rows if isinstance(b, SkipBlock)]
    assert found == [base, base] != [16, 16]


def test_a_table_without_skip_blocks():
    plain = replace(SKIPBLOCKNET_M, rows=without_skip_blocks(SKIPBLOCKNET_M.rows))
    assert len(plain.rows) == len(MOBILENET_V3_LARGE.rows)
    assert count(Network(plain)).params == 5_532_352 - 8_240 - 4_520


# --- the network -------------------------------------------------------------------------------


def test_shapes_inside():
    network = Network(SKIPBLOCKNET_M).eval()
    with torch.no_grad():
        base, last = tapped_maps(network.rows, torch.zeros(1, 3, 224, 224), [Tap(1), Tap(18)])
    assert base.shape == (1, 16, 112, 112)
    assert last.shape == (1, 960, 7, 7)


@pytest.mark.parametrize("side", [32, 50, 64, 160])
def test_any_size_of_images(side):
    """The published code fails at 160 pixels: its skip blocks return 28 pixels, not 20."""
    network = narrow().eval()
    with torch.no_grad():
        assert network(torch.randn(1, 3, side, side)).shape == (1, 5)


def test_the_forward_pass_of_the_published_code():
    network = narrow().eval()
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    rows = network.rows
    with torch.no_grad():
        first = rows[1](rows[0](x))
        a = nn.Sequential(*rows[2:7])(first)
        b = nn.Sequential(*rows[8:12])(rows[7](a, first))
        c = nn.Sequential(*rows[13:])(rows[12](b, first))
        torch.testing.assert_close(network(x), c)


def test_the_first_block_keeps_its_expansion():
    block = Network(SKIPBLOCKNET_M).rows[1]
    assert block.expand is not None
    assert block.use_residual


def test_gradients_reach_the_base_through_the_skips():
    network = narrow()
    base, after = tapped_maps(network.rows, torch.randn(2, 3, 32, 32), [Tap(1), Tap(12)])
    (through,) = torch.autograd.grad(after.sum(), base)
    assert through.abs().sum() > 0


def test_folding_keeps_the_outputs():
    network = narrow().double()
    x = torch.randn(4, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    network(x)
    network.eval()
    folded = deploy(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    torch.testing.assert_close(folded(x), network(x))


def test_the_table_is_data():
    assert from_table(to_table(SKIPBLOCKNET_M)) == SKIPBLOCKNET_M


@pytest.mark.parametrize("name", MODELS)
def test_names(name):
    assert model_spec(name) == MODELS[name]


def test_skip_blocks_are_an_option():
    plain = model_spec("skipblocknet_m", skip_blocks=False)
    assert plain.rows == without_skip_blocks(SKIPBLOCKNET_M.rows)
    large = "mobilenet_v3_large"  # which has none
    assert model_spec(large, skip_blocks=False) == model_spec(large)
