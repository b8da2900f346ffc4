"""Data sets by name: each layout on a tiny set written here, missing and damaged files, epochs."""

import csv
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from mnv3lib.data import (
    CenterView,
    DataNotFoundError,
    ImageArray,
    ImageFiles,
    RandomView,
    dataset_card,
    generator_for,
    list_datasets,
    load_dataset,
)
from mnv3lib.data import cityscapes as cityscapes_layout
from mnv3lib.data.cards import CARDS
from mnv3lib.data.inspect import check_dataset, overview

NAMES = list_datasets()
TINY = sorted(set(NAMES) - {"emoji", "emoji-scenes"})


@pytest.fixture(autouse=True)
def _no_data_of_the_machine(monkeypatch, tmp_path):
    monkeypatch.delenv("MNV3_DATA", raising=False)
    monkeypatch.setenv("MNV3_CACHE", str(tmp_path / "cache"))


# --- tiny sets in each layout ------------------------------------------------------------------


def picture(path: Path, size: tuple[int, int] = (12, 8), grey: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (grey, 100, 200)).save(path, quality=100)
    return path


def mask(path: Path, rows: list[list[int]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(rows, dtype=np.uint8)).save(path)
    return path


def as_json(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def coco_content() -> dict:
    """Two images; categories 3 and 90; the second image has no box, the first a crowd."""
    boxes = [
        {"id": 1, "image_id": 7, "category_id": 90, "bbox": [1, 2, 3, 4], "iscrowd": 0},
        {"id": 2, "image_id": 7, "category_id": 3, "bbox": [0, 0, 12, 8], "iscrowd": 1},
        {"id": 3, "image_id": 7, "category_id": 3, "bbox": [5, 5, 0, 2], "iscrowd": 0},
    ]
    return {
        "images": [
            {"id": 9, "file_name": "b.jpg", "width": 6, "height": 4},
            {"id": 7, "file_name": "a.jpg", "width": 12, "height": 8},
        ],
        "categories": [{"id": 90, "name": "cup"}, {"id": 3, "name": "cat"}],
        "annotations": boxes,
    }


def parquet(path: Path, contents: list[bytes], labels: list[int], names: list[str]) -> Path:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is part of the extra train")
    from pyarrow import parquet as pq

    images = [{"bytes": content, "path": f"{i}.png"} for i, content in enumerate(contents)]
    table = pyarrow.table({"img": images, "label": labels})
    features = {"img": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    info = json.dumps({"info": {"features": features}})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"huggingface": info}), path)
    return path


def write_cifar10(root: Path, suffix: str = "png") -> None:
    for split, greys in (("train", (10, 20, 30)), ("test", (40, 50))):
        files = [picture(root / f"{split}{g}.{suffix}", (4, 4), g) for g in greys]
        labels = [1, 0, 1][: len(greys)]
        parquet(root / f"{split}.parquet", [f.read_bytes() for f in files], labels, ["cat", "dog"])


def write_imagenet(root: Path) -> None:
    picture(root / "train" / "n02" / "y.JPEG", (12, 8), 20)
    picture(root / "train" / "n02" / "x.JPEG", (8, 12), 10)
    picture(root / "train" / "n01" / "z.JPEG", (12, 8), 30)
    picture(root / "val" / "n02" / "v.JPEG", (12, 8), 40)


def write_sample(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "labels.csv").write_text("index,wnid,name\n1,n09,fish\n0,n05,bird\n")
    picture(root / "images" / "n05.jpg", (12, 8), 50)
    picture(root / "images" / "n09.jpg", (12, 8), 90)


def write_camvid(root: Path) -> None:
    for split in ("train", "val", "test"):
        picture(root / split / "images" / "a.jpg", (3, 2))
        mask(root / split / "labels" / "a.png", [[0, 10, 11], [5, 5, 11]])


def write_bccd(root: Path) -> None:
    picture(root / "images" / "a.jpg", (12, 8))
    picture(root / "images" / "b.jpg", (6, 4))
    for split in ("train", "val", "test"):
        as_json(root / f"{split}.json", coco_content())


