"""Weights and inputs from a formula, so that outputs can be compared across libraries.

For a tensor called K in torchvision's layout, s_j = sin(0.37 j + c), where c is the sum of the
bytes of K modulo 97 and j the flat index; scales keep the activations of a network in range.
"""

import torch
from torch import Tensor

__all__ = ["golden_image", "golden_state"]


def golden_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Fills every floating-point tensor by its name, in double precision."""
    return {key: _golden(key, value) for key, value in state.items()}


def _golden(key: str, value: Tensor) -> Tensor:
    if key.endswith("num_batches_tracked"):
        return value
    index = torch.arange(value.numel(), dtype=torch.float64)
    s = torch.sin(0.37 * index + sum(key.encode()) % 97).reshape(value.shape)
    if value.ndim >= 2:
        return 1.4 * s * (2 / value[0].numel()) ** 0.5
    around_one = key.endswith(("running_var", "weight"))
    return 1 + 0.1 * s if around_one else 0.1 * s


def golden_image(size: int) -> Tensor:
    """x_j = sin(0.01 j), (1, 3, size, size), in double precision."""
    index = torch.arange(3 * size * size, dtype=torch.float64)
    return torch.sin(0.01 * index).reshape(1, 3, size, size)
