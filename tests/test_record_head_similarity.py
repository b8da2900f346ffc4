"""The recorder of how alike heads look: on a study of two small networks, trained for a moment."""

from pathlib import Path

import pytest

from mnv3lib.ledger.record_head_similarity import record
from mnv3lib.runs import read_run
from mnv3lib.train import load_recipe, train
from mnv3lib.train.study import load_study

STUDY = """
question = "Does the cascade make heads unlike?"
recipe = "emoji/efficientvit_mini"
seeds = [0]
[variants.cascade.train]
epochs = 1
[variants.cascade.data]
subset = 32
[variants.full.model]
name = "efficientvit_mini_full"
[variants.full.train]
epochs = 1
[variants.full.data]
subset = 32
[differences]
cascade_over_full = ["cascade", "full"]
"""


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    path = tmp_path / "attention.toml"
    path.write_text(STUDY)
    return path


def test_every_network_of_a_study_is_measured(
    study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a record names no absolute path
    study, out = load_study(str(study_file)), tmp_path / "similarity.json"
    for variant in study.variants:
        train(study.recipe_of(variant), out=tmp_path / "work" / variant / "seed-0")
    record(out, study="attention.toml", work="work", images=4)
    run = read_run("similarity", path=out)
    for variant in ("cascade", "full"):
        found = run.metrics["variants"][variant]
        (cell,) = found["cells"]
        assert [len(block["heads"]) for block in cell["trained"]] == 6 * [2]
        heads = [value for block in cell["trained"] for value in block["heads"]]
        assert found["mean"] == [pytest.approx(sum(heads) / 12, abs=1e-4)]
        paths = [block["name"] for block in cell["trained"]]
        assert [block["name"] for block in cell["untrained"]] == paths
        assert all(0 < value <= 1 for value in heads)
        evenness = [value for block in cell["trained"] for value in block["evenness"]]
        assert found["mean_evenness"] == [pytest.approx(sum(evenness) / 12, abs=1e-4)]
        assert all(-1 <= v <= 1 for block in cell["trained"] for v in block["correlation"])
    for name, mean in (("differences", "mean"), ("differences_of_correlation", "mean_correlation")):
        (difference,) = run.metrics[name]["cascade_over_full"]
        means = [run.metrics["variants"][variant][mean][0] for variant in ("cascade", "full")]
        assert difference == pytest.approx(means[0] - means[1], abs=1e-4)


def test_a_network_that_is_not_trained_is_named(study_file: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no trained network .*train the study first"):
        record(tmp_path / "out.json", study=str(study_file), work=str(tmp_path / "nowhere"))


def test_the_study_that_ships_asks_about_the_three_feeds() -> None:
    study = load_study("emoji-attention")
    names = [study.recipe_of(variant).model.name for variant in study.variants]
    assert names == [f"efficientvit_mini{feed}" for feed in ("", "_split", "_full")]
    assert load_recipe("imagenet/efficientvit_m5").model.name == "efficientvit_m5"