def write_cityscapes(root: Path) -> None:
    for split in ("train", "val"):
        picture(root / "leftImg8bit" / split / "ulm" / "ulm_0_leftImg8bit.png", (3, 2))
        picture(root / "leftImg8bit" / split / "bonn" / "bonn_0_leftImg8bit.png", (3, 2))
        for city in ("ulm", "bonn"):
            mask(
                root / "gtFine" / split / city / f"{city}_0_gtFine_labelIds.png",
                [[7, 33, 0], [26, 29, 255]],
            )


def write_coco(root: Path) -> None:
    for split in ("train", "val"):
        picture(root / f"{split}2017" / "a.jpg", (12, 8))
        picture(root / f"{split}2017" / "b.jpg", (6, 4))
        as_json(root / "annotations" / f"instances_{split}2017.json", coco_content())


WRITERS = {
    "bccd": write_bccd,
    "camvid": write_camvid,
    "cifar10": write_cifar10,
    "cityscapes": write_cityscapes,
    "coco": write_coco,
    "imagenet": write_imagenet,
    "imagenet-sample": write_sample,
}


@pytest.fixture
def tiny(tmp_path):
    """Writes a data set in its layout and returns the folder that holds it."""

    def write(name: str) -> Path:
        WRITERS[name](tmp_path / name)
        return tmp_path

    return write


# --- what holds for every data set -------------------------------------------------------------


def test_names_and_layouts_are_complete():
    assert sorted(WRITERS) == TINY
    assert {"cifar10", "imagenet", "imagenet-sample", "camvid", "bccd"} <= set(NAMES)
    assert {"cityscapes", "coco", "emoji"} <= set(NAMES)


@pytest.mark.parametrize("name", TINY)
def test_every_layout_loads_and_collates(name, tiny, monkeypatch):
    root = tiny(name)
    card = dataset_card(name)
    for split in card.splits:
        dataset = load_dataset(name, split, root=root)
        assert (dataset.name, dataset.task, dataset.title) == (name, card.task, card.title)
        image, _ = dataset[0]
        assert image.dtype == torch.uint8
        assert image.shape[0] == 3
        same, _ = load_dataset(name, split, root=root / name)[0]  # its own folder will do, too
        assert torch.equal(image, same)
    images, targets = dataset.collate([dataset[0]])
    assert len(images) == len(targets) == 1
    monkeypatch.setenv("MNV3_DATA", str(root))
    assert len(load_dataset(name, split)) == len(dataset)
    assert check_dataset(name, progress=False).ok


@pytest.mark.parametrize("name", TINY)
def test_missing_data_say_where_from_and_where_to(name, tmp_path, monkeypatch):
    card = dataset_card(name)
    with pytest.raises(DataNotFoundError, match="MNV3_DATA is not set") as caught:
        load_dataset(name, card.splits[0])
    monkeypatch.setenv("MNV3_DATA", str(tmp_path / "sets"))
    with pytest.raises(FileNotFoundError) as caught:
        load_dataset(name, card.splits[0])
    text = str(caught.value)
    folder = str(tmp_path / "sets" / name)
    for words in (card.source, card.layout, f"Put it into {folder}", f"MNV3_DATA is {tmp_path}"):
        assert words in text
    with pytest.raises(DataNotFoundError, match="root was given"):
        load_dataset(name, card.splits[0], root=tmp_path / "elsewhere")
    with pytest.raises(DataNotFoundError):
        check_dataset(name, progress=False)


@pytest.mark.parametrize("name", TINY)
def test_bad_requests_are_refused(name, tiny):
    root = tiny(name)
    with pytest.raises(ValueError, match=f"{name} has the splits .*, not 'night'"):
        load_dataset(name, "night", root=root)
    with pytest.raises(ValueError, match=f"{name} has no option colour; it takes none"):
        load_dataset(name, "train", root=root, colour=1)


def test_unknown_name_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean cifar10"):
        load_dataset("cifar")


