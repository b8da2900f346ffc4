"""Comparing tables block by block: what is equal stays side by side, the rest keeps its order."""

from collections import Counter

import pytest

from mnv3lib.models import list_models, model_spec
from mnv3lib.models.lineage import Step, block_in_words, compare_blocks
from mnv3lib.models.rows import BneckRow, ConvRow, DenseRow, NetworkSpec, PoolRow


def spec(*rows):
    return NetworkSpec("test", (*rows, PoolRow(), DenseRow(10)), "a test")


STEM = ConvRow(3, 16, "hard_swish", 2)


def test_a_block_in_words():
    assert block_in_words(BneckRow(5, 72, 40, True, "relu", 2), 24) == (
        "bneck 5x5, 24 → 72 → 40, SE, RE, /2"
    )
    assert block_in_words(ConvRow(1, 96, None), 40) == "conv2d 1x1, 40 → 96"


def test_changed_added_and_removed_blocks_by_hand():
    plain, wide = BneckRow(3, 64, 16, False, "relu"), BneckRow(3, 96, 16, False, "relu")
    down = BneckRow(3, 64, 24, False, "relu", 2)
    reference, other = spec(STEM, plain, plain, down), spec(STEM, wide, plain, plain)
    steps = compare_blocks(other, reference)
    assert [(step.stride, step.mark) for step in steps] == [
        (2, "="), (2, "+"), (2, "="), (2, "="), (4, "−")
    ]  # fmt: skip
    assert steps[1].block == "bneck 3x3, 16 → 96 → 16, RE"
    assert steps[4] == Step(4, "−", "bneck 3x3, 16 → 64 → 24, RE, /2", "")
    assert [s.mark for s in compare_blocks(spec(STEM, wide), spec(STEM, plain))] == ["=", "≠"]


def test_skipblocknet_changes_two_blocks_and_adds_two():
    steps = compare_blocks(model_spec("skipblocknet_m"), model_spec("mobilenet_v3_large"))
    assert Counter(step.mark for step in steps) == {"=": 15, "≠": 2, "+": 2}
    changed = [(step.reference, step.block) for step in steps if step.mark == "≠"]
    assert changed == [
        ("bneck 3x3, 16 → 16 → 16, RE", "bneck 3x3, 16 → 16 → 16, HS"),
        ("bneck 5x5, 40 → 120 → 40, SE, RE", "bneck 5x5, 40 → 240 → 40, SE, HS"),
    ]


@pytest.mark.parametrize("name", list_models())
def test_every_block_stands_in_one_line(name):
    table, large = model_spec(name), model_spec("mobilenet_v3_large")
    steps = compare_blocks(table, large)
    assert sum(bool(step.block) for step in steps) == len(table.map_rows)
    assert sum(bool(step.reference) for step in steps) == len(large.map_rows)
    assert {step.mark for step in compare_blocks(table, table)} == {"="}
