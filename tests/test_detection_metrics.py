"""COCO's average precision on cases that can be worked out by hand."""

import pickle
from typing import NamedTuple

import pytest
import torch

from mnv3lib.data.box_batch import collate_boxes
from mnv3lib.train.coco_evaluation import BoxTable, coco_evaluation
from mnv3lib.train.detection_metrics import DetectionMetrics

A, B = (0, 0, 40, 40), (100, 100, 150, 150)  # two objects that are apart
AWAY = (60, 0, 100, 40)
HALF = (0, 0, 40, 20)  # IoU 0.5 with A
THREE_QUARTERS = (0, 0, 40, 30)


class Found(NamedTuple):
    """Detections of an image."""

    boxes: torch.Tensor
    scores: torch.Tensor
    labels: torch.Tensor


def found(*boxes: tuple, scores=None, labels=None) -> Found:
    count = len(boxes)
    falling = [1 - 0.1 * rank for rank in range(count)]
    return Found(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(falling if scores is None else scores, dtype=torch.float32),
        torch.tensor(labels or [0] * count, dtype=torch.int64),
    )


def truth(*boxes: tuple, labels=None, crowd=(), number=1, size=(200, 200)) -> dict:
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels or [0] * len(boxes), dtype=torch.int64),
        "crowd": torch.tensor([index in crowd for index in range(len(boxes))], dtype=torch.bool),
        "image_id": number,
        "size": size,
    }


def measured(detections: Found, target: dict, classes: tuple = ("cat", "dog")) -> DetectionMetrics:
    metrics = DetectionMetrics(classes, lambda outputs: outputs, 200)
    metrics.update([detections], collate_boxes([target]))
    return metrics


# --- the numbers -------------------------------------------------------------------------------

TWO_THIRDS = (51 + 50 * 2 / 3) / 101  # precision 1 up to recall 0.5, 2/3 from there


@pytest.mark.parametrize(
    ("detections", "target", "ap"),
    [
        pytest.param(found(A), truth(A), 1.0, id="perfect"),
        pytest.param(found(A), truth(A, B), 51 / 101, id="one of two"),
        pytest.param(found(AWAY, A), truth(A), 0.5, id="false before true"),
        pytest.param(found(A, AWAY, B), truth(A, B), TWO_THIRDS, id="true, false, true"),
        pytest.param(found(THREE_QUARTERS), truth(A), 0.6, id="IoU of 0.75"),
        pytest.param(found(HALF), truth(A), 0.1, id="IoU of 0.5"),
        pytest.param(found(A, A), truth(A), 1.0, id="duplicate at the end"),
        pytest.param(found(A, A, B), truth(A, B), TWO_THIRDS, id="duplicate before the end"),
        pytest.param(found(A, B), truth(A, (90, 90, 160, 160), crowd={1}), 1.0, id="crowd"),
        pytest.param(found(A, B, labels=[0, 1]), truth(A), 1.0, id="class without boxes"),
        pytest.param(found(A), truth(A, B, labels=[0, 1]), 0.5, id="class missed"),
        pytest.param(found(), truth(A), 0.0, id="nothing found"),
    ],
)
def test_average_precision_by_hand(detections, target, ap):
    assert measured(detections, target).compute()["map"] == pytest.approx(ap, abs=1e-9)


def test_thresholds():
    at_75 = measured(found(THREE_QUARTERS), truth(A)).compute()
    assert (at_75["map50"], at_75["map75"]) == pytest.approx((1, 1))
    at_50 = measured(found(HALF), truth(A)).compute()
    assert (at_50["map50"], at_50["map75"]) == pytest.approx((1, 0))


def test_recall_and_counts():
    metrics = measured(found(A, B), truth(A, B, AWAY, crowd={2}))
    numbers = metrics.compute()
    assert (numbers["images"], numbers["boxes"], numbers["ar100"]) == (1, 2, 1)
    assert dict(metrics.details()["summary"])["AR@1"] == pytest.approx(0.5)


def test_sizes_of_objects():
    # An area of 32 x 32 pixels counts as small and as medium.
    summary = dict(measured(found((0, 0, 32, 32)), truth((0, 0, 32, 32))).details()["summary"])
    assert (summary["AP small"], summary["AP medium"]) == pytest.approx((1, 1))
    assert summary["AP large"] is None


def test_only_the_order_of_scores_counts():
    detections, target = found(A, AWAY, B), truth(A, B)
    other = detections._replace(scores=detections.scores**5 / 3)
    assert measured(detections, target).compute() == measured(other, target).compute()


def test_classes_one_by_one():
    details = measured(
        found(A, B, labels=[0, 1]), truth(A, B, labels=[0, 0]), ("cat", "dog")
    ).details()
    (ap, ap50, boxes), absent = details["average_precision"]
    assert (ap, ap50, boxes) == (pytest.approx(51 / 101), pytest.approx(51 / 101), 2)
    assert absent == [None, None, 0]
    curve, none = details["precision"]
    assert curve == pytest.approx([1.0] * 51 + [0.0] * 50)
    assert none is None


# --- pixels ------------------------------------------------------------------------------------