@pytest.mark.parametrize("name", ["bccd", "camvid", "cityscapes", "coco"])
def test_views_are_for_classification(name, tiny):
    with pytest.raises(ValueError, match="a view would move pixels"):
        load_dataset(name, "train", root=tiny(name), view=CenterView(4))


def test_overview_tells_what_is_there(tiny):
    rows = {row["name"]: row for row in overview(tiny("camvid"))}
    assert sorted(rows) == NAMES
    assert rows["camvid"]["folder"].endswith("camvid")
    assert rows["emoji"]["folder"] == "in the package"
    assert all(row["licence"] and row["source"] for row in rows.values())
    assert all(card.layout for card in CARDS.values())


# --- classification ----------------------------------------------------------------------------


def test_cifar10_by_hand(tiny):
    root = tiny("cifar10")
    train = load_dataset("cifar10", root=root)
    assert isinstance(train, ImageArray)
    assert (train.images.shape, train.classes) == ((3, 3, 4, 4), ("cat", "dog"))
    assert train.images[:, 0, 0, 0].tolist() == [10, 20, 30]
    assert train.labels.tolist() == [1, 0, 1]
    small = load_dataset("cifar10", "test", root=root, view=CenterView(2))
    assert small.images.shape == (2, 3, 2, 2)


def test_cifar10_of_jpegs_says_so(tmp_path):
    write_cifar10(tmp_path / "cifar10", suffix="jpg")
    assert load_dataset("cifar10", root=tmp_path).title == "CIFAR-10 (JPEG)"


def test_cifar10_under_the_names_of_the_hub(tmp_path):
    write_cifar10(tmp_path / "cifar10")
    folder = tmp_path / "cifar10" / "plain_text"
    folder.mkdir()
    os.replace(folder.parent / "train.parquet", folder / "train-00000-of-00001.parquet")
    assert len(load_dataset("cifar10", root=tmp_path)) == 3


def test_arrays_refuse_random_views(tiny):
    with pytest.raises(ValueError, match="cannot take a random view"):
        load_dataset("cifar10", root=tiny("cifar10"), view=RandomView(4))


