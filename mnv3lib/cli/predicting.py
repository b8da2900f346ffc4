"""``mnv3 predict``: what a trained network says about an image of your own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnv3lib.cli.shared import AsJson, print_result

if TYPE_CHECKING:
    from mnv3lib.train.predictions import Prediction

__all__ = ["add_to", "predict"]

_TASKS = {"classify": "classification", "detect": "detection", "segment": "segmentation"}
_TOP, _SCORE = 5, 0.3


def predict(
    image: Annotated[Path, typer.Argument(help="A picture of any size: JPEG, PNG or another.")],
    weights: Annotated[Path, typer.Option(help="weights.safetensors of a finished run.")],
    task: Annotated[
        str | None,
        typer.Option(help="classify, detect or segment; the weights know it if not given."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Picture to write: .png, .jpg, .svg or .pdf; missing folders are made."),
    ] = None,
    top: Annotated[
        int | None, typer.Option(help=f"Most probable classes to show; {_TOP} if not given.")
    ] = None,
    score: Annotated[
        float | None,
        typer.Option(help=f"Boxes to show have at least this score; {_SCORE} if not given."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Say what is on an image: its class, boxes, or a class for every pixel."""
    wanted = _checked_task(task)
    from mnv3lib import report_prediction as report
    from mnv3lib.data.images import image_tensor
    from mnv3lib.files import write_atomically
    from mnv3lib.train.predict import load_predictor, read_picture

    suffix = None if out is None else report.picture_format(out)
    picture = read_picture(image)
    if out is not None and out.exists() and out.samefile(image):
        raise ValueError(f"--out would replace the image {image}; choose another name")
    predictor = load_predictor(weights)
    if wanted not in (None, predictor.task):
        raise ValueError(f"{weights} is for {predictor.task}: it cannot {task}; leave --task out")
    _refuse_options(predictor.task, top=top, score=score)
    found = _best(predictor(picture), top=top, score=score)
    if out is not None:
        content = report.prediction_picture(image_tensor(picture), found, suffix)
        write_atomically(out, content)
    print_result(json, found, report.prediction_data, report.prediction_text)


def _checked_task(task: str | None) -> str | None:
    """The task as recipes name it."""
    if task is not None and task not in _TASKS:
        raise ValueError(f"unknown task {task!r}: choose one of {', '.join(_TASKS)}")
    return None if task is None else _TASKS[task]


def _refuse_options(task: str, *, top: int | None, score: float | None) -> None:
    """Raises a ValueError for an option that means nothing for this task."""
    for option, value, meant in (
        ("--top", top, "classification"),
        ("--score", score, "detection"),
    ):
        if value is not None and task != meant:
            raise ValueError(f"{option} is for {meant}, and these weights are for {task}")


def _best(found: "Prediction", *, top: int | None, score: float | None) -> "Prediction":
    """What of a prediction is worth showing."""
    if found.task == "classification":
        return found.top(_TOP if top is None else top)
    if found.task == "detection":
        return found.above(_SCORE if score is None else score)
    return found


def add_to(app: typer.Typer) -> None:
    """Adds this command to an application."""
    app.command()(predict)
