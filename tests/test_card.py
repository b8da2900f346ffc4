"""The card of a program: agreement by hand, and a file that is or is not the one described."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnv3lib.compress.card import Card, ProgramAgreement, read_card, write_program
from mnv3lib.measure.program_file import card_path
from tiny_programs import about


def between(expected, found, top1=True):
    return ProgramAgreement.between(
        torch.tensor(expected), torch.tensor(found), of="noise", top1=top1
    )


def test_agreement_by_hand():
    found = between([[3.0, 4.0], [1.0, 0.0]], [[3.0, 4.0], [1.0, 2.0]])
    assert (found.images, found.of, found.max_difference, found.relative) == (2, "noise", 2, 0.5)
    assert found.top1 == 0.5
    assert found.snr_db == pytest.approx(8.129134)  # 10 log10((9 + 16 + 1) / 4)


def test_no_difference_has_no_ratio():
    found = between([[0.0, 1.0]], [[0.0, 1.0]], top1=False)
    assert (found.max_difference, found.snr_db, found.top1) == (0, None, None)


@given(st.integers(1, 5), st.floats(1e-3, 1e3))
def test_snr_does_not_depend_on_the_unit(images, scale):
    generator = torch.Generator().manual_seed(images)
    a, b = torch.randn(2, images, 3, generator=generator)
    plain, scaled = (between((f * a).tolist(), (f * b).tolist()) for f in (1.0, scale))
    assert scaled.snr_db == pytest.approx(plain.snr_db, abs=1e-3)
    assert scaled.relative == pytest.approx(plain.relative, rel=1e-4)


@pytest.mark.parametrize(
    ("found", "reason"), [([[1.0]], r"shape \(1, 1\)"), ([[1.0, float("nan")]], "not finite")]
)
def test_rubbish_is_an_error(found, reason):
    with pytest.raises(ValueError, match=f"{reason}.*nothing was written"):
        between([[1.0, 2.0]], found)


def test_a_card_names_checksum_size_and_versions(tmp_path):
    path = tmp_path / "new" / "net.onnx"
    card = write_program(path, b"abc", **about())
    assert path.read_bytes() == b"abc"
    assert card.bytes == 3
    # FIPS 180-2, appendix B.1
    assert card.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert "torch" in card.versions
    assert sorted(p.name for p in path.parent.iterdir()) == ["net.onnx", "net.onnx.json"]
    assert str(tmp_path) not in card_path(path).read_text()
    assert read_card(path) == card


def test_a_card_of_another_version_names_what_differs(tmp_path):
    path = tmp_path / "net.onnx"
    write_program(path, b"abc", **about())
    data = json.loads(card_path(path).read_text())
    del data["task"]
    with pytest.raises(ValueError, match="check colour, task"):
        Card.from_dict({**data, "colour": "red"})