def test_damaged_parquet(tmp_path):
    root = tmp_path / "cifar10"
    write_cifar10(root)
    content = (root / "train.parquet").read_bytes()
    (root / "train.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"train\.parquet .*fetch it again"):
        load_dataset("cifar10", root=tmp_path)
    parquet(root / "train.parquet", [b"nothing"], [0], ["cat"])
    with pytest.raises(ValueError, match=r"image 0 of cifar10 train .*corrupt"):
        load_dataset("cifar10", root=tmp_path)
    pixels = picture(root / "x.png", (4, 4)).read_bytes()
    parquet(root / "train.parquet", [pixels], [2], ["cat", "dog"])
    with pytest.raises(ValueError, match="label 2 of image 0 is outside of 0 to 1"):
        load_dataset("cifar10", root=tmp_path)
    report = check_dataset("cifar10", tmp_path, progress=False)
    assert [(p.split, p.where) for p in report.problems] == [("train", "the whole split")]
    assert report.images == {"test": 2}


def test_imagenet_by_hand(tiny):
    root = tiny("imagenet")
    train = load_dataset("imagenet", root=root)
    assert train.classes == ("n01", "n02")
    assert [path.name for path in map(train.paths.__getitem__, range(3))] == [
        "z.JPEG",
        "x.JPEG",
        "y.JPEG",
    ]
    assert train.labels.tolist() == [0, 1, 1]
    val = load_dataset("imagenet", "val", root=root)  # has no folder n01: labels stay
    assert (val.classes, val.labels.tolist()) == (("n01", "n02"), [1])


def test_imagenet_ignores_other_files_and_refuses_other_classes(tiny):
    root = tiny("imagenet")
    (root / "imagenet" / "train" / "n01" / "notes.txt").write_text("x")
    (root / "imagenet" / "train" / ".cache").mkdir()
    assert len(load_dataset("imagenet", root=root)) == 3
    picture(root / "imagenet" / "val" / "n03" / "v.jpg")
    with pytest.raises(ValueError, match="has the class n03"):
        load_dataset("imagenet", "val", root=root)


def test_imagenet_as_kaggle_packs_it(tmp_path):
    data = tmp_path / "imagenet" / "ILSVRC" / "Data" / "CLS-LOC"
    write_imagenet(data)
    picture(data / "val" / "V_1.JPEG")
    (data / "val" / "n02" / "v.JPEG").unlink()
    (data / "val" / "n02").rmdir()
    with pytest.raises(DataNotFoundError, match=r"LOC_val_solution\.csv"):
        load_dataset("imagenet", "val", root=tmp_path)
    solution = tmp_path / "imagenet" / "LOC_val_solution.csv"
    solution.write_text("ImageId,PredictionString\nV_1,n02 1 2 3 4 n02 5 6 7 8\n")
    assert load_dataset("imagenet", "val", root=tmp_path).labels.tolist() == [1]
    picture(data / "val" / "V_2.JPEG")
    with pytest.raises(ValueError, match=r"does not name the class of .*V_2"):
        load_dataset("imagenet", "val", root=tmp_path)


def test_images_of_several_sizes_need_a_view(tiny):
    train = load_dataset("imagenet", root=tiny("imagenet"))
    with pytest.raises(ValueError, match="make no batch; load the data set with a view"):
        train.collate([train[0], train[1]])


def test_sample_by_hand(tiny):
    sample = load_dataset("imagenet-sample", root=tiny("imagenet-sample"))
    assert sample.classes == ("bird", "fish")
    assert [label for _, label in map(sample.__getitem__, range(2))] == [0, 1]
    assert abs(int(sample[1][0][0, 0, 0]) - 90) < 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("index,wnid,name\n0,n05,bird\n2,n09,fish\n", "index 2 is out of range"),
        ("index,wnid,name\n0,n05,bird\n0,n09,fish\n", "index 0 is out of range"),
        ("index,wnid,name\nx,n05,bird\n", "index 'x' is not a whole number"),
        ("index,name\n0,bird\n", "has the columns"),
    ],
)
def test_sample_with_a_wrong_table(tiny, text, words):
    root = tiny("imagenet-sample")
    (root / "imagenet-sample" / "labels.csv").write_text(text)
    with pytest.raises(ValueError, match=words):
        load_dataset("imagenet-sample", root=root)


def test_corrupt_image_is_named_when_loaded_and_when_checked(tiny):
    root = tiny("imagenet")
    file = root / "imagenet" / "train" / "n02" / "x.JPEG"
    file.write_bytes(file.read_bytes()[:200])
    train = load_dataset("imagenet", root=root, view=CenterView(8))
    with pytest.raises(ValueError, match=r"x\.JPEG.*corrupt or cut short"):
        train[1]
    for workers in (0, 1):
        report = check_dataset("imagenet", root, workers=workers, progress=False)
        assert not report.ok
        assert [(p.split, p.where) for p in report.problems] == [("train", str(file))]
    assert report.images == {"train": 3, "val": 1}


def test_part_of_a_data_set_can_be_checked(tiny):
    root = tiny("cityscapes")
    (root / "cityscapes" / "leftImg8bit" / "val").rename(root / "away")
    report = check_dataset("cityscapes", root, progress=False)
    assert (report.images, report.missing, report.ok) == ({"train": 2}, ["val"], True)


# --- segmentation and detection ----------------------------------------------------------------


