"""Studies: variants of a recipe, seeds, differences, and what is finished is not done again."""

import pytest

from mnv3lib.runs import read_run
from mnv3lib.train import RecipeError, load_recipe, throughput
from mnv3lib.train.study import Study, differences, load_study, run_study, study_names
from tiny_training import write_images, write_recipe

STUDY = """
question = "Does dropout matter?"
recipe = "{recipe}"
seeds = [0, 1]

[variants.with_dropout]

[variants.without.model]
dropout = 0.0

[differences]
dropout_over_none = ["with_dropout", "without"]
"""


@pytest.fixture
def study_file(tmp_path):
    recipe = write_recipe(tmp_path, epochs="epochs = 1")
    path = tmp_path / "study.toml"
    path.write_text(STUDY.format(recipe=recipe))
    return path


def test_differences_are_paired_and_accuracy_is_in_points():
    metrics = {
        "a": {"final": [{"top1": 0.75, "nll": 1.0}, {"top1": 0.5, "nll": 2.0}]},
        "b": {"final": [{"top1": 0.5, "nll": 1.5}, {"top1": 0.625, "nll": 1.0}]},
    }
    found = differences(metrics, {"a_over_b": ["a", "b"]}, ("top1",))
    assert found == {"a_over_b": {"top1": [25.0, -12.5], "nll": [-0.5, 1.0]}}


def test_a_study_trains_every_cell_once(study_file, tmp_path, monkeypatch):
    root = str(write_images(tmp_path))
    study = load_study(str(study_file))
    where = {"work": tmp_path / "work", "root": root, "path": tmp_path / "study.json"}
    run = run_study(study, "study", jobs=2, **where)
    assert run.seeds == [0, 1]
    assert set(run.metrics["variants"]) == {"with_dropout", "without"}
    for found in run.metrics["variants"].values():
        assert len(found["final"]) == len(found["history"]) == len(found["confusion"]) == 2
        assert found["macs"] > 0
        assert sum(map(sum, found["confusion"][0])) == found["final"][0]["images"] == 12
    # All cells are finished: nothing is trained again, and the numbers are the same.
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*")}
    again = run_study(study, "study", **where)
    assert again.metrics == run.metrics
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*")} == before
    # A cell that another recipe trained is refused, though it is finished.
    changed = study.model_copy(update={"variants": {"without": {"train": {"epochs": 2}}}})
    with pytest.raises(RecipeError, match="without was trained by another recipe"):
        run_study(changed, "study", **where)


@pytest.mark.parametrize("name", study_names())
def test_shipped_studies_are_valid(name):
    study = load_study(name)
    assert len(study.seeds) >= 3
    for variant in study.variants:
        assert isinstance(study.recipe_of(variant).train.epochs, int)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ('"without"]', '"wihtout"]', "must name two variants"),
        ("dropout = 0.0", "dropout = 0.0\n[variants.without.train]\nepoch = 2", "train.epoch"),
        (
            "seeds = [0, 1]",
            'seeds = [0, 1]\nrecipes = { best = "x" }',
            "best is none of the variants",
        ),
        ("seeds = [0, 1]", "seeds = 3", "seeds should be a valid list"),
        ("[differences]", "[difference]", "difference is no key here"),
        ("seeds = [0, 1]", "seeds = [0, 1", "it is not TOML"),
    ],
)
def test_studies_that_cannot_be(study_file, old, new, text):
    study_file.write_text(study_file.read_text().replace(old, new))
    with pytest.raises(RecipeError, match=text):
        load_study(str(study_file))


def test_an_unknown_study_names_the_known_ones():
    with pytest.raises(FileNotFoundError, match="cifar10-parts"):
        load_study("cifar10-whole")


def test_a_study_is_what_its_file_says():
    study = load_study("cifar10-parts")
    assert isinstance(study, Study)
    assert study.recipe_of("relu").model.options["hard_swish_from"] == "nowhere"
    assert (
        study.recipe_of("v3_small").model.options == study.recipe_of("resolution_24").model.options
    )


def test_throughput_compares_the_loop_with_a_bare_one(tmp_path, monkeypatch):
    recipe = write_recipe(tmp_path, ema_decay="precision = 'fp32'", mixup="mixup = 0.0")
    monkeypatch.setattr(throughput, "_RECIPE", str(recipe))
    monkeypatch.setattr(throughput, "_STEPS", 2)
    found = throughput.measure(rounds=1)
    assert set(found["images_per_s"]) == {*throughput._CANDIDATES, "bare", "loading"}
    assert all(speed > 0 for speed in found["images_per_s"].values())
    assert found["ratios"]["loop over bare"]["median"] > 0


@pytest.mark.parametrize(
    ("recipe", "run", "variant"),
    [
        ("emoji/mobilenet_v3_small", "emoji-small", "v3_small_050"),
        ("cifar10/mobilenet_v3_small", "cifar10-parts", "v3_small"),
    ],
)
def test_documented_accuracy_is_the_recorded_mean(recipe, run, variant):
    seeds = read_run(run).metrics["variants"][variant]["final"]
    assert len(seeds) >= 3
    mean = sum(seed["top1"] for seed in seeds) / len(seeds)
    assert load_recipe(recipe).expected["top1"] == pytest.approx(mean, abs=5e-5)


def test_readme_tells_the_recorded_accuracy(repository):
    (variant,) = read_run("emoji-small").metrics["variants"].values()
    mean = sum(seed["top1"] for seed in variant["final"]) / len(variant["final"])
    assert f"{100 * mean:.0f} % on unseen emoji" in (repository / "README.md").read_text()
