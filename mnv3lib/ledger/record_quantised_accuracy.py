"""Quantise the networks of a study, measure what 8 bits cost them, and record the run.

    python -m mnv3lib.ledger.record_quantised_accuracy --out data/runs/cifar10-quantised.json

Every network of the study, one for each variant and seed, is made int8 after its training by each
calibration, and is fine-tuned with fake quantisation. The control of the latter is the same
fine-tuning in float: what that gains is not owed to quantisation. Of the first seed's networks,
each operator is also quantised alone (:func:`mnv3lib.compress.agreement.layer_sensitivity`). What
is finished stays in a folder, so an interrupted command goes on. Shown in chapter 12.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from tqdm import tqdm

from mnv3lib.compress.agreement import compare_networks, layer_sensitivity
from mnv3lib.compress.observers import CALIBRATIONS
from mnv3lib.compress.post_training import quantise_network
from mnv3lib.compress.quantisation_aware import fine_tuning, train_quantised
from mnv3lib.compress.source import load_images, load_source
from mnv3lib.data.loading import load_batches
from mnv3lib.executors import Processes
from mnv3lib.files import write_atomically
from mnv3lib.models import deploy
from mnv3lib.recorder import record_from_command_line
from mnv3lib.runs import RecordedRun, write_run
from mnv3lib.train import evaluate_trained, load_trained, train
from mnv3lib.train.run import Trained
from mnv3lib.train.study import Study, load_study
from mnv3lib.train.task_kinds import TASKS

__all__ = ["FORMS", "Cell", "main", "measure_cell", "record"]

_MODULE = "mnv3lib.ledger.record_quantised_accuracy"
_COMPARED = 1000  # images on which the outputs are compared
_SHOWN = ("top1", "top5", "nll", "ece", "confidence")

FORMS = ("float", *CALIBRATIONS, "quantisation_aware", "float_fine_tuned")
"""What is measured of a network: as it was trained, int8 by each calibration, fine-tuned."""


@dataclass(frozen=True)
class Cell:
    """One network of the study, and how it is quantised.

    Attributes:
        weights: ``weights.safetensors`` of its run.
        folder: Where the fine-tuning leaves its checkpoints and the results are kept.
        seed: Of its run, and of the fine-tuning.
        images: Training images to calibrate with.
        epochs: Of the fine-tuning.
        lr: First learning rate of the fine-tuning.
        layers: Also quantise each operator alone.
        root: Where the data lie; None for `MNV3_DATA`.
    """

    weights: Path
    folder: Path
    seed: int
    images: int
    epochs: int
    lr: float
    layers: bool
    root: str | None

    @property
    def file(self) -> Path:
        """Where the results are kept."""
        return self.folder / "quantised.json"


def measure_cell(cell: Cell) -> None:
    """Measures all forms of one network and keeps the results.

    They hold, for each of :data:`FORMS`, ``metrics`` and, of those in int8, ``agreement`` with the
    float network on images of the evaluation; ``layers``; and ``seconds``, the time it took.
    """
    started = time.perf_counter()
    trained = load_trained(cell.weights)
    network = deploy(trained.network)
    source = load_source(trained.recipe.model.name, cell.weights)
    images = load_images(source, source.data.name, count=cell.images, root=cell.root).batches
    unseen = _first_evaluated(trained, cell.root)

    def measure(form: nn.Module) -> dict[str, Any]:
        found = evaluate_trained(replace(trained, network=form), root=cell.root)
        agreement = asdict(compare_networks(network, form.eval(), unseen))
        return {"metrics": _shown(found), "agreement": agreement}

    found: dict[str, Any] = {
        "float": {"metrics": _shown(evaluate_trained(trained, root=cell.root))}
    }
    for name in CALIBRATIONS:
        found[name] = measure(quantise_network(network, images, calibration=name))
    gentle = fine_tuning(trained.recipe, epochs=cell.epochs, lr=cell.lr)
    checkpoint = cell.folder / "quantised.safetensors"
    settings = {"seed": cell.seed, "root": cell.root, "checkpoint": checkpoint}
    found["quantisation_aware"] = measure(train_quantised(trained, gentle, **settings).network)
    settings = {"seed": cell.seed, "root": cell.root, "start": trained.network}
    control = train(gentle, out=cell.folder / "float", resume=True, **settings)
    found["float_fine_tuned"] = {"metrics": _shown(control)}
    if cell.layers:
        found["layers"] = [asdict(layer) for layer in layer_sensitivity(network, images)]
    found["seconds"] = time.perf_counter() - started
    write_atomically(cell.file, json.dumps(found).encode())


def _first_evaluated(trained: Trained, root: str | None) -> list[Tensor]:
    """The first images that the run is evaluated on, as the network takes them."""
    data, kind = trained.recipe.data, TASKS[trained.recipe.task]
    dataset = kind.load(data, data.eval_split, train=False, seed=0, root=root)
    size = trained.recipe.train.eval_batch_size
    indices = list(range(min(_COMPARED, len(dataset))))
    batches = [indices[i : i + size] for i in indices[::size]]
    prepare = kind(trained.recipe, trained.classes).prepare_evaluation
    return [prepare(images) for images, _ in load_batches(dataset, batches)]


def _shown(found: Trained) -> dict[str, float]:
    return {name: found.metrics[name] for name in _SHOWN}


def record(
    out: Path,
    *,
    study: str = "cifar10-swish",
    runs: str = "runs/cifar10-swish",
    work: str = "runs/cifar10-quantised",
    images: int = 256,
    epochs: int = 1,
    lr: float = 1e-3,
    jobs: int = 1,
    root: str = "",
) -> RecordedRun:
    """Measures all networks of a study and writes the run.

    Args:
        out: The JSON file to write, for instance ``data/runs/cifar10-quantised.json``.
        study: Name of a study whose networks classify.
        runs: The folder in which its trainings lie, see :func:`mnv3lib.train.study.run_study`.
        work: Folder for what is finished.
        images: Training images to calibrate with.
        epochs: Of the fine-tuning.
        lr: First learning rate of the fine-tuning.
        jobs: Networks at once, each with one thread.
        root: Where the data lie; empty for `MNV3_DATA`.

    Returns:
        The run; its metrics hold for each variant each of :data:`FORMS` with a list of ``metrics``
        (and of ``agreement``) over the seeds, and ``layers`` of the first seed; and for each pair
        of the study what each form gains the first one over the second, in points, by seed.

    Raises:
        FileNotFoundError: A network of the study is not trained yet, or the data are not there.
        ValueError: An unknown study, one of another task, or a number out of range.
    """
    loaded, name = load_study(study), Path(study).name
    options = {"images": images, "epochs": epochs, "lr": lr}
    cells = _cells(loaded, Path(runs), Path(work), options, root or None)
    started = datetime.now(UTC)
    waiting = [cell for cell in cells.values() if not cell.file.is_file()]
    for _ in tqdm(Processes(jobs).map(measure_cell, waiting), total=len(waiting), disable=None):
        pass  # each result is in its folder
    found = {key: json.loads(cell.file.read_text("utf-8")) for key, cell in cells.items()}
    seconds = sum(result.pop("seconds") for result in found.values())
    return write_run(
        out.stem,
        command=f"python -m {_MODULE} --study {name} --images {images} "
        f"--epochs {epochs} --lr {lr:g} --out data/runs/{out.name}",
        config={"study": name, "compared": _COMPARED, **options},
        seeds=loaded.seeds,
        metrics={
            "variants": {each: _by_form(loaded, each, found) for each in loaded.variants},
            "differences": _differences(loaded, found),
        },
        started=min(started, datetime.now(UTC) - timedelta(seconds=seconds / jobs)),
        duration_s=seconds,
        path=out,
    )


def _cells(
    study: Study, runs: Path, work: Path, options: dict[str, Any], root: str | None
) -> dict[tuple[str, int], Cell]:
    """What there is to measure, by variant and seed."""
    cells = {}
    for seed in study.seeds:
        for variant in study.variants:
            place = Path(variant) / f"seed-{seed}"
            weights = runs / place / "weights.safetensors"
            if not weights.is_file():
                raise FileNotFoundError(
                    f"no {weights}: train the networks first, 'mnv3 study NAME --work {runs}'"
                )
            layers = seed == study.seeds[0]
            cell = Cell(weights, work / place, seed, **options, layers=layers, root=root)
            cells[variant, seed] = cell
    return cells


def _by_form(study: Study, variant: str, found: dict[tuple[str, int], dict]) -> dict[str, Any]:
    """The results of a variant, each number as a list over the seeds."""
    own = [found[variant, seed] for seed in study.seeds]
    forms = {
        form: {key: [result[form][key] for result in own] for key in own[0][form]} for form in FORMS
    }
    return {**forms, "layers": own[0]["layers"]}


def _differences(study: Study, found: dict[tuple[str, int], dict]) -> dict[str, dict[str, list]]:
    """What the forms change about the variants of each pair, one less the other."""

    def gain(variant: str, seed: int, form: str) -> float:
        forms = found[variant, seed]
        return 100 * (forms[form]["metrics"]["top1"] - forms["float"]["metrics"]["top1"])

    return {
        question: {
            form: [gain(one, seed, form) - gain(other, seed, form) for seed in study.seeds]
            for form in FORMS[1:]
        }
        for question, (one, other) in study.differences.items()
    }


def _describe(run: RecordedRun) -> str:
    return f"{run.name}: {len(run.metrics['variants'])} variants, {run.duration_s:.0f} s of a core"


def main(arguments: list[str] | None = None) -> int:
    """Records a run from the command line; see :mod:`mnv3lib.recorder`."""
    return record_from_command_line(
        record,
        module=_MODULE,
        summary=__doc__.splitlines()[0],
        describe=_describe,
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main())
