"""From a network to a file that a runtime opens, checked before it is written (chapter 12).

``mnv3 export`` does three things: it gives the network its precision, lets the runtime's compiler
write the program, and runs that program beside the network in eager mode. In float32 the two must
agree to 1e-4; in float16 and int8 they cannot, and the card says how far they do.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from mnv3lib.compress.card import Card, ProgramAgreement, describe_input, write_program
from mnv3lib.compress.executorch_file import executorch_bytes, left_behind
from mnv3lib.compress.onnx_file import onnx_bytes
from mnv3lib.compress.source import CalibrationImages, Source
from mnv3lib.heads.predictions import Predictions
from mnv3lib.measure.bound import LoadedProgram
from mnv3lib.measure.program_file import PROGRAMS, load_bytes
from mnv3lib.measure.runtimes import TOLERANCE, WrongOutputError, find_runtime
from mnv3lib.models import deploy

__all__ = ["FORMATS", "PRECISIONS", "ExportError", "Format", "HalfPrecision", "export"]

_COMPARED = 16  # random images, where none are given


class ExportError(ValueError):
    """A network that a format cannot hold."""


class HalfPrecision(nn.Module):
    """A network that computes in float16 between an input and an output in float32.

    Args:
        network: A float32 network; it is copied.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).half()

    def forward(self, x: Tensor) -> Tensor:
        """x: float32, the shape that the network takes. Returns float32."""
        return self.network(x.half()).float()


@dataclass(frozen=True)
class Format:
    """A kind of program.

    Attributes:
        suffix: Of its files, a key of :data:`mnv3lib.measure.program_file.PROGRAMS`.
        build: From a network in evaluation mode and an example to the file's bytes.
        outside: From the bytes to the operators that the fast kernels leave out, if anybody knows.
    """

    suffix: str
    build: Callable[[nn.Module, Tensor], bytes]
    outside: Callable[[bytes], list[str] | None]


FORMATS: dict[str, Format] = {
    "onnx": Format(".onnx", onnx_bytes, lambda program: None),
    "executorch": Format(".pte", executorch_bytes, left_behind),
}


def _int8(network: nn.Module, images: CalibrationImages | None, calibration: str) -> nn.Module:
    from mnv3lib.compress.post_training import quantise_network

    if images is None:
        raise ValueError(
            "int8 needs images to choose the ranges of activations with: --calibrate names a data "
            "set, and 'mnv3 data list' shows them"
        )
    return quantise_network(network, images.batches, calibration=calibration)


PRECISIONS: dict[str, Callable[[nn.Module, CalibrationImages | None, str], nn.Module]] = {
    "fp32": lambda network, images, calibration: network,
    "fp16": lambda network, images, calibration: HalfPrecision(network),
    "int8": _int8,
}


def export(
    source: Source,
    out: Path,
    *,
    to: str,
    precision: str = "fp32",
    images: CalibrationImages | None = None,
    calibration: str = "min_max",
    evaluate: bool = False,
    root: str | None = None,
) -> Card:
    """Writes a network as a program, with its card beside it.

    Args:
        source: The network; see :func:`mnv3lib.compress.source.load_source`.
        out: The file to write, ending in the format's suffix; missing folders are made.
        to: A key of :data:`FORMATS`.
        precision: A key of :data:`PRECISIONS`.
        images: What int8 is calibrated with, and what every precision is compared on (random
            numbers if not given).
        calibration: How int8 chooses ranges; see :mod:`mnv3lib.compress.observers`.
        evaluate: Measure the program on the images that the run was evaluated on.
        root: Where these lie; see :func:`mnv3lib.data.load_dataset`.

    Returns:
        The card.

    Raises:
        ValueError: Unknown format, precision or calibration, another suffix, int8 without images,
            or an evaluation of a network that is from no run.
        ExportError: The format has no form for an operator of the network.
        WrongOutputError: A float32 program computes something else than the network.
        ImportError: The package of the format is not installed.
    """
    form = _checked(source, out, to, precision, evaluate)
    network = deploy(source.network).to(memory_format=torch.contiguous_format)
    changed = PRECISIONS[precision](network, images, calibration).eval()
    with _as_export_error(f"{to} has no form of {source.name} in {precision}"):
        content = form.build(changed, torch.zeros(source.input_shape))
    runtime = find_runtime(PROGRAMS[form.suffix][0])
    with runtime.threads(torch.get_num_threads()), _as_export_error(f"{to} cannot run the program"):
        program = load_bytes(content, form.suffix, threads=torch.get_num_threads(), name=out.name)
        agreement = _compared(source, network, program, images)
        _check(agreement, precision, to)
        metrics = _evaluated(source, program, root) if evaluate else {}
    chosen = None
    if precision == "int8" and images is not None:
        chosen = {"data": images.data, "images": images.count, "rule": calibration}
    about = {
        "format": to,
        "precision": precision,
        "output": {
            "shape": list(program.output_shape),
            "type": "float32",
            "meaning": source.meaning,
        },
        "calibration": chosen,
        "agreement": agreement,
        "outside_kernels": form.outside(content),
    }
    return write_program(out, content, **_told_by_source(source) | about | metrics)


