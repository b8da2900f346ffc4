"""What the last feature map of an image says about its prediction.

Bias loss rests on the claim that images whose last map varies little are predicted unreliably. That
can be measured on any network: rank the test images by the variance of their map, and see whether
right predictions stand above wrong ones. Taught in chapter 14.
"""

import torch
from torch import Tensor
from torch.nn import functional

from mnv3lib.train.bias_loss import bias_weight, feature_variance, normalise_variances
from mnv3lib.train.last_map import Observed
from mnv3lib.train.metrics import ClassificationMetrics

__all__ = ["VarianceMetrics", "auroc", "channel_similarity", "pearson"]

_GROUPS = 10
_COLUMNS = ("variance", "mean", "similarity", "loss", "confidence", "right")


class VarianceMetrics(ClassificationMetrics):
    """Everything that is counted for logits, and what the variance of the last map says.

    Args:
        num_classes: Classes.
        batch_size: Images over which variances are normalised for the weights, as in training.
    """

    def __init__(self, num_classes: int, *, batch_size: int) -> None:
        super().__init__(num_classes)
        self._batch_size = batch_size
        self._images: list[Tensor] = []  # (images of a batch, columns)

    @torch.no_grad()
    def update(self, outputs: Tensor | Observed, labels: Tensor) -> None:
        """Adds a batch.

        Args:
            outputs: Logits (N, K) with the last map; logits alone are counted without it.
            labels: True classes, int64, (N,).

        Raises:
            ValueError: The logits are of another number of classes.
        """
        if not isinstance(outputs, Observed):
            super().update(outputs, labels)
            return
        super().update(outputs.logits, labels)
        logits, last_map = outputs.logits.double(), outputs.last_map.double()
        confidence, predicted = logits.softmax(1).max(1)
        columns = (
            feature_variance(last_map),
            last_map.flatten(1).mean(1),
            channel_similarity(last_map),
            functional.cross_entropy(logits, labels, reduction="none"),
            confidence,
            (predicted == labels).double(),
        )
        self._images.append(torch.stack(columns, dim=1).cpu())

    def merge(self, other: "VarianceMetrics") -> None:
        """Adds what other metrics of the same classes counted."""
        super().merge(other)
        self._images += other._images

    def compute(self) -> dict[str, float]:
        """The numbers by name.

        Returns:
            Those of :class:`mnv3lib.train.metrics.ClassificationMetrics`. If there were maps, also
            ``variance_auroc`` and ``confidence_auroc`` (probability that a right prediction has
            more variance, or confidence, than a wrong one; 0.5 is chance),
            ``variance_mean_correlation`` (Pearson, of variance and mean activation),
            ``low_variance_loss_share`` (of the whole cross-entropy, the share that the quarter of
            the images with the least variance carries), ``mean_weight`` (of bias loss as
            published, local, in batches of the training's size) and ``channel_similarity`` (mean
            over images, see :func:`channel_similarity`).
        """
        numbers = super().compute()
        if not self._images:
            return numbers
        of = self._columns()
        quarter = of["variance"].argsort(stable=True)[: len(of["variance"]) // 4]
        whole = float(of["loss"].sum())
        return {
            **numbers,
            "variance_auroc": auroc(of["variance"], of["right"] > 0),
            "confidence_auroc": auroc(of["confidence"], of["right"] > 0),
            "variance_mean_correlation": pearson(of["variance"], of["mean"]),
            "low_variance_loss_share": float(of["loss"][quarter].sum()) / whole if whole else 0.0,
            "mean_weight": float(self._weights(of["variance"]).mean()),
            "channel_similarity": float(of["similarity"].mean()),
        }

    def details(self) -> dict[str, list]:
        """What a figure needs, ready for JSON.

        Returns:
            As without maps. With maps also ``by_variance``, of each tenth of the images from the
            least variance to the most: the number of images, and the means of their variance,
            weight, cross-entropy, confidence and correctness.
        """
        found = super().details()
        if self._images:
            of = self._columns()
            rows = [of["variance"], self._weights(of["variance"])]
            rows += [of["loss"], of["confidence"], of["right"]]
            ranked = torch.stack(rows, dim=1)[of["variance"].argsort(stable=True)]
            groups = [group for group in ranked.tensor_split(_GROUPS) if len(group)]
            found["by_variance"] = [[len(group), *group.mean(0).tolist()] for group in groups]
        return found

    def _columns(self) -> dict[str, Tensor]:
        return dict(zip(_COLUMNS, torch.cat(self._images).unbind(1), strict=True))

    def _weights(self, variances: Tensor) -> Tensor:
        batches = variances.split(self._batch_size)
        return torch.cat([bias_weight(normalise_variances(batch)) for batch in batches])


def auroc(scores: Tensor, positive: Tensor) -> float:
    """Probability that a positive scores above a negative; equal scores count half.

    Args:
        scores: (N,).
        positive: bool, (N,).

    Returns:
        A share; 0.5 if there are no positives, or nothing but positives.

    Example:
        >>> auroc(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([False, True, True]))
        1.0
    """
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return 0.5
    _, place, count = scores.unique(return_inverse=True, return_counts=True)
    last = count.cumsum(0)
    rank = (last - (count - 1) / 2).double()[place]  # from 1; the mean rank of equal scores
    below = float(rank[positive].sum()) - positives * (positives + 1) / 2
    return below / (positives * negatives)


def pearson(x: Tensor, y: Tensor) -> float:
    """Pearson's correlation of two vectors; 0 if one of them is constant."""
    x, y = x.double() - x.double().mean(), y.double() - y.double().mean()
    norm = float(x.norm() * y.norm())
    return float(x @ y) / norm if norm else 0.0


def channel_similarity(maps: Tensor) -> Tensor:
    """Mean cosine between the maps of two different channels: 1 if all channels see the same.

    Args:
        maps: (N, C, H, W) with at least two channels.

    Returns:
        One number an image, (N,); a channel that is zero everywhere is like no other.
    """
    unit = functional.normalize(maps.flatten(2), dim=2)  # (N, C, H W), each channel of length 1
    pairs = unit.sum(1).square().sum(1) - unit.square().sum((1, 2))  # all but each with itself
    channels = maps.shape[1]
    return pairs / (channels * (channels - 1))
