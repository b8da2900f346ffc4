"""Answers to claims about losses: values on a published curve, and the mean of weights.

Named by claims as the functions of :mod:`mnv3lib.ledger.answers` are. Used by chapter 14.
"""

from math import log

import torch

from mnv3lib.train.bias_loss import BiasLoss, bias_weight

__all__ = ["bias_loss_at", "bias_weight_at"]


def bias_weight_at(normalised: float) -> float:
    """Weight of an image by bias loss, with the published constants.

    Args:
        normalised: Its variance, scaled to [0, 1] over the batch.
    """
    return bias_weight(torch.tensor(normalised, dtype=torch.float64)).item()


def bias_loss_at(probability: float, normalised: float) -> float:
    """Bias loss of one image, a point of the published curves.

    Args:
        probability: What the network gives the true class.
        normalised: Its variance, scaled to [0, 1] over the batch.
    """
    # Three images of variances 0, `normalised` and 1, of which only the second has a loss.
    deviations = torch.tensor([0.0, normalised, 1.0], dtype=torch.float64).sqrt()
    maps = torch.stack([deviations, -deviations], dim=1) / 2**0.5
    losses = torch.tensor([0.0, -log(probability), 0.0], dtype=torch.float64)
    return 3 * BiasLoss()(losses, maps).item()
