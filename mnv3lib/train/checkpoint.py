"""Checkpoints: all that a run needs to go on as if it had never stopped, in one file.

The file is a safetensors archive: tensors of the network, its average and the optimiser, and as
metadata a small JSON text with the position of the run and its history so far. There are no states
of random generators in it, since every random choice follows from the seed and the step (see
:mod:`mnv3lib.train.plan`). It is replaced atomically. Taught in chapter 7 (training).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mnv3lib.files import write_atomically

__all__ = [
    "CheckpointError",
    "load_optimizer",
    "optimizer_tensors",
    "read_checkpoint",
    "write_checkpoint",
]

_PROGRESS = "mnv3lib"


class CheckpointError(ValueError):
    """A file that is no checkpoint, a damaged one, or one of another run."""


def write_checkpoint(
    path: Path, parts: Mapping[str, Mapping[str, Tensor]], progress: Mapping[str, Any]
) -> None:
    """Writes a checkpoint.

    Args:
        path: The file; the old one stays until the new one is complete.
        parts: Tensors by part (``"network"``, ``"average"``, ``"optimizer"``) and name.
        progress: Everything else, ready for JSON.

    Raises:
        OSError: It could not be written; the old file is untouched.
    """
    tensors = {  # copies, since modules may share a tensor, and a safetensors file holds each once
        f"{part}/{name}": tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for part, named in parts.items()
        for name, tensor in named.items()
    }
    content = save(tensors, metadata={_PROGRESS: json.dumps(progress)})
    try:
        write_atomically(path, content)
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot write the checkpoint {path} ({len(content) / 1e6:.1f} MB): {error.strerror}; "
            "the last one is intact, so make room and resume",
        ) from error


def read_checkpoint(path: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Reads a checkpoint.

    Args:
        path: The file.

    Returns:
        Parts and progress as given to :func:`write_checkpoint`.

    Raises:
        FileNotFoundError: There is no such file.
        CheckpointError: It is no checkpoint, or a damaged one.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint {path}: there is nothing to resume or evaluate")
    parts: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as file:
            progress = json.loads((file.metadata() or {})[_PROGRESS])
            for key in file.keys():  # noqa: SIM118 - it is no dictionary
                part, name = key.split("/", 1)
                parts.setdefault(part, {})[name] = file.get_tensor(key)
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a checkpoint of this package, or is damaged ({error}); "
            "remove it to start the run again"
        ) from error
    return parts, progress


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of an optimiser as named tensors: ``"12.momentum_buffer"``.

    Settings such as the learning rate are not part of it: the recipe sets them.
    """
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": torch.as_tensor(value)
        for index, values in state.items()
        for name, value in values.items()
        if value is not None
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Puts named tensors back into an optimiser of the same recipe.

    Args:
        optimizer: The optimiser; see :func:`mnv3lib.train.optimizers.make_optimizer`.
        tensors: What :func:`optimizer_tensors` returned.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
