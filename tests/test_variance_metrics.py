"""What the variance of the last map says about a prediction, on cases done by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnv3lib.train.bias_loss import bias_weight
from mnv3lib.train.last_map import Observed
from mnv3lib.train.variance_metrics import VarianceMetrics, auroc, channel_similarity, pearson


def test_auroc_by_hand():
    right = torch.tensor([True, False, True, False])
    assert auroc(torch.tensor([4.0, 1, 3, 2]), right) == 1
    assert auroc(torch.tensor([1.0, 4, 2, 3]), right) == 0
    # Of the pairs (4, 3), (4, 2), (2, 3) and (2, 2), two are won and one is even.
    assert auroc(torch.tensor([4.0, 3, 2, 2]), right) == 2.5 / 4
    assert auroc(torch.tensor([1.0, 2]), torch.tensor([True, True])) == 0.5
    assert auroc(torch.tensor([1.0, 2]), torch.tensor([False, False])) == 0.5


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=20))
def test_auroc_is_the_share_of_pairs_won(pairs):
    scores, right = zip(*pairs, strict=True)
    wins = [(a > b) + (a == b) / 2 for a, of_a in pairs if of_a for b, of_b in pairs if not of_b]
    expected = sum(wins) / len(wins) if wins else 0.5
    found = auroc(torch.tensor(scores), torch.tensor(right))
    assert found == pytest.approx(expected)


def test_correlation_by_hand():
    x = torch.tensor([1.0, 2, 3])
    assert pearson(x, 2 * x + 1) == pytest.approx(1)
    assert pearson(x, torch.tensor([1.0, 3, 2])) == pytest.approx(0.5)
    assert pearson(x, torch.ones(3)) == 0


def test_similarity_of_channels_by_hand():
    same = torch.tensor([[1.0, 2], [2, 4]]).view(1, 2, 1, 2)
    crossed = torch.tensor([[1.0, 0], [0, 3]]).view(1, 2, 1, 2)
    opposed = torch.tensor([[1.0, 1], [-1, -1]]).view(1, 2, 1, 2)
    dead = torch.tensor([[1.0, 1], [0, 0]]).view(1, 2, 1, 2)
    found = channel_similarity(torch.cat([same, crossed, opposed, dead]))
    torch.testing.assert_close(found, torch.tensor([1.0, 0, -1, 0]))


def test_similarity_is_the_mean_over_pairs():
    maps = torch.randn(2, 5, 3, 3, generator=torch.Generator().manual_seed(0))
    unit = maps.flatten(2) / maps.flatten(2).norm(dim=2, keepdim=True)
    cosines = unit @ unit.transpose(1, 2)
    apart = ~torch.eye(5, dtype=torch.bool)
    torch.testing.assert_close(channel_similarity(maps), cosines[:, apart].mean(1))


def four_images() -> tuple[Observed, torch.Tensor]:
    """Two right with variances 8 and 2, two wrong with variances 0.5 and 0; losses 1 : 3."""
    logits = torch.tensor([[0.0, math.log(3)]] * 4)
    maps = torch.tensor([[0.0, 4], [0, 2], [0, 1], [1, 1]]).view(4, 1, 1, 2).repeat(1, 2, 1, 1)
    return Observed(logits, maps), torch.tensor([1, 1, 0, 0])


def test_numbers_of_four_images():
    outputs, labels = four_images()
    metrics = VarianceMetrics(2, batch_size=4)
    metrics.update(outputs, labels)
    found = metrics.compute()
    assert found["top1"] == 0.5
    assert found["variance_auroc"] == 1
    assert found["confidence_auroc"] == 0.5  # all are equally sure
    sure, unsure = -math.log(0.75), -math.log(0.25)
    share = unsure / (2 * sure + 2 * unsure)  # one of the four is the lowest quarter
    assert found["low_variance_loss_share"] == pytest.approx(share)
    normalised = torch.tensor([1, 0.25, 1 / 16, 0], dtype=torch.float64)
    assert found["mean_weight"] == pytest.approx(bias_weight(normalised).mean().item())
    assert found["channel_similarity"] == pytest.approx(1)
    rows = metrics.details()["by_variance"]
    assert [row[0] for row in rows] == [1] * 4
    assert [row[1] for row in rows] == pytest.approx([0, 4 / 12, 16 / 12, 64 / 12])
    assert [row[-1] for row in rows] == [0, 0, 1, 1]


def test_batches_and_processes_add_up():
    outputs, labels = four_images()
    whole = VarianceMetrics(2, batch_size=2)
    whole.update(outputs, labels)
    parts = [VarianceMetrics(2, batch_size=2) for _ in range(2)]
    for part, chosen in zip(parts, (slice(0, 1), slice(1, 4)), strict=True):
        part.update(Observed(*(x[chosen] for x in outputs)), labels[chosen])
    parts[0].merge(parts[1])
    assert parts[0].compute() == pytest.approx(whole.compute())


def test_logits_alone_are_counted_without_maps():
    outputs, labels = four_images()
    metrics = VarianceMetrics(2, batch_size=4)
    metrics.update(outputs.logits, labels)
    assert metrics.compute()["top1"] == 0.5
    assert "variance_auroc" not in metrics.compute()
    assert "by_variance" not in metrics.details()