def test_camvid_by_hand(tiny):
    root = tiny("camvid")
    dataset = load_dataset("camvid", root=root)
    image, labels = dataset[0]
    assert (image.shape, labels.dtype, len(dataset.classes)) == ((3, 2, 3), torch.uint8, 11)
    assert labels.tolist() == [[0, 10, 255], [5, 5, 255]]
    images, targets = dataset.collate([dataset[0], dataset[0]])
    assert [len(images), len(targets)] == [2, 2]


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: mask(path, [[0, 1, 12], [0, 0, 0]]), "holds the value 12.*no class"),
        (lambda path: mask(path, [[0, 1], [0, 0]]), "is 2x2 pixels, its image .* 3x2"),
        (lambda path: picture(path, (3, 2)), "pixels of format 'RGB'"),
        (lambda path: path.write_bytes(b"nothing"), "cannot decode the mask"),
    ],
)
def test_wrong_masks_are_named(tiny, write, words):
    root = tiny("camvid")
    path = root / "camvid" / "val" / "labels" / "a.png"
    write(path)
    with pytest.raises(ValueError, match=words) as caught:
        load_dataset("camvid", "val", root=root)[0]
    assert str(path) in str(caught.value)
    (problem,) = check_dataset("camvid", root, progress=False).problems
    assert problem.split == "val"


def test_image_without_mask(tiny):
    root = tiny("camvid")
    (root / "camvid" / "val" / "labels" / "a.png").unlink()
    with pytest.raises(DataNotFoundError, match=r"a\.png, the mask of an image"):
        load_dataset("camvid", "val", root=root)


def test_cityscapes_by_hand(tiny):
    dataset = load_dataset("cityscapes", root=tiny("cityscapes"))
    _, labels = dataset[0]
    assert dataset.paths[0].parent.name == "bonn"
    assert labels.tolist() == [[0, 18, 255], [13, 255, 255]]  # road, bicycle, unlabelled / car ...


def test_cityscapes_train_ids():
    ids = {value: label for value, label in cityscapes_layout.TRAIN_IDS.items() if label != 255}
    trained = [7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33]  # in the order of the labels
    assert ids == {value: label for label, value in enumerate(trained)}
    assert cityscapes_layout.CLASSES[ids[24]] == "person"
    assert cityscapes_layout.CLASSES[ids[31]] == "train"


@pytest.mark.parametrize("name", ["coco", "bccd"])
def test_coco_by_hand(name, tiny):
    dataset = load_dataset(name, root=tiny(name))
    assert (dataset.classes, dataset.category_ids) == (("cat", "cup"), (3, 90))
    image, target = dataset[0]
    assert image.shape == (3, 8, 12)
    assert target["image_id"] == 7
    assert target["boxes"].tolist() == [[1, 2, 4, 6], [0, 0, 12, 8]]
    assert target["labels"].tolist() == [1, 0]
    assert target["crowd"].tolist() == [False, True]
    assert dataset.dropped == 1  # the box of width 0
    image, empty = dataset[1]
    assert image.shape == (3, 4, 6)
    assert (empty["boxes"].shape, empty["labels"].shape, empty["image_id"]) == ((0, 4), (0,), 9)
    assert empty["boxes"].dtype == torch.float32


def test_coco_without_any_box(tiny):
    root = tiny("bccd")
    as_json(root / "bccd" / "val.json", {**coco_content(), "annotations": []})
    dataset = load_dataset("bccd", "val", root=root)
    assert [len(dataset[i][1]["boxes"]) for i in range(2)] == [0, 0]


def test_boxes_that_do_not_fit_are_reported(tiny):
    root = tiny("bccd")
    content = coco_content()
    content["annotations"][0]["bbox"] = [10, 2, 3.5, 4]
    content["images"][0]["width"] = 60
    as_json(root / "bccd" / "val.json", content)
    texts = [p.text for p in check_dataset("bccd", root, progress=False).problems]
    assert texts == [
        "the box [10.0, 2.0, 13.5, 6.0] (x0, y0, x1, y1) is outside of the 12x8 pixels",
        "the image is 6x4 pixels, its annotations say 60x4",
    ]


@pytest.mark.parametrize(
    ("key", "value"), [("category_id", 4), ("category_id", -1), ("image_id", 8)]
)
def test_annotations_of_nothing(tiny, key, value):
    root = tiny("bccd")
    content = coco_content()
    content["annotations"][0][key] = value
    as_json(root / "bccd" / "val.json", content)
    with pytest.raises(ValueError, match="annotation 1 has category"):
        load_dataset("bccd", "val", root=root)


