"""Calibration: whether a network that is 80 % sure is right 80 times in 100.

Confidences, accuracies and errors are shares in [0, 1]; papers report errors in percent. Bins
have equal widths on (0, 1], open on the left and closed on the right: a confidence of 1 falls
into the last bin, a confidence of exactly 0 into none. After Guo et al. 2017 (arXiv:1706.04599).
Taught in chapter 7 (training).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "Reliability",
    "brier_score",
    "expected_calibration_error",
    "fit_temperature",
    "maximum_calibration_error",
    "reliability",
    "rms_calibration_error",
]


@dataclass
class Reliability:
    """What fell into each bin, as float64 sums, so that batches can be added.

    Attributes:
        count: Predictions, (bins,).
        confidence: Sum of their confidences, (bins,).
        correct: How many of them were right, (bins,).
        samples: All predictions, those of confidence 0 included.
    """

    count: Tensor
    confidence: Tensor
    correct: Tensor
    samples: int

    @classmethod
    def empty(cls, bins: int = 15) -> "Reliability":
        """No predictions yet.

        Raises:
            ValueError: Fewer bins than one.
        """
        if bins < 1:
            raise ValueError(f"bins must be at least 1, got {bins}")
        zeros = torch.zeros(3, bins, dtype=torch.float64)
        return cls(*zeros.unbind(), samples=0)

    def __add__(self, other: "Reliability") -> "Reliability":
        return Reliability(
            self.count + other.count,
            self.confidence + other.confidence,
            self.correct + other.correct,
            self.samples + other.samples,
        )

    @property
    def mean_confidence(self) -> Tensor:
        """Mean confidence in each bin, NaN where it is empty."""
        return self.confidence / self.count

    @property
    def accuracy(self) -> Tensor:
        """Share of right predictions in each bin, NaN where it is empty."""
        return self.correct / self.count

    @property
    def gaps(self) -> Tensor:
        """Distance of accuracy and mean confidence in each bin, 0 where it is empty."""
        return (self.accuracy - self.mean_confidence).abs().nan_to_num()

    @property
    def expected_error(self) -> float:
        """The mean gap, each bin weighted by its predictions (ECE)."""
        return float((self.count * self.gaps).sum() / self.samples)

    @property
    def maximum_error(self) -> float:
        """The largest gap (MCE)."""
        return float(self.gaps.max())


def reliability(confidence: Tensor, correct: Tensor, bins: int = 15) -> Reliability:
    """Sorts predictions into bins by confidence.

    Args:
        confidence: Probability of the predicted class, in [0, 1], (N,).
        correct: Whether it is the true one, bool or 0 and 1, (N,).
        bins: Bins of equal width.

    Raises:
        ValueError: Shapes differ, there is no prediction, or a confidence lies outside [0, 1].
    """
    confidence, correct = _checked(confidence, correct)
    found = Reliability.empty(bins)
    # Rounded as the confidences are, so that 0.2 is the edge 3 / 15 in float32 too.
    edges = (torch.arange(bins + 1, dtype=torch.float64) / bins).to(confidence)
    place = torch.bucketize(confidence, edges)  # i if edge i - 1 < confidence <= edge i
    sums = [
        torch.bincount(place, weight.double(), bins + 1)[1:].cpu()  # place 0: confidence 0
        for weight in (torch.ones_like(confidence), confidence, correct)
    ]
    return found + Reliability(*sums, samples=len(confidence))


def expected_calibration_error(confidence: Tensor, correct: Tensor, bins: int = 15) -> float:
    """Mean distance of accuracy and mean confidence over the bins, a share in [0, 1].

    It is biased upwards: also a perfectly calibrated network has an ECE above 0, the more so the
    fewer predictions there are. Arguments as in :func:`reliability`.

    Example:
        >>> expected_calibration_error(torch.tensor([0.75, 0.75]), torch.tensor([True, False]))
        0.25
    """
    return reliability(confidence, correct, bins).expected_error


def maximum_calibration_error(confidence: Tensor, correct: Tensor, bins: int = 15) -> float:
    """Largest distance of any bin; arguments as in :func:`reliability`."""
    return reliability(confidence, correct, bins).maximum_error


def rms_calibration_error(confidence: Tensor, correct: Tensor, *, bin_size: int = 100) -> float:
    """Root of the mean squared distance, over bins of as many predictions each.

    The predictions are sorted by confidence and cut into bins of `bin_size`, the last of which
    holds what is left. Published code leaves out that last, most confident bin; we do not.

    Raises:
        ValueError: As :func:`reliability`, or a `bin_size` below 1.
    """
    if bin_size < 1:
        raise ValueError(f"bin_size must be at least 1, got {bin_size}")
    confidence, correct = _checked(confidence, correct)
    order = confidence.argsort()
    pairs = zip(confidence[order].split(bin_size), correct[order].split(bin_size), strict=True)
    squares = [len(c) * (c.double().mean() - a.mean()).square() for c, a in pairs]
    return float((torch.stack(squares).sum() / len(confidence)).sqrt())


def brier_score(probabilities: Tensor, labels: Tensor) -> float:
    """Mean over images of the squared distance of the probabilities from the truth, in [0, 2].

    Args:
        probabilities: Of each class, (N, K).
        labels: True classes, int64, (N,).
    """
    truth = functional.one_hot(labels, probabilities.shape[1])
    return float((probabilities.double() - truth).square().sum(1).mean())


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature that divides the logits for the least negative log-likelihood.

    Fit it on images that are not used to report the result. The accuracy is the same at every
    temperature. The loss is convex in 1 / T, so the zero of its slope is found by halving.

    Args:
        logits: (N, K).
        labels: True classes, int64, (N,).

    Returns:
        A temperature between 0.01 and 100, namely 0.01 if every image is right, so that colder is
        always better, and 100 if the logits are no better than none.

    Raises:
        ValueError: No image, or shapes that do not fit.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(logits):
        raise ValueError(
            "logits must be (N, K) and labels (N,) with N of at least 1, got "
            f"{tuple(logits.shape)} and {tuple(labels.shape)}"
        )
    logits = logits.detach().double()
    own = logits.gather(1, labels[:, None]).mean()

    def slope(inverse: float) -> float:
        """Derivative of the loss by 1 / T: mean logit expected by the network less the true."""
        probabilities = (logits * inverse).softmax(1)
        return float((probabilities * logits).sum(1).mean() - own)

    coldest, hottest = math.log(0.01), math.log(100)
    for _ in range(60):
        middle = (coldest + hottest) / 2
        if slope(math.exp(-middle)) > 0:  # less sharp is better
            coldest = middle
        else:
            hottest = middle
    return math.exp((coldest + hottest) / 2)


def _checked(confidence: Tensor, correct: Tensor) -> tuple[Tensor, Tensor]:
    """Both as vectors of numbers, `correct` in float64."""
    if confidence.shape != correct.shape or confidence.ndim != 1 or not len(confidence):
        raise ValueError(
            "confidence and correct must be (N,) with N of at least 1, got "
            f"{tuple(confidence.shape)} and {tuple(correct.shape)}"
        )
    outside = confidence[~((confidence >= 0) & (confidence <= 1))]
    if len(outside):
        raise ValueError(f"confidences must lie in [0, 1], got {outside[0].item()}")
    return confidence.detach(), correct.detach().double()
