"""Runtimes: the same numbers everywhere, clear errors, programs found again on disk."""

import importlib.util
import sys
import warnings

import pytest
import torch
from torch import nn

from mnv3lib.measure import program_cache, runtime_executorch, runtimes
from mnv3lib.measure.runtimes import RUNTIMES, MissingRuntimeError, WrongOutputError, compile_model
from mnv3lib.measure.silence import hushed

IMAGE = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def tiny() -> nn.Module:
    """Batch norm, a depthwise convolution, a gate and hard swish; digits as parameter names."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.Hardswish(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1),
        nn.Hardsigmoid(),
        nn.Flatten(),
        nn.Linear(8, 4),
    )
    net[1].running_mean.uniform_(-1, 1)
    net[1].running_var.uniform_(0.5, 2)
    return net


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MNV3_CACHE", str(tmp_path))
    return tmp_path


def needs(runtime):
    if importlib.util.find_spec(RUNTIMES[runtime].package) is None:
        pytest.skip(f"{runtime} is not installed")


@pytest.mark.parametrize("runtime", ["eager", "onnxruntime"])
def test_outputs_agree_with_the_model(runtime):
    needs(runtime)
    model = tiny().eval()
    session = compile_model(model, IMAGE, runtime=runtime)
    with torch.no_grad():
        torch.testing.assert_close(session.run(IMAGE), model(IMAGE))
    assert (session.runtime, session.threads) == (runtime, 1)
    assert session.max_difference <= 1e-6


@pytest.mark.parametrize("runtime", ["eager", "onnxruntime"])
def test_a_session_follows_its_input(runtime):
    needs(runtime)
    model = tiny().eval()
    session = compile_model(model, IMAGE, runtime=runtime)
    with torch.no_grad():
        torch.testing.assert_close(session.run(2 * IMAGE), model(2 * IMAGE))


def test_executorch_agrees_caches_and_rebuilds_what_is_damaged(cache, monkeypatch):
    needs("executorch")
    model = tiny()[:3].eval()
    programs = []
    to_program = runtime_executorch._to_program

    def counting(exported):  # lowers once, since that takes seconds
        programs.append(programs[0] if programs else to_program(exported))
        return programs[-1]

    monkeypatch.setattr(runtime_executorch, "_to_program", counting)
    with torch.no_grad():
        expected = model(IMAGE)
    for _ in range(2):  # the second time from the cache
        session = compile_model(model, IMAGE, runtime="executorch")
        torch.testing.assert_close(session.run(IMAGE), expected)
    assert len(programs) == 1
    with RUNTIMES["executorch"].threads(2):  # a program outlives a change of the pool
        torch.testing.assert_close(session.run(IMAGE), expected)
    torch.testing.assert_close(session.run(IMAGE), expected)
    (file,) = cache.glob("*.pte")
    file.write_bytes(file.read_bytes()[:-1])
    torch.testing.assert_close(
        compile_model(model, IMAGE, runtime="executorch").run(IMAGE), expected
    )
    assert len(programs) == 2


def test_training_mode_and_weights_are_left_alone():
    model = tiny().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    compile_model(model, IMAGE)
    assert all(module.training for module in model.modules())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_eager_takes_the_input_to_the_layout_of_the_weights():
    seen = []
    model = tiny().to(memory_format=torch.channels_last)
    model.register_forward_pre_hook(lambda _, args: seen.append(args[0].stride()))
    compile_model(model, IMAGE).run(IMAGE)
    assert seen[-1] == (192, 1, 24, 3)  # (1, 3, 8, 8), channels innermost


def test_touching_keeps_the_input():
    call = compile_model(nn.Identity(), IMAGE).bind(IMAGE.clone())
    call.touch()
    assert torch.equal(call(), IMAGE)


def test_eager_threads_are_restored_even_after_an_error():
    before = torch.get_num_threads()
    inside = []

    def fail():
        with RUNTIMES["eager"].threads(before + 1):
            inside.append(torch.get_num_threads())
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert inside == [before + 1]
    assert torch.get_num_threads() == before


def test_unknown_runtime_lists_the_three():
    with pytest.raises(ValueError, match="'tvm': choose one of eager, onnxruntime, executorch"):
        compile_model(tiny(), IMAGE, runtime="tvm")


def test_missing_runtime_names_the_extra(monkeypatch):
    monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingRuntimeError, match=r'pip install "mnv3lib\[deploy\]"'):
        compile_model(tiny(), IMAGE, runtime="onnxruntime")


@pytest.mark.parametrize("threads", [0, -1, 1.5, True])
def test_threads_must_be_positive_integers(threads):
    with pytest.raises(ValueError, match="threads must be an integer of at least 1"):
        compile_model(tiny(), IMAGE, threads=threads)


def test_a_model_must_be_a_module():
    with pytest.raises(ValueError, match=r"torch\.nn\.Module, got function"):
        compile_model(lambda x: x, IMAGE)


class _InputDependent(nn.Module):
    """Adds one to the first input that it sees and two to later ones."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return x + self.calls


