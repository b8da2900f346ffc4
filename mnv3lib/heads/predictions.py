"""What a detector returns: scores and codes for every anchor (chapter 10)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["OneOutput", "Predictions"]


class Predictions(NamedTuple):
    """Raw outputs for N images and A anchors.

    Attributes:
        class_logits: (N, A, classes + 1); column 0 is the background.
        box_codes: tx, ty, tw, th of :mod:`mnv3lib.heads.box_coder`, (N, A, 4).
    """

    class_logits: Tensor
    box_codes: Tensor

    def float(self) -> "Predictions":
        """The same in single precision, for losses after a pass in lower precision."""
        return Predictions(self.class_logits.float(), self.box_codes.float())

    @classmethod
    def split(cls, joined: Tensor) -> "Predictions":
        """Takes apart what :class:`OneOutput` returns, (N, A, classes + 5)."""
        return cls(joined[..., :-4], joined[..., -4:])


class OneOutput(nn.Module):
    """A detector that returns one tensor, as the runtimes of :mod:`mnv3lib.measure` want it.

    Args:
        detector: An :class:`mnv3lib.heads.ssdlite.SSDLite`.
    """

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector
        self.min_resolution = detector.min_resolution

    def forward(self, images: Tensor) -> Tensor:
        """images: As the detector's. Returns logits and codes side by side, (N, A, classes + 5)."""
        return torch.cat(self.detector(images), dim=-1)
