"""A network for each task, trained for one step on emoji, and pictures to show it."""

from functools import cache
from pathlib import Path

import torch
from PIL import Image

from mnv3lib.data.scenes import EmojiScenes
from mnv3lib.train import Trained, train
from mnv3lib.train.recipe_files import parse_recipe

SCENES = {
    "size": [64, 96],
    "count": 4,
    "objects": [1, 2],
    "classes": ["drink", "food-fruit", "transport-ground"],
}
MODEL = {"name": "mobilenet_v3_small", "width_mult": 0.35, "bn_momentum": 0.1}
GREY = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
COMMON = {
    "source": "a test",
    "model": MODEL,
    "optimizer": {"name": "adamw", "lr": 1e-3},
    "train": {"epochs": 1, "batch_size": 4},
}
RECIPES = {
    "classification": {
        "data": {"name": "emoji", "resolution": 32, "subset": 4, "held_out": 4, **GREY},
    },
    "detection": {
        "head": {"kind": "ssdlite", "scales": [0.25, 0.8], "extra_channels": [32]},
        "data": {
            "name": "emoji-scenes",
            "resolution": 64,
            "options": {"task": "detection", **SCENES},
            **GREY,
        },
    },
    "segmentation": {
        "head": {"kind": "lr_aspp", "filters": 16},
        "data": {
            "name": "emoji-scenes",
            "resolution": [48, 64],
            "options": {"task": "segmentation", **SCENES},
            **GREY,
        },
    },
}


def train_tiny(task: str, folder: Path) -> Trained:
    """Trains for one step; ``weights.safetensors`` lies in the folder afterwards."""
    recipe = parse_recipe({**COMMON, "task": task, **RECIPES[task]})
    return train(recipe, out=folder)


@cache
def scene() -> torch.Tensor:
    """A scene of emoji, uint8 (3, 64, 96)."""
    return EmojiScenes("test", size=(64, 96), count=1, objects=(2, 2))[0][0]


def write_scene(path: Path, mode: str = "RGB") -> Path:
    """Writes the scene with another mode of pixels, such as "L" or "RGBA"."""
    Image.fromarray(scene().permute(1, 2, 0).numpy()).convert(mode).save(path)
    return path
