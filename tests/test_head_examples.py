"""Recorded examples of detections and label maps: what is stored, and what comes back."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnv3lib.data.mask_folder import VOID
from mnv3lib.heads.detections import Detections
from mnv3lib.ledger.head_examples import decode, encode, half_size, read_examples
from mnv3lib.ledger.record_head_examples import SCORE, hits, main, record, spread_evenly
from mnv3lib.train.predict import Predictor
from mnv3lib.train.run import load_trained
from test_predict import as_picture, scenes
from tiny_predictors import train_tiny

VARIANTS = ("one", "other")


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The work folder of a study a task, with two variants; those are equal, which is faster."""
    folders = {}
    for task in ("detection", "segmentation"):
        folder = tmp_path_factory.mktemp("runs") / f"tiny-{task}"
        train_tiny(task, folder / "one" / "seed-0")
        shutil.copytree(folder / "one", folder / "other")
        folders[task] = folder
    return folders


@pytest.fixture
def recorded(works, tmp_path: Path):
    """The examples of both studies, and the file that holds them."""
    out = tmp_path / "head-examples.json"
    record(out, works=[str(folder) for folder in works.values()], images=2)
    return read_examples(path=out), out


def test_boxes_come_back_as_predicted_and_annotated(recorded, works) -> None:
    found = recorded[0]["tiny-detection"]
    dataset = scenes("detection")
    assert (found.task, found.dataset, found.split) == ("detection", "emoji-scenes", "test")
    assert found.classes == dataset.classes
    assert [example.index for example in found.examples] == [0, 2]  # of four
    example = found.examples[1]
    image, target = dataset[2]
    assert example.size == (96, 64)
    assert example.annotated == len(target["boxes"])
    predictor = Predictor(load_trained(works["detection"] / "one/seed-0/weights.safetensors"))
    predicted = predictor(as_picture(image)).above(SCORE).found
    assert [*example.found] == [*VARIANTS]
    for own in example.found.values():
        torch.testing.assert_close(own.boxes, predicted.boxes, atol=0.051, rtol=0)
        torch.testing.assert_close(own.scores, predicted.scores, atol=0.00051, rtol=0)
    assert example.right["one"].tolist() == hits(predicted, target)


def test_label_maps_come_back_at_half_size(recorded, works) -> None:
    found = recorded[0]["tiny-segmentation"]
    image, mask = scenes("segmentation")[2]
    example = found.examples[1]
    predictor = Predictor(load_trained(works["segmentation"] / "one/seed-0/weights.safetensors"))
    expected = predictor(as_picture(image)).labels
    assert all(torch.equal(own, expected[::2, ::2]) for own in example.found.values())
    labelled = mask != VOID
    assert example.annotated == int(labelled.sum())
    assert int(example.right["other"]) == int((expected == mask)[labelled].sum())


def test_neither_images_nor_annotations_are_in_the_file(recorded, works) -> None:
    text = recorded[1].read_text()
    content = json.loads(text)
    assert content["config"]["works"] == ["runs/tiny-detection", "runs/tiny-segmentation"]
    assert str(works["detection"].parent) not in text
    for study in content["metrics"].values():
        for image in study["images"]:
            assert {*image} == {"index", "name", "size", "annotated", "found", "right"}


def test_each_object_is_found_once_by_the_best_detection_of_its_class() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]])
    objects = {"boxes": boxes, "labels": torch.tensor([0, 0, 1])}
    objects["crowd"] = torch.tensor([False, False, False])
    places = boxes[[0, 0, 1, 2]] + torch.tensor([[0.0], [1.0], [0.0], [0.0]])  # 81 of 119 pixels
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6])
    found = Detections(places, scores, torch.tensor([0, 0, 0, 0]))
    assert hits(found, objects) == [True, False, True, False]  # again, and of another class
    assert hits(found, {**objects, "crowd": ~objects["crowd"]}) == [False] * 4


def test_box_rows_by_hand() -> None:
    boxes = torch.tensor([[1.04, 2.0, 30.26, 40.0]])
    rows = encode("detection", Detections(boxes, torch.tensor([0.98765]), torch.tensor([2])))
    assert rows == [[1.0, 2.0, 30.3, 40.0, 2, 0.988]]
    again = decode("detection", rows, (50, 50))
    assert again.labels.tolist() == [2]
    assert again.scores.tolist() == pytest.approx([0.988])
    assert decode("detection", [], (50, 50)).boxes.shape == (0, 4)


@given(
    st.lists(
        st.lists(st.sampled_from([0, 1, 18, 51, VOID]), min_size=3, max_size=3),
        min_size=1,
        max_size=5,
    )
)
def test_any_label_map_comes_back(rows) -> None:
    labels = torch.tensor(rows, dtype=torch.uint8)
    size = (3, len(rows))
    again = decode("segmentation", encode("segmentation", labels), size)
    assert torch.equal(again, labels[::2, ::2])


def test_half_size_is_rounded_up() -> None:
    assert half_size(torch.zeros(5, 8)).shape == (3, 4)


def test_what_runs_cannot_hold() -> None:
    with pytest.raises(ValueError, match="class 52 has no letter"):
        encode("segmentation", torch.tensor([[52]]))
    with pytest.raises(ValueError, match="the runs cover 3 pixels, a label map of 2 x 1 has 2"):
        decode("segmentation", "a3", (4, 2))


def test_images_are_spread_evenly() -> None:
    assert spread_evenly(4, 72) == [0, 18, 36, 54]
    with pytest.raises(ValueError, match="from 1 to 3, got 4"):
        spread_evenly(4, 3)


def test_folder_without_networks_is_refused_in_one_line(tmp_path: Path, capsys) -> None:
    arguments = ["--works", str(tmp_path), "--out", str(tmp_path / "run.json")]
    assert main(arguments) == 2
    assert "no VARIANT/seed-0/weights.safetensors" in capsys.readouterr().err


def test_variants_must_have_learnt_the_same(works, tmp_path: Path) -> None:
    for task in works:
        shutil.copytree(works[task] / "one", tmp_path / "mixed" / task)
    with pytest.raises(ValueError, match="expected detection or segmentation of one data set"):
        record(tmp_path / "run.json", works=[str(tmp_path / "mixed")], images=1)


def test_another_run_holds_no_examples() -> None:
    with pytest.raises(ValueError, match="the run speed holds no examples"):
        read_examples("speed")
