r"""Pictures with alpha on backgrounds that are drawn anew for every image and epoch.

*Over*, with premultiplied alpha (Porter and Duff, "Compositing digital images", 1984, section 4):
a pixel of colour :math:`c` and coverage :math:`\alpha` on a background :math:`b` becomes
:math:`\alpha c + (1 - \alpha) b`. What is stored is the product :math:`\alpha c`, since only
products may be averaged: a resize that averages colours apart from their coverage lets the colour
of invisible pixels bleed into the edge.

Random numbers come from a counter, not from a state: a hash of (seed, epoch, index, place). A
whole epoch of backgrounds is one vectorised call, and any part of it can be drawn alone.

Used from chapter 7 (training) on; shown on the book's data card.
"""

import hashlib

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["backgrounds", "composite", "counter_uniform", "premultiply", "resize_premultiplied"]

_GRID = 4  # a background is smooth: it is drawn on 4 x 4 points
_KIND, _COLOURS, _ANGLE, _CLOUD = slice(0, 1), slice(1, 7), slice(7, 8), slice(8, 8 + _GRID**2)
_DRAWS = _CLOUD.stop
_CHUNK = 256  # images at a time, so that the working set stays small
_GOLDEN = 0x9E3779B97F4A7C15
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))


def _signed(value: int) -> int:
    """The 64 bits of a number as PyTorch's int64 holds them."""
    value %= 1 << 64
    return value - (1 << 64) if value >> 63 else value


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical shift to the right (PyTorch's own keeps the sign)."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    """SplitMix64's finaliser (Steele, Lea and Flood, 2014): every bit depends on every bit."""
    for bits, factor in _MIX:
        x = (x ^ _shift(x, bits)) * _signed(factor)
    return x


def counter_uniform(seed: int, epoch: int, indices: Tensor, count: int) -> Tensor:
    """Random numbers as a pure function of (seed, epoch, index, place).

    Args:
        seed: Seed of the data set.
        epoch: Epoch.
        indices: int64 (N,).
        count: Numbers for each index.

    Returns:
        float32 in [0, 1), (N, count); row *i* depends on ``indices[i]`` alone.
    """
    digest = hashlib.blake2b(f"{int(seed)},{int(epoch)}".encode(), digest_size=8).digest()
    key = _signed(int.from_bytes(digest, "little"))
    rows = _mix((indices.long() ^ key) * _signed(_GOLDEN))[:, None]
    places = torch.arange(1, count + 1)[None] * _signed(_GOLDEN)
    return _shift(_mix(rows + places), 40).float() / (1 << 24)


def premultiply(tiles: Tensor) -> tuple[Tensor, Tensor]:
    """Splits RGBA into colour times coverage, and coverage.

    Args:
        tiles: uint8 (N, H, W, 4).

    Returns:
        Colour, float32 (N, 3, H, W) from 0 to 255, and alpha, float32 (N, 1, H, W) from 0 to 1.
    """
    planes = tiles.permute(0, 3, 1, 2).float()
    alpha = planes[:, 3:] / 255
    return planes[:, :3] * alpha, alpha


def resize_premultiplied(
    colour: Tensor, alpha: Tensor, size: int | tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Resizes both parts of :func:`premultiply` with the same anti-aliased bilinear filter.

    Args:
        colour: (N, 3, H, W).
        alpha: (N, 1, H, W).
        size: Side of a square, or height and width, in pixels.

    Returns:
        The same two, resized.

    Raises:
        ValueError: A side below 1.
    """
    sides = (size, size) if isinstance(size, int) else size
    if min(sides) < 1:
        raise ValueError(f"resolution must be at least 1, got {size}")
    if tuple(alpha.shape[-2:]) == tuple(sides):
        return colour, alpha
    both = functional.interpolate(
        torch.cat([colour, alpha], dim=1), sides, mode="bilinear", antialias=True
    )
    return both[:, :3], both[:, 3:]


def _blend_maps(draws: Tensor) -> Tensor:
    """How far each of the 4 x 4 points is from the first colour to the second, (N, 4, 4)."""
    line = torch.linspace(-0.5, 0.5, _GRID)
    angle = 2 * torch.pi * draws[:, _ANGLE, None]
    ramp = 0.5 + angle.cos() * line[None, None, :] + angle.sin() * line[None, :, None]
    cloud = draws[:, _CLOUD].reshape(-1, _GRID, _GRID)
    kind = (3 * draws[:, _KIND, None]).long()  # a third each: plain, gradient, clouds
    return torch.where(kind == 0, torch.zeros(()), torch.where(kind == 1, ramp, cloud))


def _interpolation(side: int) -> Tensor:
    """Linear interpolation from 4 points to ``side`` as a matrix, (side, 4)."""
    places = torch.linspace(0, _GRID - 1, side)[:, None]
    return (1 - (places - torch.arange(_GRID)).abs()).clamp(0, 1)


def backgrounds(draws: Tensor, size: tuple[int, int]) -> Tensor:
    """Plain colours, gradients between two colours, and clouds of two colours, a third each.

    Args:
        draws: Uniform numbers, (N, 24), as :func:`counter_uniform` gives them.
        size: Height and width, pixels.

    Returns:
        float32 from 0 to 255, (N, 3, height, width).
    """
    first, second = draws[:, _COLOURS].reshape(-1, 2, 3, 1, 1).unbind(1)  # each (N, 3, 1, 1)
    maps = _blend_maps(draws).clamp_(0, 1)[:, None]
    down, across = (_interpolation(side) for side in size)
    smooth = down @ maps @ across.T
    return torch.addcmul(255 * first, 255 * (second - first), smooth)


def composite(colour: Tensor, alpha: Tensor, indices: Tensor, *, seed: int, epoch: int) -> Tensor:
    """Lays some of the pictures over backgrounds that are drawn for (seed, epoch, index).

    Args:
        colour: All pictures, premultiplied, (N, 3, H, W) from 0 to 255.
        alpha: Their coverage, (N, 1, H, W) from 0 to 1.
        indices: Which of them, int64 (B,).
        seed: Seed of the data set.
        epoch: Epoch.

    Returns:
        uint8 (B, 3, H, W).
    """
    size = (colour.shape[2], colour.shape[3])
    out = torch.empty(len(indices), 3, *size, dtype=torch.uint8)
    draws = counter_uniform(seed, epoch, indices, _DRAWS)
    for start in range(0, len(indices), _CHUNK):
        part = slice(start, start + _CHUNK)
        chosen = indices[part]
        mixed = backgrounds(draws[part], size).mul_(1 - alpha[chosen]).add_(colour[chosen])
        out[part] = mixed.round_().clamp_(0, 255)
    return out
