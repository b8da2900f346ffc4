"""Exporting: each precision into a file with its card, and what is refused before it is written."""

import pytest
import torch
from torch import nn

from mnv3lib.compress import export as export_module
from mnv3lib.compress.card import read_card
from mnv3lib.compress.export import FORMATS, ExportError, Format, export
from mnv3lib.compress.onnx_file import onnx_bytes
from mnv3lib.compress.source import load_images, load_source
from mnv3lib.measure.program_file import open_program
from mnv3lib.measure.runtimes import WrongOutputError
from mnv3lib.models import create_model, export_weights
from tiny_predictors import RECIPES, train_tiny
from tiny_programs import Tiny, tiny_calibration, tiny_images, tiny_source

pytest.importorskip("onnxruntime", reason="needs the extra 'deploy'")
pytest.importorskip("torchao", reason="needs the extra 'deploy'")

SMALL = {"width_mult": 0.35, "num_classes": 5}


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MNV3_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights of a finished run, by task."""
    folder = tmp_path_factory.mktemp("runs")
    for task in RECIPES:
        train_tiny(task, folder / task)
    return {task: folder / task / "weights.safetensors" for task in RECIPES}


# --- files ---------------------------------------------------------------------------------------


def test_float32_agrees_and_the_card_says_so(tmp_path):
    out = tmp_path / "new" / "tiny.onnx"
    card = export(tiny_source(), out, to="onnx")
    assert read_card(out) == card
    assert (card.format, card.precision, card.bytes) == ("onnx", "fp32", out.stat().st_size)
    assert card.input["shape"] == [1, 3, 32, 32]
    assert card.output["shape"] == [1, 4]
    assert card.agreement.relative < 1e-5
    assert (card.agreement.images, card.agreement.of, card.agreement.top1) == (16, "noise", 1)
    x = tiny_images(1)
    with torch.no_grad():
        torch.testing.assert_close(open_program(out).run(x), Tiny().eval()(x))


def test_half_precision_takes_and_returns_float32(tmp_path):
    out = tmp_path / "tiny.onnx"
    card = export(tiny_source(), out, to="onnx", precision="fp16")
    assert 1e-6 < card.agreement.relative < 1e-2
    assert open_program(out).run(tiny_images(1)).dtype == torch.float32


@pytest.mark.parametrize("to", FORMATS)
def test_int8_states_its_agreement_and_its_images(to, tmp_path):
    if to == "executorch":
        pytest.importorskip("executorch", reason="needs the extra 'deploy'")
    out = tmp_path / f"tiny{FORMATS[to].suffix}"
    card = export(tiny_source(), out, to=to, precision="int8", images=tiny_calibration())
    assert card.calibration == {"data": "imagenet", "images": 16, "rule": "min_max"}
    assert (card.agreement.images, card.agreement.of) == (4, "training images of imagenet")
    assert 20 < card.agreement.snr_db < 60
    assert open_program(out).max_difference == card.agreement.max_difference
    if to == "executorch":
        assert not [name for name in card.outside_kernels if name.startswith("aten::")]


def test_the_network_is_left_alone(tmp_path):
    source = tiny_source()
    before = {name: value.clone() for name, value in source.network.state_dict().items()}
    export(source, tmp_path / "a.onnx", to="onnx", precision="fp16")
    after = source.network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())


# --- refusing ------------------------------------------------------------------------------------


class _Bessel(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x).mean((2, 3))


class _Moody(nn.Module):
    def forward(self, x):
        return x.mean((2, 3)) if x.sum() > 0 else x.sum((2, 3))


def refused(error, reason, tmp_path, source=None, *, out="tiny.onnx", **options):
    with pytest.raises(error, match=reason):
        export(source or tiny_source(), tmp_path / out, **{"to": "onnx", **options})
    assert not (tmp_path / out).exists()


def test_int8_without_images_says_what_to_do(tmp_path):
    refused(ValueError, "--calibrate names a data set", tmp_path, precision="int8")


def test_unknown_words_list_the_known(tmp_path):
    refused(ValueError, "unknown format 'tflite': choose one of onnx", tmp_path, to="tflite")
    refused(ValueError, "'int4': choose one of fp32, fp16, int8", tmp_path, precision="int4")
    refused(ValueError, r"ends in '\.pte', but a file of onnx", tmp_path, out="tiny.pte")
    chosen = {"precision": "int8", "images": tiny_calibration(), "calibration": "guess"}
    refused(ValueError, "unknown calibration 'guess'", tmp_path, **chosen)


def test_an_operator_that_onnx_lacks_is_named(tmp_path):
    refused(
        ExportError, "onnx has no form of tiny.*special_bessel_j0", tmp_path, tiny_source(_Bessel())
    )


def test_an_operator_that_executorch_lacks_is_named(tmp_path):
    pytest.importorskip("executorch", reason="needs the extra 'deploy'")
    how = {"to": "executorch", "out": "tiny.pte"}
    refused(ValueError, "executorch", tmp_path, tiny_source(_Bessel()), **how)
    refused(ExportError, "executorch has no form of tiny", tmp_path, tiny_source(_Moody()), **how)


def test_a_float32_program_that_computes_something_else_is_not_written(tmp_path, monkeypatch):
    def other(network, example):
        changed = Tiny().eval()
        nn.init.zeros_(changed.last.bias)
        return onnx_bytes(changed, example)

    wrong = Format(".onnx", other, lambda program: None)
    monkeypatch.setitem(export_module.FORMATS, "onnx", wrong)
    refused(WrongOutputError, "nothing was written", tmp_path)


def test_only_a_run_knows_what_to_evaluate_on(tmp_path):
    refused(ValueError, "only the weights of a finished run", tmp_path, evaluate=True)


# --- where networks and images come from ---------------------------------------------------------


def test_random_weights_are_called_random():
    source = load_source("mobilenet_v3_small", resolution=32, options=SMALL)
    assert source.weights.startswith("random, seed 0")
    assert source.input_shape == (1, 3, 32, 32)
    assert source.view == "shorter side to 32 pixels, then the centre square, bilinear"
    again = load_source("mobilenet_v3_small", resolution=32, options=SMALL)
    x = torch.ones(source.input_shape)
    with torch.no_grad():
        assert torch.equal(source.network(x), again.network(x))
    assert load_source("mobilenet_v3_small", options=SMALL).input_shape == (1, 3, 224, 224)


def test_a_checkpoint_is_read_in_its_own_layout(tmp_path):
    network = create_model("mobilenet_v3_small", **SMALL)
    path = tmp_path / "theirs.pth"
    torch.save(export_weights(network, "torchvision"), path)
    source = load_source("mobilenet_v3_small", path, resolution=32, options=SMALL)
    assert torch.equal(source.network.rows[0].conv.weight, network.rows[0].conv.weight)
    assert source.weights.startswith("theirs.pth, sha256 ")
    assert str(tmp_path) not in source.weights


def test_a_run_knows_all_but_its_name(weights, tmp_path):
    source = load_source("mobilenet_v3_small", weights["classification"])
    assert source.input_shape == (1, 3, 32, 32)
    assert source.options["width_mult"] == 0.35
    card = export(source, tmp_path / "run.onnx", to="onnx", evaluate=True)
    assert card.classes == list(source.trained.classes)
    assert card.input["mean"] == [0.5, 0.5, 0.5]
    assert {*card.metrics} == {*card.network_metrics} == {*source.trained.metrics}
    assert card.metrics["nll"] == pytest.approx(card.network_metrics["nll"], rel=1e-4)
    with pytest.raises(ValueError, match="weights of mobilenet_v3_small, not of mobilenet_v2"):
        load_source("mobilenet_v2", weights["classification"])
    with pytest.raises(ValueError, match="knows its width_mult, resolution: leave out"):
        load_source(
            "mobilenet_v3_small",
            weights["classification"],
            resolution=32,
            options={"width_mult": 1.0},
        )


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_heads_are_exported_too(task, weights, tmp_path):
    source = load_source("mobilenet_v3_small", weights[task])
    card = export(source, tmp_path / "head.onnx", to="onnx", evaluate=True)
    assert {*card.metrics} == {*source.trained.metrics}
    assert card.task == task
    assert card.agreement.top1 is None
    sides = {"detection": [64, 64], "segmentation": [48, 64]}
    assert card.input["shape"] == [1, 3, *sides[task]]


def test_an_unfinished_run_and_a_missing_file_are_refused(weights, tmp_path):
    unfinished = weights["classification"].with_name("checkpoint.safetensors")
    with pytest.raises(ValueError, match="does not hold a finished network"):
        load_source("mobilenet_v3_small", unfinished)
    with pytest.raises(FileNotFoundError, match=r"none\.pth"):
        load_source("mobilenet_v3_small", tmp_path / "none.pth")


def test_calibration_sees_training_images_as_an_evaluation_does(weights):
    source = load_source("mobilenet_v3_small", weights["classification"])
    images = load_images(source, "emoji", count=40)
    assert (images.data, images.count) == ("emoji", 40)
    assert [len(batch) for batch in images.batches] == [32, 8]
    assert images.others.shape == (16, 3, 32, 32)
    first = images.batches[0]
    assert not any(torch.equal(image, other) for image in first for other in images.others)
    pixels = (first * 0.25 + 0.5) * 255  # the recipe's mean and deviation, undone
    torch.testing.assert_close(pixels, pixels.round(), rtol=0, atol=1e-3)
    assert (pixels.min(), pixels.max()) >= (0, 255 - 1e-3)
    assert torch.equal(load_images(source, "emoji", count=40).batches[0], first)


def test_calibration_needs_images_of_the_right_kind(weights):
    source = load_source("mobilenet_v3_small", weights["classification"])
    with pytest.raises(ValueError, match="at least one image, got 0"):
        load_images(source, "emoji", count=0)
    with pytest.raises(ValueError, match="unknown data set 'emojy'; did you mean emoji"):
        load_images(source, "emojy")
    with pytest.raises(ValueError, match="emoji-scenes is for detection"):
        load_images(source, "emoji-scenes")


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_heads_are_calibrated_with_scenes(task, weights):
    source = load_source("mobilenet_v3_small", weights[task])
    images = load_images(source, "emoji-scenes", count=3)
    assert [len(batch) for batch in images.batches] == [3]
    assert images.others.shape == (1, *source.input_shape[1:])
