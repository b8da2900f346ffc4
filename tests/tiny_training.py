"""A data set of two dozen images and a recipe for it, with everything random switched on."""

from pathlib import Path

import torch
from PIL import Image

RECIPE = """
source = "a test"

[model]
name = "mobilenet_v3_small"
width_mult = 0.35
removed_strides = 1
dropout = 0.2
drop_path = 0.1

[data]
name = "imagenet"
eval_split = "val"
resolution = 32
crop_area = [0.3, 1.0]

[augment]
flip = 0.5
policy = "rand_augment"
erase = 0.3
mixup = 0.2
cutmix = 1.0

[optimizer]
name = "rmsprop_tf"
lr = 0.01
eps = 1e-3
weight_decay = 1e-5
clip_norm = 5.0

[schedule]
name = "step"
gamma = 0.9
every = 0.7
warmup_epochs = 0.5
noise = [0.2, 0.9]

[train]
epochs = 3
batch_size = 8
label_smoothing = 0.1
ema_decay = 0.9
checkpoint_steps = 1
"""


def write_images(root: Path, *, images: int = 12, side: int = 40) -> Path:
    """Writes an ImageNet folder: two classes, half as many validation images as training ones."""
    generator = torch.Generator().manual_seed(0)
    for split, count in (("train", images), ("val", images // 2)):
        for label, wnid in enumerate(("n01440764", "n01443537")):
            folder = root / "imagenet" / split / wnid
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = torch.randint(0, 128, (side, side, 3), generator=generator)
                pixels[..., label] += 100  # one class is redder, the other greener
                image = Image.fromarray(pixels.to(torch.uint8).numpy())
                image.save(folder / f"{wnid}_{number}.JPEG")
    return root


def write_recipe(folder: Path, **replacements: str) -> Path:
    """Writes the recipe, with some lines replaced: ``epochs="epochs = 1"``."""
    lines = RECIPE.splitlines()
    for key, line in replacements.items():
        (index,) = [i for i, old in enumerate(lines) if old.startswith(f"{key} =")]
        lines[index] = line
    path = folder / "tiny.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
