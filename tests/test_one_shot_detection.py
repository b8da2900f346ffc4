"""Searching with shared weights: paths, turns, and the recorder that trains what is found."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from mnv3lib.heads.ssdlite import SSDLite
from mnv3lib.heads.ssdlite_spec import detector_spec
from mnv3lib.ledger import record_layer_search
from mnv3lib.models.layer_kinds import Fused, Inverted, Tucker
from mnv3lib.search import sample_codes
from mnv3lib.search.absolute_reward import AbsoluteReward
from mnv3lib.search.layer_cell import draw_near, kinds_of, median_latency
from mnv3lib.search.layer_space import BlockOptions
from mnv3lib.search.one_shot_detection import OneShotSettings, search_one_shot, with_network
from mnv3lib.search.path_detector import choose_path, largest_point, path_detector
from mnv3lib.search.simulated_device import DEVICES, device_latency
from mnv3lib.search.tdb_space import small_space
from mnv3lib.train.recipe_files import load_recipe
from mnv3lib.train.run import load_images

# Three strides, five layers, a few kinds: 2 x 2 x 2 x 2 x 3 = 48 points.
I4, F4, T = Inverted(3, 4), Fused(3, 4), Tucker(0.25, 0.25)
TINY = replace(
    small_space(),
    name="tiny",
    blocks=(
        BlockOptions((8,), 1, (Inverted(3, 1), T)),
        BlockOptions((8,), 2, (I4, F4), (T, None), layers=2),
        BlockOptions((16,), 2, (I4, F4), (I4, F4, None), layers=2),
    ),
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small_recipe(**data):
    options = {**load_recipe("emoji_scenes/mobiledet").data.options, "size": [64, 64], "count": 12}
    return load_recipe(
        "emoji_scenes/mobiledet",
        data={"resolution": 64, "options": options, **data},
        head={"extra_channels": [16]},
        train={"epochs": 1, "batch_size": 4, "ema_decay": 0.5, "eval_every": 1},
        schedule={"warmup_epochs": 0},
    )


@pytest.fixture(scope="module")
def detector():
    table = TINY.spec(largest_point(TINY))
    spec = detector_spec(table, num_classes=2, resolution=64, extra_channels=(16,))
    return path_detector(TINY, spec, generator=seeded())


# --- paths -----------------------------------------------------------------------------------


def test_a_layer_for_each_choice(detector):
    assert [len(row.options) for row in detector.rows[1:]] == [2, 2, 2, 2, 3]
    assert isinstance(detector.rows[3].options[1], nn.Identity)
    code = torch.tensor([0, 1, 0, 0, 1, 0, 1, 2])
    choose_path(detector, TINY, code)
    assert [row.chosen for row in detector.rows[1:]] == [1, 0, 1, 1, 2]


def test_a_path_is_the_detector_of_its_point(detector):
    code = torch.tensor([0, 1, 0, 1, 0, 0, 0, 1])
    choose_path(detector, TINY, code)
    spec = replace(detector.spec, backbone=TINY.spec(TINY.point(code.tolist())))
    alone = SSDLite(spec)
    alone.rows[0].load_state_dict(detector.rows[0].state_dict(), strict=False)
    for own, chosen in zip(alone.rows[1:], detector.rows[1:], strict=True):
        own.load_state_dict(chosen.options[chosen.chosen].state_dict(), strict=False)
    for part in ("extras", "class_heads", "box_heads"):
        getattr(alone, part).load_state_dict(getattr(detector, part).state_dict(), strict=False)
    x = torch.randn(2, 3, 64, 64, generator=seeded())
    with torch.no_grad():
        ours, theirs = detector(x), alone.train()(x)
    torch.testing.assert_close(ours.class_logits, theirs.class_logits)
    torch.testing.assert_close(ours.box_codes, theirs.box_codes)


def test_only_the_path_learns(detector):
    choose_path(detector, TINY, torch.tensor([0, 0, 0, 0, 1, 0, 0, 2]))
    detector.zero_grad()
    detector(torch.randn(2, 3, 64, 64, generator=seeded())).class_logits.sum().backward()
    learned = [
        [any(p.grad is not None for p in option.parameters()) for option in row.options]
        for row in detector.rows[1:]
    ]
    assert learned == [[True, False], [True, False], [False] * 2, [True, False], [False] * 3]


def test_training_and_evaluation_normalise_alike(detector):
    choose_path(detector, TINY, torch.zeros(8, dtype=torch.int64))
    x = torch.randn(2, 3, 64, 64, generator=seeded())
    with torch.no_grad():
        once, again = detector.train()(x), detector.eval()(x)
    detector.train()
    torch.testing.assert_close(once.class_logits, again.class_logits)


def test_refuses_widths_and_foreign_detectors(detector):
    with pytest.raises(ValueError, match="block 0 of tdb_small_widths may choose"):
        largest_point(small_space(widths=True))
    with pytest.raises(ValueError, match="not that of the largest point of tdb_small"):
        path_detector(small_space(), detector.spec)


# --- turns -----------------------------------------------------------------------------------


def test_a_search_is_a_function_of_its_seed():
    latency = device_latency(TINY, DEVICES["cpu"], 64)
    target = latency(sample_codes(TINY, 50, seeded())).median().item()
    recipe = small_recipe(held_out=4)
    settings = OneShotSettings(epochs=2, judged_images=3, learning_rate=0.1)

    def search(seed):
        images = load_images(recipe, seed=seed)
        reward = AbsoluteReward(target)
        return search_one_shot(TINY, latency, reward, recipe, images, seed=seed, settings=settings)

    before = torch.get_rng_state()
    first, again, other = search(0), search(0), search(1)
    assert torch.equal(before, torch.get_rng_state())
    assert len(first.quality) == len(first.latency) == 2 * 2  # 8 images, 4 a step
    assert torch.equal(first.code, again.code)
    assert torch.equal(first.quality, again.quality)
    assert not torch.equal(first.latency, other.latency)
    assert [len(row) for row in first.probabilities] == list(TINY.sizes)


def test_a_recipe_takes_a_table_and_keeps_its_options():
    recipe = with_network(small_recipe(), TINY.spec(TINY.point([0] * 8)))
    assert recipe.model.network.rows == TINY.spec(TINY.point([0] * 8)).rows
    assert recipe.model.width_mult == 1
    assert recipe.model.options == {"bn_momentum": 0.1}


def test_refuses_what_no_search_can_use():
    latency, reward = device_latency(TINY, DEVICES["cpu"], 64), AbsoluteReward(1.0)
    recipe = small_recipe(held_out=4)
    images = load_images(recipe)

    def search(recipe=recipe, **settings):
        chosen = OneShotSettings(**{"epochs": 1, "judged_images": 2, **settings})
        search_one_shot(TINY, latency, reward, recipe, images, seed=0, settings=chosen)

    with pytest.raises(ValueError, match="at least one epoch, got 0"):
        search(epochs=0)
    with pytest.raises(ValueError, match="cannot draw 5 of 4 images that judge"):
        search(judged_images=5)
    with pytest.raises(ValueError, match="learning rate above 0"):
        search(learning_rate=0.0)
    with pytest.raises(ValueError, match="the recipe is for classification"):
        search(load_recipe("emoji/mobilenet_v3_small"))


# --- cells -----------------------------------------------------------------------------------


def test_kinds_in_words():
    code = torch.tensor([0, 1, 0, 0, 1, 0, 1, 2])
    assert kinds_of(TINY, code) == [
        ["tucker 0.25 0.25 3"],
        ["inverted 3 4", "left out"],
        ["fused 3 4", "left out"],
    ]


def test_a_drawn_point_is_near_the_target_and_the_first_that_is():
    latency = device_latency(TINY, DEVICES["accelerator"], 64)
    target = median_latency(TINY, latency)
    code = draw_near(TINY, latency, target, seed=3)
    codes = sample_codes(TINY, 1000, seeded(3))
    near = [c for c in codes if abs(latency(c[None]).item() / target - 1) <= 0.05]
    assert torch.equal(code, near[0])
    with pytest.raises(ValueError, match="none of 1000 points of tiny is within 5%"):
        draw_near(TINY, latency, 100 * target, seed=3)


def record(tmp_path, **options):
    spaces = {"spaces": ("a", "b"), "devices": ("cpu", "accelerator"), "executor": "in-process"}
    sizes = {"workers": 1, "seeds": 1, "held_out": 4, "epochs": 1, "judged_images": 2}
    return record_layer_search.record(tmp_path / "s.json", **{**spaces, **sizes, **options})


@pytest.fixture
def _tiny(tmp_path, monkeypatch):
    """A tiny recipe, and a tiny space by any name but one."""
    monkeypatch.setenv("MNV3_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(record_layer_search, "load_recipe", lambda name: small_recipe())

    def find_space(name):
        return small_space(widths=True) if name == "wide" else replace(TINY, name=name)

    monkeypatch.setattr(record_layer_search, "find_layer_space", find_space)


@pytest.mark.usefixtures("_tiny")
def test_searches_are_recorded(tmp_path):
    run = record(tmp_path)
    cell = run.metrics["devices"]["cpu"]["spaces"]["b"]
    assert set(cell["trained"][0]) == {"map", "map50", "macs", "params"}
    assert sum(cell["found"][0]["mix"].values()) == 5
    drawn = run.metrics["devices"]["accelerator"]["spaces"]["b_drawn"]["found"][0]
    assert drawn["over_target"] == pytest.approx(1, abs=0.05)
    assert list(run.metrics["differences"]) == [
        "cpu_b_over_a",
        "cpu_b_over_b_drawn",
        "accelerator_b_over_a",
        "accelerator_b_over_b_drawn",
        "regular_layers_accelerator_over_cpu",
    ]
    assert "cpu, a: T/T0" in record_layer_search._describe(run)
    assert not list((tmp_path / "cache").glob("*.draft.json"))


@pytest.mark.usefixtures("_tiny")
def test_an_interrupted_recording_goes_on(tmp_path, monkeypatch):
    asked = []

    def run_cell(cell):
        asked.append(cell.device)
        if len(asked) == 3:
            raise KeyboardInterrupt
        trained = {"map": 0.1, "map50": 0.2, "macs": 1, "params": 1}
        return {"found": {"mix": {"fused": 2}, "over_target": 1.0}, "trained": trained}

    monkeypatch.setattr(record_layer_search, "run_cell", run_cell)
    with pytest.raises(KeyboardInterrupt):
        record(tmp_path)
    run = record(tmp_path)
    assert asked == ["cpu"] * 3 + ["cpu"] + ["accelerator"] * 3  # the third one again
    assert run.metrics["differences"]["regular_layers_accelerator_over_cpu"] == [0]


@pytest.mark.usefixtures("_tiny")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"devices": ("phone",)}, "unknown device 'phone'"),
        ({"seeds": 0}, "need a seed and two different spaces"),
        ({"spaces": ("a", "a")}, "need a seed and two different spaces"),
        ({"spaces": ("a", "wide")}, "may choose among the widths"),
    ],
)
def test_refuses_before_it_begins(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        record(tmp_path, **options)