class _Nan(nn.Module):
    def forward(self, x):
        return x * float("nan")


@pytest.mark.parametrize("model", [_InputDependent(), _Nan()])
def test_a_wrong_output_is_an_error(model):
    with pytest.raises(WrongOutputError, match="differs from eager"):
        compile_model(model, IMAGE)


def test_a_wrong_shape_is_an_error():
    with pytest.raises(WrongOutputError, match="shape"):
        runtimes._checked_difference(torch.ones(1, 2), torch.ones(2), "eager")


@pytest.mark.parametrize("offset", [0.5e-4, 2e-4])
def test_the_tolerance_is_relative_to_the_largest_output(offset):
    expected = torch.tensor([0.0, -10.0])
    output = expected + 10 * offset
    if offset < runtimes.TOLERANCE:
        assert runtimes._checked_difference(output, expected, "x") == pytest.approx(5e-4, rel=1e-2)
    else:
        with pytest.raises(WrongOutputError):
            runtimes._checked_difference(output, expected, "x")


def test_a_program_is_built_once_and_again_when_damaged(cache):
    built = []

    def build():
        built.append(1)
        return b"program"

    for _ in range(2):
        assert program_cache.cached_program("key", ".bin", build) == b"program"
    assert len(built) == 1
    (cache / "key.bin").write_bytes(b"rubbish")
    assert program_cache.cached_program("key", ".bin", build) == b"program"
    assert len(built) == 2
    assert [p.name for p in cache.iterdir()] == ["key.bin"]


def test_the_key_depends_on_texts_names_shapes_and_values():
    weight = torch.zeros(2, 3)
    variants = [
        (["a", "bc"], {"w": weight}),
        (["ab", "c"], {"w": weight}),
        (["a", "bc"], {"v": weight}),
        (["a", "bc"], {"w": weight.reshape(3, 2)}),
        (["a", "bc"], {"w": weight + 1}),
        (["a", "bc"], {"w": weight.double()}),
    ]
    keys = [program_cache.content_key(*variant) for variant in variants]
    assert len(set(keys)) == len(keys)
    assert program_cache.content_key(["a", "bc"], {"w": torch.zeros(2, 3)}) == keys[0]


def test_hushed_swallows_every_channel(capfd):
    with hushed():
        print("out")
        print("error", file=sys.stderr)
        warnings.warn("warning", stacklevel=1)
        import logging
        import os

        logging.getLogger("test").error("log")
        os.write(1, b"descriptor 1")
        os.write(2, b"descriptor 2")
    print("after")
    captured = capfd.readouterr()
    assert captured.out == "after\n"
    assert captured.err == ""


def test_hushed_tells_with_an_error_what_was_said():
    @hushed()
    def fail():
        print("the reason")
        raise RuntimeError("failed")

    with pytest.raises(RuntimeError, match="failed") as caught:
        fail()
    assert "the reason" in caught.value.__notes__[0]
