"""The recorder of quantised accuracy: all forms of each network, kept as soon as they are done."""

import json

import pytest

from tiny_training import write_images, write_recipe

pytest.importorskip("executorch")

from mnv3lib.ledger.record_quantised_accuracy import FORMS, record
from mnv3lib.train.study import load_study, run_study

STUDY = """
question = "Does anything change?"
recipe = "{recipe}"
seeds = [0]
[variants.plain]
[differences]
nothing = ["plain", "plain"]
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A trained study of one network, its file, and the folder of its images."""
    root = write_images(tmp_path_factory.mktemp("data"))
    file = root / "tiny-study.toml"
    file.write_text(STUDY.format(recipe=write_recipe(root, epochs="epochs = 1")))
    work = root / "runs"
    run_study(load_study(str(file)), "tiny", work=work, root=str(root), path=root / "tiny.json")
    return {"study": str(file), "runs": str(work), "root": str(root)}


def test_all_forms_are_measured_and_kept(trained, tmp_path):
    options = {**trained, "work": str(tmp_path / "work"), "images": 8}
    run = record(tmp_path / "tiny-quantised.json", **options)
    forms = run.metrics["variants"]["plain"]
    assert list(forms) == [*FORMS, "layers"]
    for form in FORMS:
        assert len(forms[form]["metrics"]) == 1
        assert 0 <= forms[form]["metrics"][0]["top1"] <= 1
    with_agreement = {form for form in FORMS if "agreement" in forms[form]}
    assert with_agreement == set(FORMS) - {"float", "float_fine_tuned"}
    assert forms["layers"][-1]["layer"] == "output"
    assert run.config == {
        "study": "tiny-study.toml", "compared": 1000, "images": 8, "epochs": 1, "lr": 0.001
    }  # fmt: skip

    assert run.metrics["differences"]["nothing"] == {form: [0.0] for form in FORMS[1:]}

    (kept,) = (tmp_path / "work").rglob("quantised.json")
    content = json.loads(kept.read_text())
    content["float"]["metrics"]["top1"] = 0.125
    kept.write_text(json.dumps(content))
    again = record(tmp_path / "tiny-quantised.json", **options)
    assert again.metrics["variants"]["plain"]["float"]["metrics"][0]["top1"] == 0.125


def test_a_study_that_is_not_trained(trained, tmp_path):
    options = {**trained, "runs": str(tmp_path), "work": str(tmp_path / "work")}
    with pytest.raises(FileNotFoundError, match="train the networks first, 'mnv3 study NAME"):
        record(tmp_path / "tiny-quantised.json", **options)