def test_boxes_go_back_to_the_pixels_of_the_image():
    # The network saw 200 x 200 pixels of an image of 800 x 400.
    target = truth(A, size=(800, 400), number=5)
    metrics = measured(found(A, scores=[0.75]), target)
    assert metrics.compute()["map"] == pytest.approx(1)
    expected = {"image_id": 5, "category_id": 1, "bbox": [0, 0, 160, 80], "score": 0.75}
    assert metrics.predictions() == [expected]
    assert metrics.predictions([18, 90])[0]["category_id"] == 18
    with pytest.raises(ValueError, match="2 classes have 3 category numbers"):
        metrics.predictions([1, 2, 3])
    # 160 x 80 pixels are a large object, the 40 x 40 that the network saw a medium one.
    assert dict(metrics.details()["summary"])["AP large"] == pytest.approx(1)


# --- batches and processes ---------------------------------------------------------------------


def pairs() -> list[tuple[Found, dict]]:
    generator = torch.Generator().manual_seed(0)
    result = []
    for number in range(6):
        corners = torch.rand(4, 2, 2, generator=generator).sort(1).values * 150
        boxes = corners.reshape(-1, 4) + torch.tensor([0.0, 0.0, 20.0, 20.0])
        labels = [0, 1, 1, 0]
        target = truth(*boxes.tolist(), labels=labels, number=100 - number)
        noisy = boxes + 12 * torch.rand(4, 4, generator=generator)
        scores = torch.rand(4, generator=generator).tolist()
        result.append((found(*noisy.tolist(), scores=scores, labels=labels), target))
    return result


def test_batches_and_processes_do_not_matter():
    metrics = [DetectionMetrics(("cat", "dog"), lambda outputs: outputs, 200) for _ in range(3)]
    for number, (detections, target) in enumerate(pairs()):
        metrics[1 + number % 2].update([detections], collate_boxes([target]))
    detections, targets = zip(*pairs(), strict=True)
    metrics[0].update(list(detections), collate_boxes(targets))
    whole = metrics[0].compute()
    assert 0.1 < whole["map"] < 0.9
    metrics[1].compute()  # a result that is out of date after the merge
    metrics[1].merge(pickle.loads(pickle.dumps(metrics[2])))
    assert metrics[1].compute() == whole
    assert metrics[1].details() == metrics[0].details()


def test_the_same_as_pycocotools_on_files():
    from contextlib import redirect_stdout

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    detections, targets = zip(*pairs(), strict=True)
    metrics = DetectionMetrics(("cat", "dog"), lambda outputs: outputs, 200)
    metrics.update(list(detections), collate_boxes(targets))
    gold = COCO()
    gold.dataset = {"images": [{"id": t["image_id"]} for t in targets], "info": {}}
    gold.dataset["categories"] = [{"id": 1}, {"id": 2}]
    gold.dataset["annotations"] = [
        {
            "id": 10 * t["image_id"] + k,
            "image_id": t["image_id"],
            "category_id": label + 1,
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "area": (x1 - x0) * (y1 - y0),
            "iscrowd": 0,
        }
        for t in targets
        for k, (label, (x0, y0, x1, y1)) in enumerate(
            zip(t["labels"].tolist(), t["boxes"].double().tolist(), strict=True)
        )
    ]
    with redirect_stdout(None):
        gold.createIndex()
        evaluation = COCOeval(gold, gold.loadRes(metrics.predictions()), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    values = [value if value >= 0 else None for value in evaluation.stats]
    assert [value for _, value in metrics.details()["summary"]] == values
    names = {"map": "AP", "map50": "AP50", "map75": "AP75", "ar100": "AR@100"}
    summary, numbers = dict(metrics.details()["summary"]), metrics.compute()
    assert {name: numbers[name] for name in names} == {n: summary[s] for n, s in names.items()}


def test_nothing_is_printed(capfd):
    measured(found(A), truth(A)).compute()
    assert capfd.readouterr() == ("", "")


# --- mistakes ----------------------------------------------------------------------------------


def test_mistakes_are_named():
    metrics = DetectionMetrics(("cat",), lambda outputs: outputs, 200)
    with pytest.raises(ValueError, match="no image was counted"):
        metrics.compute()
    with pytest.raises(ValueError, match="1 images got detections of 0"):
        metrics.update([], collate_boxes([truth(A)]))
    with pytest.raises(ValueError, match="label 1, but the classes are 0 to 0: cat"):
        metrics.update([found()], collate_boxes([truth(A, labels=[1])]))
    metrics.update([found(A)], collate_boxes([truth()]))
    with pytest.raises(ValueError, match="no box is annotated"):
        metrics.compute()


def test_numbers_of_images_stay_whole():
    large = torch.tensor([2**31 + 1])
    row = BoxTable(large, torch.zeros(1, 4).double(), torch.tensor([0]), torch.zeros(1).double())
    joined = BoxTable.join([row])
    assert joined.image_ids.tolist() == [2**31 + 1]
    evaluation = coco_evaluation(BoxTable.join([]), BoxTable.join([]), image_ids=[1], num_classes=1)
    assert evaluation.stats[0] == -1
