"""Files of programs: opened, timed, and refused when anything is wrong with them."""

import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from mnv3lib.compress.card import write_program
from mnv3lib.measure.bound import LoadedProgram
from mnv3lib.measure.program_file import card_path, open_program, runtime_of
from mnv3lib.measure.program_latency import compare_files, named_paths
from tiny_programs import SIDE, Tiny, about, tiny_images, write_tiny

ort = pytest.importorskip("onnxruntime", reason="needs the extra 'deploy'")


@pytest.fixture
def file(tmp_path):
    write_tiny(tmp_path / "tiny.onnx")
    return tmp_path / "tiny.onnx"


@pytest.fixture(scope="module")
def lowered(tmp_path_factory):
    """Bytes of an ExecuTorch program from an image of 32 pixels to itself, doubled."""
    pytest.importorskip("executorch", reason="needs the extra 'deploy'")
    from mnv3lib.measure.runtime_executorch import lower

    class Double(nn.Module):
        def forward(self, x):
            return x + x

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNV3_CACHE", str(tmp_path_factory.mktemp("cache")))
        return lower(Double(), torch.zeros(1, 3, SIDE, SIDE))


def test_an_opened_program_runs(file):
    program = open_program(file)
    assert (program.name, program.runtime) == ("tiny.onnx", "onnxruntime")
    assert program.max_difference == 0.25  # from the card
    images = tiny_images(2)
    first = program.run(images[:1])
    with torch.no_grad():
        torch.testing.assert_close(first, Tiny().eval()(images[:1]))
    kept = first.clone()
    program.run(images[1:])
    assert torch.equal(first, kept)  # its memory is not used again


@pytest.mark.parametrize("x", [torch.zeros(1, 3, 33, 32), torch.zeros(2, 3, 32, 32)])
def test_a_wrong_shape_tells_both(file, x):
    with pytest.raises(ValueError, match=r"takes float32 \(1, 3, 32, 32\), got float32 \(\d, 3"):
        open_program(file).run(x)


def test_a_wrong_type_is_refused(file):
    with pytest.raises(ValueError, match="got uint8"):
        open_program(file).run(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))


def test_a_damaged_file_is_known_by_its_checksum(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"tiny\.onnx is damaged or was replaced"):
        open_program(file)


@pytest.mark.parametrize("content", [b"", b"no program", b"half"])
@pytest.mark.parametrize("suffix", [".onnx", ".pte"])
def test_what_is_no_program_cannot_be_opened(tmp_path, suffix, content, request):
    path = tmp_path / f"net{suffix}"
    if suffix == ".pte":
        whole = request.getfixturevalue("lowered")
    else:
        write_tiny(tmp_path / "whole.onnx")
        whole = (tmp_path / "whole.onnx").read_bytes()
    write_program(path, whole[: len(whole) // 2] if content == b"half" else content, **about())
    with pytest.raises(ValueError, match=f"{runtime_of(path)} cannot open"):
        open_program(path)


def test_an_executorch_program_runs_and_is_timed_beside_another(file, lowered):
    other = file.with_suffix(".pte")
    write_program(other, lowered, **about())
    found = compare_files([file, other], rounds=2, warmup=0)
    assert list(found.timings) == ["tiny.onnx", "tiny.pte"]
    assert (found.runtime, found.resolution) == ("onnxruntime and executorch", SIDE)
    assert [len(timing.samples_ms) for timing in found.timings.values()] == [2, 2]
    x = tiny_images(1)
    assert torch.equal(open_program(other).run(x), 2 * x)
    with pytest.raises(ValueError, match="the program takes"):
        open_program(other).run(x[..., :4])


def test_missing_files_and_cards_are_named(file):
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.onnx;"):
        open_program(file.with_name("none.onnx"))
    card_path(file).write_text("[]")
    with pytest.raises(ValueError, match="is no card of a program"):
        open_program(file)
    card_path(file).unlink()
    with pytest.raises(FileNotFoundError, match=r"no file .*tiny\.onnx\.json; 'mnv3 export'"):
        open_program(file)


def test_the_suffix_tells_the_runtime():
    assert runtime_of(Path("a.onnx")) == "onnxruntime"
    assert runtime_of(Path("a.pte")) == "executorch"
    with pytest.raises(ValueError, match=r"ends in '\.tflite'.*\.onnx \(onnxruntime\) or \.pte"):
        runtime_of(Path("a.tflite"))


def test_files_of_different_sizes_are_not_compared(file):
    write_tiny(file.with_name("larger.onnx"), side=48)
    with pytest.raises(ValueError, match=r"different sizes.*larger\.onnx \(1, 3, 48, 48\)"):
        compare_files([file, file.with_name("larger.onnx")], rounds=1)


def test_names_tell_files_apart(file, tmp_path):
    (tmp_path / "other").mkdir()
    twin = shutil.copy(file, tmp_path / "other" / file.name)
    assert list(named_paths([file])) == ["tiny.onnx"]
    assert list(named_paths([file, twin])) == [str(file), str(twin)]
    with pytest.raises(ValueError, match="given twice"):
        named_paths([file, file])
    with pytest.raises(ValueError, match="nothing to time"):
        named_paths([])


def test_a_missing_runtime_is_named(file, monkeypatch):
    from mnv3lib.measure import runtimes

    monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "mnv3lib\[deploy\]"'):
        open_program(file)


def test_the_shape_is_checked_before_the_runtime_sees_it():
    program = LoadedProgram((1, 2), (1, 2), lambda x: pytest.fail("was bound"))
    with pytest.raises(ValueError, match="takes float32"):
        program.bind(torch.zeros(1, 3))