@pytest.mark.parametrize("text", ["{", "[]", '{"images": []}'])
def test_json_of_another_format(tiny, text):
    root = tiny("bccd")
    (root / "bccd" / "val.json").write_text(text)
    with pytest.raises(ValueError, match=r"val\.json is not a JSON file of COCO's format"):
        load_dataset("bccd", "val", root=root)


# --- arrays, batches, epochs -------------------------------------------------------------------


def test_generator_is_the_same_everywhere():
    draw = torch.randint(1000, (3,), generator=generator_for(0, 2, 7)).tolist()
    assert draw == [304, 300, 107]
    seeds = {generator_for(*key).initial_seed() for key in [(0,), (0, 0), (0, 1), (1, 0), (1,)]}
    assert len(seeds) == 5


def test_array_hands_out_whole_batches():
    images = torch.arange(5, dtype=torch.uint8).view(5, 1, 1, 1).expand(5, 3, 2, 2).contiguous()
    dataset = ImageArray(images, [0, 1, 0, 1, 1], ["a", "b"], "five")
    loader = DataLoader(dataset, batch_sampler=[[4, 0], [1, 1, 2]], collate_fn=dataset.collate)
    (one, one_labels), (two, two_labels) = loader
    assert one[:, 0, 0, 0].tolist() == [4, 0]
    assert (one_labels.tolist(), two_labels.tolist()) == ([1, 0], [1, 1, 0])
    assert two.shape == (3, 3, 2, 2)
    same, labels = dataset.collate([dataset[4], dataset[0]])
    assert torch.equal(same, one)
    assert torch.equal(labels, one_labels)


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (torch.zeros(2, 3, 4, 4), [0, 0], "must be uint8"),
        (torch.zeros(2, 4, 4, 3, dtype=torch.uint8), [0, 0], "must be uint8"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), [0], "2 images need as many labels"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), [0, -1], "label -1 of image 1"),
    ],
)
def test_arrays_that_do_not_fit(images, labels, words):
    with pytest.raises(ValueError, match=words):
        ImageArray(images, labels, ["a"], "bad")


@pytest.fixture
def noisy(tmp_path) -> ImageFiles:
    """Six noisy files seen through random views."""
    paths = []
    for index in range(6):
        pixels = torch.randint(256, (24, 30, 3), generator=generator_for(index)).numpy()
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray(pixels.astype(np.uint8)).save(paths[-1])
    return ImageFiles(paths, range(6), "abcdef", "noisy", RandomView(8), seed=3)


def test_views_depend_on_seed_epoch_and_index_alone(noisy):
    first = [noisy[i][0] for i in range(6)]
    torch.rand(7)  # neither the global generator
    backwards = [noisy[i][0] for i in reversed(range(6))][::-1]  # nor the order of visits matters
    assert all(map(torch.equal, first, backwards))
    noisy.set_epoch(1)
    assert not any(map(torch.equal, first, [noisy[i][0] for i in range(6)]))
    noisy.set_epoch(0)
    assert torch.equal(noisy[2][0], first[2])
    noisy.seed = 4
    assert not torch.equal(noisy[2][0], first[2])


def test_loader_processes_change_nothing_and_follow_the_epoch(noisy):
    loader = DataLoader(
        noisy, batch_size=2, num_workers=2, persistent_workers=True, collate_fn=noisy.collate
    )
    for epoch in (0, 1, 5):
        noisy.set_epoch(epoch)
        images = torch.cat([batch for batch, _ in loader])
        assert torch.equal(images, noisy.collate([noisy[i] for i in range(6)])[0])


def test_data_sets_travel_to_other_processes(noisy):
    noisy.set_epoch(4)
    other = pickle.loads(pickle.dumps(noisy))
    assert other.epoch == 4
    assert torch.equal(other[1][0], noisy[1][0])


def test_loading_leaves_the_global_generator_alone(noisy):
    state = torch.random.get_rng_state()
    noisy[0]
    assert torch.equal(torch.random.get_rng_state(), state)


