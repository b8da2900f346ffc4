"""``mnv3 export``: a network as a file for ONNX Runtime or ExecuTorch, with its card."""

from pathlib import Path
from typing import Annotated

import typer

from mnv3lib.cli.shared import AsJson, Root, print_result

__all__ = ["add_to", "export"]


def export(
    name: Annotated[str, typer.Argument(help="A network; 'mnv3 list' shows them.")],
    to: Annotated[str, typer.Option(help="onnx or executorch.")],
    out: Annotated[Path, typer.Option(help="File to write: .onnx or .pte; its card lies beside.")],
    precision: Annotated[str, typer.Option(help="fp32, fp16 or int8.")] = "fp32",
    weights: Annotated[
        Path | None,
        typer.Option(help="weights.safetensors of a finished run, or a checkpoint; else random."),
    ] = None,
    calibrate: Annotated[
        str | None,
        typer.Option(help="Data set whose training images int8 is calibrated with."),
    ] = None,
    images: Annotated[int, typer.Option(help="How many of them.")] = 256,
    calibration: Annotated[
        str, typer.Option(help="How int8 chooses ranges: min_max, percentile or entropy.")
    ] = "min_max",
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Measure the file on the run's own test images.")
    ] = False,
    width: Annotated[float | None, typer.Option(help="Width multiplier; 1 if not given.")] = None,
    resolution: Annotated[
        int | None, typer.Option(help="Side of the square image in pixels; 224 if not given.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Classes of the last layer; 1000 if not given.")
    ] = None,
    width_rule: Annotated[
        str | None, typer.Option(help="MobileNetV3 only: paper (default) or torchvision.")
    ] = None,
    tail: Annotated[
        str | None, typer.Option(help="MobileNetV3 only: full (default), dagger or rf2.")
    ] = None,
    padding: Annotated[
        str | None, typer.Option(help="symmetric (default) or same, TensorFlow's.")
    ] = None,
    root: Root = None,
    json: AsJson = False,
) -> None:
    """Write a network as a file that a runtime opens, and its card."""
    from mnv3lib import report_export as report
    from mnv3lib.compress.export import export as export_network
    from mnv3lib.compress.source import load_images, load_source

    given = {"width_mult": width, "num_classes": classes, "width_rule": width_rule}
    given |= {"tail": tail, "padding": padding}
    options = {key: value for key, value in given.items() if value is not None}
    source = load_source(name, weights, resolution=resolution, options=options)
    seen = None
    if calibrate is not None:
        seen = load_images(source, calibrate, count=images, root=root)
    how = {"to": to, "precision": precision, "images": seen, "calibration": calibration}
    card = export_network(source, out, **how, evaluate=evaluate, root=root)
    print_result(
        json,
        card,
        lambda card: report.card_data(card, out),
        lambda card: report.card_text(card, out),
    )


def add_to(app: typer.Typer) -> None:
    """Adds this command to an application."""
    app.command()(export)
