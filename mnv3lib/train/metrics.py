"""What is counted while a classifier is evaluated, batch by batch and on several processes.

Shares, not percent: a top-1 of 0.75. Taught in chapter 7 (training).
"""

import torch
from torch import Tensor
from torch.nn import functional

from mnv3lib.train.calibration import Reliability, reliability

__all__ = ["ClassificationMetrics"]


class ClassificationMetrics:
    """Accuracy, likelihood, calibration and confusion of logits against labels.

    Args:
        num_classes: Classes.
        bins: Bins of the calibration error.

    Attributes:
        confusion: How often a true class (row) was taken for a class (column), int64, (K, K).
        reliability: Predictions by confidence.
    """

    def __init__(self, num_classes: int, *, bins: int = 15) -> None:
        self.confusion = torch.zeros(num_classes, num_classes, dtype=torch.int64)
        self.reliability = Reliability.empty(bins)
        self._bins = bins
        self._top5, self._nll, self._brier = 0, 0.0, 0.0

    @torch.no_grad()
    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Adds a batch.

        Args:
            logits: (N, K), on any device.
            labels: True classes, int64, (N,).

        Raises:
            ValueError: The logits are of another number of classes.
        """
        classes = len(self.confusion)
        if logits.shape != (len(labels), classes):
            expected = (len(labels), classes)
            raise ValueError(f"logits must be (N, K) = {expected}, got {tuple(logits.shape)}")
        if not len(labels):
            return
        logits = logits.double()
        probabilities = logits.softmax(1)
        confidence, predicted = probabilities.max(1)
        self.reliability += reliability(confidence, predicted == labels, self._bins)
        pairs = torch.bincount(labels * classes + predicted, minlength=classes**2)
        self.confusion += pairs.view(classes, classes).cpu()
        first = logits.topk(min(5, classes), dim=1).indices
        self._top5 += int((first == labels[:, None]).sum())
        self._nll += float(functional.cross_entropy(logits, labels, reduction="sum"))
        truth = functional.one_hot(labels, classes)
        self._brier += float((probabilities - truth).square().sum())

    def merge(self, other: "ClassificationMetrics") -> None:
        """Adds what other metrics of the same classes and bins counted."""
        self.confusion += other.confusion
        self.reliability += other.reliability
        self._top5 += other._top5
        self._nll += other._nll
        self._brier += other._brier

    def compute(self) -> dict[str, float]:
        """The numbers by name.

        Returns:
            ``top1`` and ``top5`` (1 with five classes or fewer), ``nll`` (nats an image, of the
            unsmoothed labels), ``brier``, ``ece`` and ``mce`` as shares, ``confidence`` (mean;
            above ``top1``: too sure, below: not sure enough), and ``images``.

        Raises:
            ValueError: Nothing was counted.
        """
        images = self.reliability.samples
        if not images:
            raise ValueError("no image was counted: call update with a batch first")
        return {
            "top1": float(self.confusion.diagonal().sum()) / images,
            "top5": self._top5 / images,
            "nll": self._nll / images,
            "brier": self._brier / images,
            "ece": self.reliability.expected_error,
            "mce": self.reliability.maximum_error,
            "confidence": float(self.reliability.confidence.sum()) / images,
            "images": images,
        }

    def details(self) -> dict[str, list]:
        """What a figure needs, ready for JSON.

        Returns:
            ``confusion``, rows of counts; and ``reliability``: for each bin the predictions, the
            sum of their confidences, and how many were right.
        """
        found = self.reliability
        bins = torch.stack([found.count, found.confidence, found.correct], dim=1)
        return {"confusion": self.confusion.tolist(), "reliability": bins.tolist()}