# --- downloads ---------------------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A stand-in for the hub that offers a tiny CIFAR-10 and counts how often it was asked."""
    datasets = pytest.importorskip("datasets", reason="datasets is part of the extra train")
    write_cifar10(tmp_path / "offered")
    calls = []

    def fetch(name: str) -> dict:
        calls.append(name)
        files = {split: tmp_path / "offered" / f"{split}.parquet" for split in ("train", "test")}
        cache = str(tmp_path / "arrow")
        return {s: datasets.Dataset.from_parquet(str(f), cache_dir=cache) for s, f in files.items()}

    monkeypatch.setattr(datasets, "load_dataset", fetch)
    return calls


def test_download_keeps_parquet_files(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("MNV3_DATA", str(tmp_path / "sets"))
    train = load_dataset("cifar10", download=True)
    assert train.images[:, 0, 0, 0].tolist() == [10, 20, 30]
    assert train.classes == ("cat", "dog")
    assert sorted(os.listdir(tmp_path / "sets" / "cifar10")) == ["test.parquet", "train.parquet"]
    load_dataset("cifar10", "test", download=True)
    assert hub == ["uoft-cs/cifar10"]


def test_download_without_a_folder_goes_to_the_cache(hub, tmp_path):
    load_dataset("cifar10", download=True)
    assert (tmp_path / "cache" / "data" / "cifar10" / "train.parquet").is_file()
    assert len(load_dataset("cifar10", "test")) == 2


def test_download_without_a_network(hub, monkeypatch, tmp_path):
    import datasets

    def fails(name: str) -> None:
        raise ConnectionError("Couldn't reach the hub\nmore lines")

    monkeypatch.setattr(datasets, "load_dataset", fails)
    with pytest.raises(DataNotFoundError, match=r"could not be fetched \(Couldn't reach the hub\)"):
        load_dataset("cifar10", root=tmp_path / "sets", download=True)
    assert not (tmp_path / "sets").exists()


@pytest.mark.parametrize("name", ["imagenet", "coco", "cityscapes", "camvid"])
def test_download_of_what_needs_a_registration_says_how(name, tmp_path):
    with pytest.raises(DataNotFoundError, match="cannot be fetched from here") as caught:
        load_dataset(name, dataset_card(name).splits[0], root=tmp_path, download=True)
    assert dataset_card(name).source in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_missing_library_names_the_extra(tiny, monkeypatch):
    import sys

    root = tiny("cifar10")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r'pyarrow is needed for this: pip install "mnv3lib\[tr'):
        load_dataset("cifar10", root=root)


# --- the real ones, where they are -------------------------------------------------------------

REAL = os.environ.get("MNV3_DATA")
real = pytest.mark.skipif(not REAL, reason="MNV3_DATA is not set")


@real
def test_real_cifar10():
    for split, each in (("train", 5000), ("test", 1000)):
        dataset = load_dataset("cifar10", split, root=REAL)
        assert dataset.images.shape == (10 * each, 3, 32, 32)
        assert torch.bincount(dataset.labels).tolist() == [each] * 10
    assert dataset.classes[:3] == ("airplane", "automobile", "bird")


@real
def test_real_camvid():
    report = check_dataset("camvid", REAL, progress=False)
    assert report.images == {"train": 367, "val": 101, "test": 233}
    assert (report.problems, report.classes) == ([], 11)


@real
def test_real_bccd():
    report = check_dataset("bccd", REAL, progress=False)
    assert report.images == {"train": 205, "val": 87, "test": 72}
    assert (sum(report.boxes.values()), report.problems, report.classes) == (4886, [], 3)


@real
def test_real_imagenet_sample():
    dataset = load_dataset("imagenet-sample", root=REAL, view=CenterView(224, resize=256))
    assert (len(dataset), len(dataset.classes)) == (1000, 1000)
    assert dataset.classes[:2] == ("tench", "goldfish")
    with (Path(REAL) / "imagenet-sample" / "labels.csv").open(newline="") as file:
        row = list(csv.DictReader(file))[700]
    assert dataset.paths[700].stem == row["wnid"]
    assert dataset[700][0].shape == (3, 224, 224)
