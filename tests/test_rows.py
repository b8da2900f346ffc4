"""Kinds of rows beyond the MobileNets': how a network builds, runs, scales and folds them."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from mnv3lib import count, create_model, deploy
from mnv3lib.heads.backbones import detection_taps, tap_channels
from mnv3lib.heads.segmenter import create_segmenter
from mnv3lib.measure import activation_memory
from mnv3lib.measure.image_size import own_resolution
from mnv3lib.measure.placed_rows import placed_rows
from mnv3lib.models import Network, NetworkSpec, model_spec
from mnv3lib.models.initial_weights import initialise
from mnv3lib.models.row_modules import Place, row_module
from mnv3lib.models.rows import BneckRow, ConvRow, DenseRow, PlainBneckRow, PoolRow
from mnv3lib.models.running import earlier_rows, run_rows
from mnv3lib.models.scaling import Narrowing, is_scalable, scale_rows, scaled_row
from mnv3lib.models.tables import from_table, to_table
from mnv3lib.models.taps import Tap, tapped_maps
from mnv3lib.ops import ConvNormAct
from mnv3lib.search.row_places import row_places


@dataclass(frozen=True)
class AddRow:
    """Adds a pointwise convolution of an earlier map."""

    out: int
    source: int
    operator: str = "add"


class Add(nn.Module):
    def __init__(self, channels: int, out: int, source: int) -> None:
        super().__init__()
        self.source = source
        self.mix = ConvNormAct(channels, out, 1, act=None)

    def forward(self, x: Tensor, earlier: Tensor) -> Tensor:
        return x + nn.functional.adaptive_avg_pool2d(self.mix(earlier), x.shape[-2:])


@row_module.register
def _(row: AddRow, place: Place) -> nn.Module:
    place.refuse(row, "padding", "dilation")
    return Add(place.earlier_channels, row.out, row.source)


@scaled_row.register
def _(row: AddRow, at: Narrowing) -> AddRow:
    return replace(row, out=at.scaled_in)


@dataclass(frozen=True)
class BiasRow:
    """Adds a learned number to every pixel, so it has to know the side of its map."""

    operator: str = "bias"


class PixelBias(nn.Module):
    def __init__(self, side: int) -> None:
        super().__init__()
        self.numbers = nn.Parameter(torch.empty(side, side))
        self.register_buffer("index", torch.empty(side))

    def draw_weights(self, generator: torch.Generator | None) -> None:
        nn.init.normal_(self.numbers, generator=generator)
        self.index.copy_(torch.arange(len(self.index)))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.numbers


@row_module.register
def _(row: BiasRow, place: Place) -> nn.Module:
    place.refuse(row, "side")
    return PixelBias(place.side)


STEM, HEAD = (ConvRow(3, 8, "relu", 2), ConvRow(3, 16, "relu", 2)), (PoolRow(), DenseRow(4))
LINKED = NetworkSpec("linked", (*STEM, ConvRow(1, 16, "relu"), AddRow(16, 0), *HEAD), "a test")
SIZED = NetworkSpec("sized", (*STEM, BiasRow(), *HEAD), "a test", resolution=30, any_size=False)


def images(side: int = 32) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))


def network_of(spec: NetworkSpec) -> Network:
    return Network(spec, generator=torch.Generator().manual_seed(1)).eval()


# --- rows that read an earlier row ---------------------------------------------------------------


def test_a_row_may_read_an_earlier_row():
    network, x = network_of(LINKED), images()
    first = network.rows[0](x)
    third = network.rows[2](network.rows[1](first))
    pooled = nn.functional.avg_pool2d(network.rows[3].mix(first), 2)  # (2, 16, 16, 16) to 8 x 8
    torch.testing.assert_close(network.features(x)["C2"], third + pooled)
    torch.testing.assert_close(network(x), network.rows[5](network.rows[4](third + pooled)))


def test_all_ways_through_the_rows_agree():
    network, x = network_of(LINKED), images()
    outputs = list(run_rows(network.rows, x))
    assert [tuple(y.shape[1:]) for y in outputs] == [(8, 16, 16), *[(16, 8, 8)] * 3, (16,), (4,)]
    assert torch.equal(outputs[-1], network(x))
    assert torch.equal(tapped_maps(network.rows[:4], x, [Tap(3)])[0], outputs[3])
    assert earlier_rows(network.rows) == {3: 0}
    torch.testing.assert_close(deploy(network)(x), network(x))


def test_what_waits_for_a_later_row_takes_memory():
    network = network_of(LINKED)
    chain = Network(replace(LINKED, rows=LINKED.rows[:3] + LINKED.rows[4:]))
    linked, plain = (activation_memory(n, 32, bytes_per_element=1) for n in (network, chain))
    assert linked["rows.1"] == plain["rows.1"]  # reads the map itself
    assert linked["rows.2"] == plain["rows.2"] + 8 * 16 * 16


def test_counts_of_a_row_that_reads_two():
    counted = count(network_of(LINKED), 32)
    assert counted.rows[3].macs == 16 * 16 * 8 * 16
    assert sum(row.macs for row in counted.rows) == counted.macs


def test_what_cannot_be_done_with_such_rows_is_said():
    with pytest.raises(ValueError, match="row 3 also reads the output of row 0"):
        placed_rows(network_of(LINKED), 32)
    with pytest.raises(ValueError, match="row 0 reads row 0, which is not above it"):
        Network(replace(LINKED, rows=(AddRow(3, 0), *HEAD)))
    with pytest.raises(ValueError, match=r"AddRow pads symmetrically, got padding='same'"):
        Network(replace(LINKED, padding="same"))
    with pytest.raises(ValueError, match="AddRow is none of the papers' rows"):
        list(row_places(LINKED))
    with pytest.raises(ValueError, match="row 3 is a AddRow, which tables do not hold"):
        to_table(LINKED)


def test_width_reaches_the_rows_that_read_two():
    wide = scale_rows(LINKED.rows, 2.0)
    assert [getattr(row, "out", None) for row in wide] == [16, 32, 32, 32, None, 4]
    assert Network(replace(LINKED, rows=wide)).eval()(images()).shape == (2, 4)


# --- one size of images --------------------------------------------------------------------------


def test_a_network_for_one_size_knows_the_sides_of_its_maps():
    network = network_of(SIZED)
    assert network.rows[2].numbers.shape == (8, 8)  # 30 -> 15 -> 8, rounded up
    assert network.rows[2].index.tolist() == list(range(8))
    assert network(images(30)).shape == (2, 4)
    with pytest.raises(ValueError, match=r"for images of 30 x 30 pixels, got 32 x 32.*=32\)"):
        network(images(32))


def test_such_a_network_is_counted_at_its_size_and_built_for_others():
    assert count(network_of(SIZED)).resolution == 30
    other = create_model(SIZED, resolution=64, num_classes=3)
    assert other.rows[2].numbers.shape == (16, 16)
    assert count(other).resolution == 64
    assert not is_scalable(SIZED.rows)
    with pytest.raises(ValueError, match=r"a BiasRow cannot be scaled by width_mult=0\.5"):
        create_model(SIZED, width_mult=0.5)
    with pytest.raises(ValueError, match="BiasRow is built for one size of maps: set resolution"):
        Network(replace(SIZED, any_size=True))


@pytest.mark.parametrize("resolution", [0, -3, None])
def test_a_size_must_be_a_size(resolution):
    with pytest.raises(ValueError, match="resolution must be a number of pixels, got"):
        replace(SIZED, resolution=resolution)


def test_sizes_that_differ_need_a_word():
    small, large = (create_model("mobilenet_v3_small", resolution=r) for r in (64, None))
    assert (own_resolution(small), own_resolution(large), own_resolution()) == (64, 224, 224)
    with pytest.raises(ValueError, match="made for images of 64, 224 pixels; name the resolution"):
        own_resolution(small, large)


def test_segmentation_wants_networks_for_every_size():
    with pytest.raises(ValueError, match="sized is built for one size of images"):
        create_segmenter(SIZED, num_classes=2)


# --- conventions ---------------------------------------------------------------------------------


def test_a_plain_bneck_never_adds_its_input():
    rows = (ConvRow(3, 8, "relu", 2), BneckRow(3, 16, 8, False, "relu"))
    plain = PlainBneckRow(3, 16, 8, False, "relu")
    spec = NetworkSpec("x", (*rows, plain, *HEAD), "x")
    network = Network(spec)
    assert [row.use_residual for row in network.rows[1:3]] == [True, False]
    assert plain.operator == "bneck 3x3, no shortcut"
    assert from_table(to_table(spec)) == spec
    assert scale_rows(spec.rows, 2.0)[2] == PlainBneckRow(3, 32, 16, False, "relu")


def test_expansions_that_do_not_widen_are_kept_on_request():
    rows = (ConvRow(3, 8, "relu", 2), BneckRow(3, 8, 8, False, "relu"), *HEAD)
    usual, always = (NetworkSpec("x", rows, "x", always_expand=flag) for flag in (False, True))
    assert Network(usual).rows[1].expand is None
    assert Network(always).rows[1].expand.conv.weight.shape == (8, 8, 1, 1)
    with pytest.raises(ValueError, match="x expands in every block"):
        list(row_places(always))


def test_a_detector_may_look_at_outputs():
    spec = model_spec("mobilenet_v3_small")
    outputs = replace(spec, detector_maps="output")
    assert detection_taps(spec) == (Tap(9, "expand"), Tap(12))
    assert detection_taps(outputs) == (Tap(8), Tap(12))
    assert [tap_channels(outputs, tap) for tap in detection_taps(outputs)] == [48, 576]


def test_output_strides_go_up_to_the_tables_own():
    rows = (*[ConvRow(3, 8, "relu", 2)] * 6, *HEAD)
    spec = NetworkSpec("deep", rows, "x", output_stride=64)
    assert list(Network(spec).feature_channels) == ["C1", "C2", "C3", "C4", "C5", "C6"]
    with pytest.raises(ValueError, match="output_stride must be 8, 16, 32 or 64, got 4"):
        Network(replace(spec, output_stride=4))


def test_unknown_names_of_rules_are_refused():
    bneck = NetworkSpec("x", (BneckRow(3, 8, 8, True, "relu"),), "x", squeeze="half")
    with pytest.raises(ValueError, match=r"unknown squeeze 'half'; choose one of \['expansion'"):
        Network(bneck)
    with pytest.raises(ValueError, match="unknown rule 'ones' for initial weights"):
        initialise(nn.Identity(), rule="ones")
    with pytest.raises(ValueError, match="no module is known for a row of type object"):
        Network(NetworkSpec("x", (object(),), "x"))


def test_efficientnets_classifier_starts_uniform():
    layer = nn.Linear(50, 400)
    initialise(layer, torch.Generator().manual_seed(0), rule="efficientnet")
    assert layer.weight.abs().max().item() == pytest.approx(0.05, rel=1e-3)  # 1 / sqrt(400)
    assert layer.bias.abs().max() == 0


def test_drop_path_needs_blocks_to_drop():
    with pytest.raises(ValueError, match="linked has no residual block to drop"):
        create_model(LINKED, drop_path=0.1)
