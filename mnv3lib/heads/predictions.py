"""What a detector returns: scores and codes for every anchor (chapter 10)."""

from typing import NamedTuple

from torch import Tensor

__all__ = ["Predictions"]


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
