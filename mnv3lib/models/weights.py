"""Weights in and out, in our own key names or in those of torchvision and timm.

Loading is strict: every tensor of the network is set from the checkpoint and every tensor of
the checkpoint is used, or an error lists what does not fit and the network stays as it was.

What no checkpoint says is the epsilon of its batch norm and the padding it was trained with; a
wrong one shifts every logit silently (chapter 5 measures it). Ours are eps 1e-3 and symmetric
padding. Pass ``bn_eps=1e-5`` to :func:`mnv3lib.create_model` for torchvision's MobileNetV2 and
EfficientNet and for timm's PyTorch-trained networks, ``padding="same"`` for TensorFlow's.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mnv3lib.models.layouts import LAYOUTS, layout_pairs

__all__ = ["Layout", "WeightsError", "export_weights", "load_weights", "read_checkpoint"]

Layout = Literal["auto", "torchvision", "timm", "mnv3lib"]
StateDict = dict[str, Tensor]
Model = TypeVar("Model", bound=nn.Module)
# How the keys of each library begin; torchvision puts "backbone" before those of its detectors.
_SIGNS = {
    "mnv3lib": ("rows.0.",),
    "timm": ("conv_stem.", "patch_embed.", "stem."),
    "torchvision": ("features.0.", "backbone."),
}
_SHOWN = 5  # keys of a kind that an error names before it counts the rest


class WeightsError(ValueError):
    """A checkpoint that cannot be read, or does not fit the network."""


def read_checkpoint(path: str | Path) -> StateDict:
    """Reads a file of tensors: ``.safetensors``, or what ``torch.save`` wrote.

    Args:
        path: The file. Pickled code in it is never run (``weights_only``).

    Returns:
        Tensors by name.

    Raises:
        FileNotFoundError: There is no such file.
        WeightsError: The file is truncated, no checkpoint, or holds more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}; check the path")
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise WeightsError(
            f"{path.name} is not a readable checkpoint (truncated, or another format?): {error}"
        ) from error
    return _only_tensors(state, path.name)


def _only_tensors(state: object, name: str) -> StateDict:
    if not isinstance(state, Mapping):
        raise WeightsError(f"{name} holds a {type(state).__name__}, not tensors by name")
    strange = [key for key, value in state.items() if not isinstance(value, Tensor)]
    if strange:
        raise WeightsError(
            f"{name} holds more than tensors: {_some(strange)}; pass the state dict inside it, "
            f"for instance checkpoint[{strange[0]!r}]"
        )
    return dict(state)


def _detect_layout(state: StateDict) -> str:
    for layout, signs in _SIGNS.items():
        if any(key.startswith(signs) for key in state):
            return layout
    raise WeightsError(
        f"these keys belong to no known layout: {_some(list(state))}; known are {', '.join(_SIGNS)}"
    )


def _foreign_names(model: nn.Module, layout: str) -> dict[str, str]:
    """Maps our tensor names to those of the layout."""
    if layout == "mnv3lib":
        return {key: key for key in model.state_dict()}
    modules = layout_pairs(model, layout)
    names = {}
    for key in model.state_dict():
        module, _, tensor = key.rpartition(".")
        names[key] = f"{modules[module]}.{tensor}"
    return names


def _foreign_shape(foreign: str, shape: torch.Size) -> torch.Size:
    """The layer after pooling is a 1x1 convolution in timm, (C', C, 1, 1), and dense here."""
    is_dense_here = foreign == "conv_head.weight" and len(shape) == 2
    return torch.Size((*shape, 1, 1)) if is_dense_here else shape


def load_weights(model: Model, source: str | Path | Mapping, layout: Layout = "auto") -> Model:
    """Sets all weights of a network from a checkpoint.

    Args:
        model: The network to fill, with or without a head of :mod:`mnv3lib.heads`.
        source: Path of a checkpoint, or tensors by name.
        layout: Whose key names the checkpoint uses; ``"auto"`` tells by looking.

    Returns:
        The same network, filled.

    Raises:
        FileNotFoundError: There is no such file.
        WeightsError: The file cannot be read, or its tensors do not fit; the message lists those
            missing, unexpected and mis-shaped, and the network is unchanged.
        ValueError: Unknown layout, or that library has no such network.
    """
    if isinstance(source, Mapping):
        state = _only_tensors(source, "the state dict")
    else:
        state = read_checkpoint(source)
    layout = _detect_layout(state) if layout == "auto" else layout
    names = _foreign_names(model, layout)
    ours = model.state_dict()
    expected = {theirs: _foreign_shape(theirs, ours[key].shape) for key, theirs in names.items()}
    _check_fit(state, expected, layout)
    filled = {key: state[theirs].reshape(ours[key].shape) for key, theirs in names.items()}
    model.load_state_dict(filled)
    return model


def _check_fit(state: StateDict, expected: dict[str, torch.Size], layout: str) -> None:
    shared = expected.keys() & state.keys()
    mis_shaped = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(expected[key])}"
        for key in expected
        if key in shared and state[key].shape != expected[key]
    ]
    problems = {
        "missing": [key for key in expected if key not in shared],
        "unexpected": [key for key in state if key not in shared],
        "mis-shaped": mis_shaped,
    }
    if any(problems.values()):
        listed = "; ".join(f"{len(v)} {k}: {_some(v)}" for k, v in problems.items() if v)
        raise WeightsError(
            f"the checkpoint does not fit in {layout} layout: {listed}. "
            "Check the model's name, width_mult, num_classes and tail"
        )


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(map(str, keys[:_SHOWN])) + more


def export_weights(model: nn.Module, layout: Layout = "torchvision") -> StateDict:
    """The weights of a network under the key names of another library.

    Args:
        model: A network of ours, batch norm not folded.
        layout: ``"torchvision"``, ``"timm"`` or ``"mnv3lib"``.

    Returns:
        Tensors by name, detached copies; what :func:`load_weights` accepts.

    Raises:
        ValueError: Unknown layout, or that library has no such network.
    """
    if layout == "auto":
        raise ValueError(f"export needs a layout; choose one of {['mnv3lib', *LAYOUTS]}")
    state = model.state_dict()
    return {
        theirs: state[key].detach().clone().reshape(_foreign_shape(theirs, state[key].shape))
        for key, theirs in _foreign_names(model, layout).items()
    }
