"""Training images: flipped and cropped, changed by kornia, normalised, erased and mixed.

Everything random is drawn from PyTorch's global generator and nothing is kept between batches, so
the loop repeats a batch by seeding. Taught in chapter 7 (training).
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from mnv3lib.train.policies import make_policy
from mnv3lib.train.recipe import Augmentation

__all__ = ["Augment", "mixed_targets"]

Change = Callable[[Tensor], Tensor]
Mixer = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

# Random erasing of torchvision and timm: share of the area, and ratio of the sides.
_ERASED_AREA = (0.02, 0.33)
_ERASED_RATIO = (0.3, 3.3)


class Augment:
    """What a recipe does to the images of a batch.

    Args:
        config: Section of the recipe.
        mean: Mean of each channel of images in [0, 1], subtracted.
        std: Standard deviation of each channel, divided by.
        num_classes: Classes, for the targets of mixed images.
    """

    def __init__(
        self,
        config: Augmentation,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        num_classes: int,
    ) -> None:
        self._mean = torch.tensor(mean).view(1, -1, 1, 1)
        self._std = torch.tensor(std).view(1, -1, 1, 1)
        self._num_classes = num_classes
        self._config = config
        self._changes = list(_changes(config))
        self._erase = _erase(config.erase) if config.erase else None
        self._mixers = list(_mixers(config))

    @torch.no_grad()
    def train(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Augments a batch.

        Args:
            images: RGB, uint8, (B, 3, H, W).
            labels: Classes, int64, (B,).

        Returns:
            Normalised images, float32, in the memory layout of `images`; and the labels, or where
            the recipe mixes images the probability of each class, (B, K).

        Raises:
            ValueError: Images that are not uint8.
        """
        changed = _checked(images)
        if self._config.flip:
            changed = _flip(changed, self._config.flip)
        if self._config.pad_crop:
            changed = _pad_crop(changed, self._config.pad_crop)
        changed = changed.float().div_(255)
        for change in self._changes:
            changed = change(changed)
        changed = self._normalise(changed)
        if self._erase is not None:
            changed = self._erase(changed)
        targets = labels
        if self._mixers:
            drawn = int(torch.randint(len(self._mixers), ()))
            changed, mixed = self._mixers[drawn](changed, labels)
            targets = mixed_targets(mixed, self._num_classes)
        return changed.contiguous(memory_format=_layout(images)), targets

    @torch.no_grad()
    def evaluate(self, images: Tensor) -> Tensor:
        """Normalises a batch, uint8 (B, 3, H, W), and changes nothing else."""
        return self._normalise(_checked(images).float().div_(255))

    def _normalise(self, images: Tensor) -> Tensor:
        """Changes images in [0, 1] in place."""
        return images.sub_(self._mean.to(images.device)).div_(self._std.to(images.device))


def mixed_targets(mixed: Tensor, num_classes: int) -> Tensor:
    """Probabilities of the classes of mixed images.

    Args:
        mixed: As kornia describes them: class of the image, class of the image mixed in, and
            the share of the latter, (B, 3).
        num_classes: Classes.

    Returns:
        Probabilities, (B, K); each row sums to 1.
    """
    first, second, share = mixed.unbind(1)
    own = functional.one_hot(first.long(), num_classes) * (1 - share)[:, None]
    return own + functional.one_hot(second.long(), num_classes) * share[:, None]


def _checked(images: Tensor) -> Tensor:
    if images.dtype != torch.uint8 or images.ndim != 4:
        kind = f"{str(images.dtype).removeprefix('torch.')} {tuple(images.shape)}"
        raise ValueError(f"images must be uint8 (B, 3, H, W) in [0, 255], got {kind}")
    return images


def _layout(images: Tensor) -> torch.memory_format:
    last = images.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


# Flips and crops are ours: kornia's took 8.5 ms for 64 images of 32 pixels on one core, by way of
# floats, these take 1.3 ms on bytes and give the very pixels back.
def _flip(images: Tensor, probability: float) -> Tensor:
    chosen = (torch.rand(len(images)) < probability).to(images.device)
    return torch.where(chosen[:, None, None, None], images.flip(-1), images)


def _pad_crop(images: Tensor, padding: int) -> Tensor:
    """Of each image with a black border, a part of the old size."""
    height, width = images.shape[-2:]
    padded = functional.pad(images, (padding,) * 4)
    cropped = torch.empty_like(images)
    corners = torch.randint(2 * padding + 1, (len(images), 2)).tolist()
    for number, (top, left) in enumerate(corners):
        cropped[number] = padded[number, :, top : top + height, left : left + width]
    return cropped


def _changes(config: Augmentation) -> Iterator[Change]:
    """Changes of images in [0, 1], in the order of the recipe."""
    if config.policy != "none":
        magnitude = config.policy_magnitude
        yield make_policy(config.policy, ops=config.policy_ops, magnitude=magnitude)
    if config.jitter:
        from kornia.augmentation import ColorJitter

        strengths = (config.jitter,) * 3  # brightness, contrast, saturation; no hue
        yield ColorJitter(*strengths, p=1.0)


def _erase(probability: float) -> Change:
    """Rectangles filled with zeros, which is the mean of normalised images."""
    from kornia.augmentation import RandomErasing

    return RandomErasing(scale=_ERASED_AREA, ratio=_ERASED_RATIO, value=0.0, p=probability)


def _mixers(config: Augmentation) -> Iterator[Mixer]:
    """Maps images and labels to mixed images and kornia's description of the mixture, (B, 3)."""
    if config.mixup:
        yield _mixup(config.mixup)
    if config.cutmix:
        yield _cutmix(config.cutmix)


def _mixup(alpha: float) -> Mixer:
    from kornia.augmentation import RandomMixUpV2

    mix = RandomMixUpV2(data_keys=["input", "class"])
    shares = torch.distributions.Beta(alpha, alpha)

    def mixup(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        # kornia draws the shares evenly, which is alpha = 1 only.
        parameters = mix.forward_parameters(images.shape)
        parameters["mixup_lambdas"] = shares.sample((len(images),))
        return tuple(mix(images, labels, params=parameters))

    return mixup


def _cutmix(alpha: float) -> Mixer:
    from kornia.augmentation import RandomCutMixV2

    mix = RandomCutMixV2(beta=alpha, data_keys=["input", "class"], use_correct_lambda=True)

    def cutmix(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        images, mixed = mix(images, labels)
        first, second, kept = mixed[0].unbind(1)  # kornia gives the share that was not pasted
        return images, torch.stack([first, second, 1 - kept], dim=1)

    return cutmix
