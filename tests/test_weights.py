"""Checkpoints in three layouts: in, out, and everything that must be refused."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from all_networks import EVERY, built
from mnv3lib import create_model, export_weights, load_weights
from mnv3lib.models import Network, WeightsError, model_spec
from mnv3lib.models.layouts import LAYOUTS, numbered_block, unit

SMALL = "mobilenet_v3_small"
PAIRS = [
    (name, layout)
    for name in EVERY
    for layout in ("mnv3lib", *LAYOUTS)
    if layout == "mnv3lib" or model_spec(name).family in LAYOUTS[layout]
]


def small(seed: int, **options: object) -> Network:
    return create_model(SMALL, generator=torch.Generator().manual_seed(seed), **options)


def assert_equal_weights(a: Network, b: Network) -> None:
    other = b.state_dict()
    for key, value in a.state_dict().items():
        assert torch.equal(value, other[key]), key


@pytest.mark.parametrize(("name", "layout"), PAIRS)
def test_out_and_in_again(name: str, layout: str) -> None:
    first = built(name, generator=torch.Generator().manual_seed(1))
    second = built(name, generator=torch.Generator().manual_seed(2))
    state = export_weights(first, layout)
    assert len(state) == len(first.state_dict())
    assert_equal_weights(load_weights(second, state), first)  # layout found by looking
    load_weights(second, state, layout)


@pytest.mark.parametrize(
    ("name", "entries", "values"),
    [("mobilenet_v3_large", 312, 5_507_432), (SMALL, 244, 2_554_968)],
)
def test_torchvision_layout_has_its_entries(name: str, entries: int, values: int) -> None:
    state = export_weights(create_model(name))
    assert len(state) == entries
    assert sum(v.numel() for v in state.values() if v.is_floating_point()) == values


TORCHVISION_KEYS = {
    "mobilenet_v2": {
        "features.0.0.weight": (32, 3, 3, 3),
        "features.1.conv.0.0.weight": (32, 1, 3, 3),
        "features.1.conv.1.weight": (16, 32, 1, 1),
        "features.1.conv.2.running_var": (16,),
        "features.17.conv.1.0.weight": (960, 1, 3, 3),
        "features.17.conv.3.bias": (320,),
        "features.18.0.weight": (1280, 320, 1, 1),
        "classifier.1.weight": (1000, 1280),
    },
    "mobilenet_v3_large": {
        "features.1.block.0.0.weight": (16, 1, 3, 3),
        "features.1.block.1.1.weight": (16,),
        "features.4.block.2.fc1.weight": (24, 72, 1, 1),
        "features.4.block.3.0.weight": (40, 72, 1, 1),
        "features.16.0.weight": (960, 160, 1, 1),
        "classifier.0.weight": (1280, 960),
        "classifier.3.bias": (1000,),
    },
    "mobilenet_v3_small": {
        "features.1.block.1.fc2.bias": (16,),
        "features.1.block.2.0.weight": (16, 16, 1, 1),
        "features.12.1.running_mean": (576,),
    },
    "efficientnet_b0": {
        "features.1.0.block.1.fc1.weight": (8, 32, 1, 1),
        "features.1.0.block.2.0.weight": (16, 32, 1, 1),
        "features.6.3.block.3.1.bias": (192,),
        "features.8.0.weight": (1280, 320, 1, 1),
        "classifier.1.bias": (1000,),
    },
}
TIMM_KEYS = {
    "mobilenet_v1": {
        "conv_stem.weight": (32, 3, 3, 3),
        "blocks.3.5.conv_pw.weight": (512, 512, 1, 1),
        "blocks.4.1.bn1.weight": (1024,),
        "classifier.weight": (1000, 1024),
    },
    "mnasnet_a1": {
        "blocks.0.0.conv_pw.weight": (16, 32, 1, 1),
        "blocks.2.0.se.conv_reduce.weight": (6, 72, 1, 1),
        "blocks.6.0.conv_pwl.weight": (320, 960, 1, 1),
        "conv_head.weight": (1280, 320, 1, 1),
        "bn2.weight": (1280,),
    },
    "mobilenet_v3_large": {
        "blocks.3.3.bn3.weight": (80,),
        "blocks.6.0.conv.weight": (960, 160, 1, 1),
        "blocks.6.0.bn1.weight": (960,),
        "conv_head.weight": (1280, 960, 1, 1),
        "conv_head.bias": (1280,),
        "classifier.weight": (1000, 1280),
    },
    "mobilenet_v3_small": {
        "blocks.0.0.se.conv_expand.weight": (16, 8, 1, 1),
        "blocks.5.0.conv.weight": (576, 96, 1, 1),
    },
}
EXAMPLES = [
    *(("torchvision", name, keys) for name, keys in TORCHVISION_KEYS.items()),
    *(("timm", name, keys) for name, keys in TIMM_KEYS.items()),
]


@pytest.mark.parametrize(("layout", "name", "keys"), EXAMPLES)
def test_keys_and_shapes_of_the_other_libraries(layout: str, name: str, keys: dict) -> None:
    state = export_weights(create_model(name), layout)
    for key, shape in keys.items():
        assert tuple(state[key].shape) == shape, key


def test_width_scaling_that_merges_widths_keeps_timms_stages() -> None:
    """At 0.35 the 40- and 48-channel stages of Small both have 16 channels."""
    state = export_weights(small(0, width_mult=0.35), "timm")
    assert "blocks.4.2.conv_pwl.weight" in state
    assert "blocks.2.3.conv_dw.weight" not in state


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_files(tmp_path: Path, suffix: str) -> None:
    first, path = small(1), tmp_path / f"weights{suffix}"
    state = export_weights(first, "timm")
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    assert_equal_weights(load_weights(small(2), path), first)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_truncated_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    state = export_weights(small(1), "torchvision")
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(WeightsError, match=f"weights{suffix} is not a readable checkpoint"):
        load_weights(small(2), path)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        load_weights(small(1), tmp_path / "absent.pth")


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Surprise:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"weight": Surprise()}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match="not a readable checkpoint"):
        load_weights(small(1), tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


def test_every_misfit_is_listed_and_nothing_is_loaded() -> None:
    network = small(1)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    state = export_weights(small(2), "torchvision")
    del state["features.0.0.weight"]
    state["extra.weight"] = torch.zeros(1)
    state["classifier.3.bias"] = torch.zeros(10)
    with pytest.raises(WeightsError) as error:
        load_weights(network, state, "torchvision")
    message = str(error.value)
    assert "1 missing: features.0.0.weight" in message
    assert "1 unexpected: extra.weight" in message
    assert "1 mis-shaped: classifier.3.bias (10,) instead of (1000,)" in message
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_checkpoint_of_another_network() -> None:
    state = export_weights(create_model("mobilenet_v3_large"), "torchvision")
    with pytest.raises(WeightsError, match=r"does not fit in torchvision layout.*and \d+ more"):
        load_weights(small(1), state)


def test_foreign_checkpoint() -> None:
    with pytest.raises(WeightsError, match="belong to no known layout: layer1"):
        load_weights(small(1), {"layer1.0.conv1.weight": torch.zeros(1)})


def test_a_training_checkpoint_says_where_its_weights_are() -> None:
    with pytest.raises(WeightsError, match=r"checkpoint\['model'\]"):
        load_weights(small(1), {"model": export_weights(small(2)), "epoch": 3})


@pytest.mark.parametrize("name", ["mobilenet_v1", "mnasnet_a1"])
def test_a_layout_that_the_library_lacks(name: str) -> None:
    with pytest.raises(ValueError, match=f"torchvision has no key layout for {name}"):
        export_weights(create_model(name), "torchvision")


def test_unknown_layout() -> None:
    with pytest.raises(ValueError, match="unknown layout 'keras'"):
        load_weights(small(1), {"rows.0.conv.weight": torch.zeros(1)}, "keras")
    with pytest.raises(ValueError, match="export needs a layout"):
        export_weights(small(1), "auto")


class Headed(torch.nn.Module):
    """Two rows of a table and a head, which torchvision would call by other names."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = small(3).rows[:2]
        self.head = torch.nn.Conv2d(16, 4, 1)

    def key_pairs(self, layout: str) -> dict[str, str]:
        if layout != "torchvision":
            raise ValueError(f"{layout} has no key layout for this head")
        pairs = dict(unit("rows.0", "backbone.0.0", "backbone.0.1"))
        pairs |= dict(numbered_block("rows.1", self.rows[1], "backbone.1.block"))
        return pairs | {"head": "classifier.last"}


def test_a_network_with_a_head_brings_its_own_keys() -> None:
    first, second = Headed(), Headed()
    torch.nn.init.ones_(first.head.weight)
    state = export_weights(first)
    assert {"backbone.1.block.1.fc2.bias", "classifier.last.weight"} < set(state)
    assert load_weights(second, state) is second  # "backbone." tells whose keys these are
    assert_equal_weights(first, second)
    assert_equal_weights(load_weights(Headed(), export_weights(first, "mnv3lib")), first)
    del state["classifier.last.weight"]
    with pytest.raises(WeightsError, match=r"torchvision layout: 1 missing: classifier.last"):
        load_weights(second, state)


def test_layouts_that_a_network_with_a_head_lacks() -> None:
    with pytest.raises(ValueError, match="timm has no key layout for this head"):
        export_weights(Headed(), "timm")
    with pytest.raises(ValueError, match="unknown layout 'keras'"):
        export_weights(Headed(), "keras")
