"""A kernel of four axes as a product of smaller ones: what thin blocks are, without activations.

The weights of a regular convolution are a tensor W of shape (O, I, k, k). Two of its
decompositions are a sequence of three convolutions, 1x1, kxk, 1x1:

* **Tucker-2**: W[o, i] is the sum over a, b of U[o, b] G[b, a] V[a, i], with a regular kernel G
  between b and a; small when a and b are fewer than i and o. A Tucker block.
* **CP** (canonical polyadic, both spatial axes as one): W[o, i] is the sum over r of
  U[o, r] D[r] V[r, i], with one kernel D[r] a channel, a depthwise convolution; the rank R may be
  larger than i and o. An inverted residual.

Norms and activations between the convolutions make blocks more than that, so the names tell where
the shapes come from. Source: arXiv 2004.14525, section 3; the decompositions are textbook algebra.
Taught in the chapter on MobileDets.
"""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["TuckerFactors", "cp_kernel", "tucker_decomposition", "tucker_kernel"]


class TuckerFactors(NamedTuple):
    """The three kernels of a Tucker-2 decomposition, in the order in which they are applied.

    Attributes:
        compress: V, (A, I, 1, 1).
        core: G, (B, A, k, k).
        project: U, (O, B, 1, 1).
    """

    compress: Tensor
    core: Tensor
    project: Tensor


def tucker_kernel(factors: TuckerFactors) -> Tensor:
    """The single kernel that does what three in a row do.

    Args:
        factors: The kernels of a 1x1, a kxk and a 1x1 convolution.

    Returns:
        W, (O, I, k, k).

    Raises:
        ValueError: Kernels whose channels do not meet.

    Example:
        >>> shapes = (2, 3, 1, 1), (2, 2, 1, 1), (1, 2, 1, 1)
        >>> tucker_kernel(TuckerFactors(*map(torch.ones, shapes))).flatten()  # 2 x 2 paths each
        tensor([4., 4., 4.])
    """
    compress, core, project = factors
    if core.shape[1] != compress.shape[0] or project.shape[1] != core.shape[0]:
        raise ValueError(
            f"kernels {tuple(compress.shape)}, {tuple(core.shape)} and {tuple(project.shape)} do "
            "not follow one another: the channels out of each must be those into the next"
        )
    return torch.einsum("ob,bahw,ai->oihw", project[..., 0, 0], core, compress[..., 0, 0])


def cp_kernel(expand: Tensor, depthwise: Tensor, project: Tensor) -> Tensor:
    """The single kernel that an inverted residual without norms and activations applies.

    Args:
        expand: V, (R, I, 1, 1).
        depthwise: D, (R, 1, k, k).
        project: U, (O, R, 1, 1).

    Returns:
        W, (O, I, k, k), of rank R or less.

    Raises:
        ValueError: Kernels whose channels do not meet.
    """
    if not expand.shape[0] == depthwise.shape[0] == project.shape[1] or depthwise.shape[1] != 1:
        raise ValueError(
            f"kernels {tuple(expand.shape)}, {tuple(depthwise.shape)} and {tuple(project.shape)} "
            "are no 1x1, depthwise and 1x1 convolution of one middle width"
        )
    return torch.einsum("or,rhw,ri->oihw", project[..., 0, 0], depthwise[:, 0], expand[..., 0, 0])


def tucker_decomposition(weight: Tensor, in_rank: int, out_rank: int) -> TuckerFactors:
    """Splits a kernel by the higher-order singular value decomposition.

    Each channel axis is projected on the directions in which the kernel varies most. At full ranks
    the product is the kernel again; below, it is close to the best that can be done.

    Args:
        weight: W, (O, I, k, k).
        in_rank: A, from 1 to I.
        out_rank: B, from 1 to O.

    Raises:
        ValueError: Not a kernel of four axes, or a rank out of range.
    """
    if weight.ndim != 4:
        raise ValueError(f"a kernel has four axes (O, I, k, k), got {tuple(weight.shape)}")
    out_channels, in_channels = weight.shape[:2]
    if not (1 <= in_rank <= in_channels and 1 <= out_rank <= out_channels):
        raise ValueError(
            f"ranks must be 1 to {in_channels} (in) and 1 to {out_channels} (out), got {in_rank} "
            f"and {out_rank}"
        )
    out_basis = _leading(weight.flatten(1), out_rank)  # (O, B)
    in_basis = _leading(weight.transpose(0, 1).flatten(1), in_rank)  # (I, A)
    core = torch.einsum("ob,oihw,ia->bahw", out_basis, weight, in_basis)
    return TuckerFactors(in_basis.T[..., None, None], core, out_basis[..., None, None])


def _leading(matrix: Tensor, rank: int) -> Tensor:
    """The left singular vectors of the largest singular values, as columns, (rows, rank)."""
    # Of the Gram matrix: rows are few and columns many, and the rank may exceed the columns.
    _, vectors = torch.linalg.eigh(matrix @ matrix.T)
    return vectors.flip(1)[:, :rank]