def _checked(source: Source, out: Path, to: str, precision: str, evaluate: bool) -> Format:
    """The format, after what can be refused at once has been."""
    for what, value, table in (("format", to, FORMATS), ("precision", precision, PRECISIONS)):
        if value not in table:
            raise ValueError(f"unknown {what} {value!r}: choose one of {', '.join(table)}")
    if out.suffix != FORMATS[to].suffix:
        raise ValueError(
            f"{out} ends in {out.suffix!r}, but a file of {to} in {FORMATS[to].suffix!r}; the "
            "suffix is how a runtime is chosen later"
        )
    if evaluate and source.trained is None:
        raise ValueError("only the weights of a finished run say which images to evaluate on")
    return FORMATS[to]


@contextmanager
def _as_export_error(problem: str) -> Iterator[None]:
    """Makes one kind of error of all that exporters and runtimes raise."""
    try:
        yield
    except (ValueError, ImportError, OSError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ExportError(f"{problem}: {reason[:400]}") from error


def _told_by_source(source: Source) -> dict[str, object]:
    """What of the card is known before anything is exported."""
    trained, data = source.trained, source.data
    return {
        "network": source.name,
        "options": source.options,
        "task": source.task,
        "weights": source.weights,
        "input": describe_input(source.input_shape, mean=data.mean, std=data.std, view=source.view),
        "classes": None if trained is None else list(trained.classes),
        "metrics": None,
        "network_metrics": None if trained is None else trained.metrics,
    }


@torch.no_grad()
def _compared(
    source: Source, network: nn.Module, program: LoadedProgram, images: CalibrationImages | None
) -> ProgramAgreement:
    """The program beside the network in eager mode."""
    if images is None:
        generator = torch.Generator().manual_seed(0)
        x, words = torch.randn(_COMPARED, *source.input_shape[1:], generator=generator), "noise"
    else:
        x, words = images.others, f"training images of {images.data}"
    expected = torch.cat([network(image[None]) for image in x])
    top1 = source.task == "classification"
    return ProgramAgreement.between(expected, _run_each(program, x), of=words, top1=top1)


def _run_each(program: LoadedProgram, x: Tensor) -> Tensor:
    """A program for one image, run on each of several."""
    return torch.cat([program.bind(image[None].contiguous())().clone() for image in x])


def _check(agreement: ProgramAgreement, precision: str, to: str) -> None:
    """Refuses a float32 program that is further off than rounding explains."""
    if precision == "fp32" and not agreement.relative <= TOLERANCE:
        raise WrongOutputError(
            f"the {to} program differs from eager by {agreement.relative:.3g} of the largest "
            f"output, more than the {TOLERANCE:g} that rounding explains: nothing was written"
        )


def _evaluated(source: Source, program: LoadedProgram, root: str | None) -> dict[str, object]:
    """Metrics of the program and of the network, on the images that a run is evaluated on."""
    from mnv3lib.train import evaluate_trained

    recipe = source.trained.recipe.model_copy(update={"data": source.data})
    float_network = replace(source.trained, recipe=recipe)
    in_its_place = replace(float_network, network=_AsNetwork(program, source.task))
    compared = {"metrics": in_its_place, "network_metrics": float_network}
    return {key: evaluate_trained(each, root=root).metrics for key, each in compared.items()}


class _AsNetwork(nn.Module):
    """A program in the place of a network, so that whatever measures networks measures it."""

    def __init__(self, program: LoadedProgram, task: str) -> None:
        super().__init__()
        self._program, self._split = program, task == "detection"

    def forward(self, x: Tensor) -> Tensor | Predictions:
        outputs = _run_each(self._program, x)
        return Predictions.split(outputs) if self._split else outputs
