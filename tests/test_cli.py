"""The command ``mnv3``: what it prints, as text and as JSON, and how it refuses."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

import mnv3lib.ledger
from mnv3lib.cli import app
from mnv3lib.ledger import load_claims, load_papers
from mnv3lib.models import list_models
from mnv3lib.report import number, printed

SMALL = "mobilenet_v3_small"
QUICK = ["--resolution", "32", "--rounds", "1"]


def mnv3(*words):
    """Runs the command in this process."""
    return CliRunner().invoke(app, list(words))


def mnv3_json(*words):
    """The parsed output of the command with --json."""
    result = mnv3(*words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


# --- list ----------------------------------------------------------------------------------------


def test_list_shows_the_networks_and_their_source():
    result = mnv3("list")
    assert result.exit_code == 0
    assert all(name in result.stdout for name in list_models())
    assert "arXiv 1905.02244 (final version), Table 1" in result.stdout


def test_list_by_pattern_as_json():
    found = mnv3_json("list", "mobilenet_v3_*minimalistic")
    assert [entry["name"] for entry in found] == list_models("mobilenet_v3_*minimalistic")
    assert {*found[0]} == {"name", "source", "rows"}


# --- profile -------------------------------------------------------------------------------------


def test_profile_prints_the_papers_table():
    result = mnv3("profile", SMALL, "--rounds", "1")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "mobilenet_v3_small, 224 px, width_mult 1.0, num_classes 1000"
    assert " ".join(lines[2].split()) == "# input operator exp out SE NL s params MACs KiB ms"
    row = "1 112 x 112 x 16 bneck 3x3 16 16 yes RE 2 744 1,254,656 980"
    assert row in [" ".join(line.split()[:-1]) for line in lines]
    total = next(line for line in lines if "network" in line and "2,542,856" in line)
    assert "56,510,400" in total
    assert "one MAC per fused multiply-add" in result.stdout
    assert "eager, 1 thread, batch 1, median of 1 interleaved rounds" in result.stdout


def test_profile_as_json_with_options():
    options = ["--width", "0.5", "--width-rule", "torchvision", "--classes", "10"]
    found = mnv3_json("profile", SMALL, *options, *QUICK)
    assert found["options"] == {
        "width_mult": 0.5,
        "num_classes": 10,
        "width_rule": "torchvision",
    }
    assert {*found} == {
        *("model", "options", "rows", "params", "macs", "memory_bytes", "latency_ms"),
        *("resolution", "runtime", "threads", "rounds", "convention"),
    }
    assert {*found["rows"][0]} == {
        *("index", "input_shape", "operator", "exp", "out", "se", "act", "stride"),
        *("params", "macs", "memory_bytes", "latency_ms"),
    }
    assert sum(row["params"] for row in found["rows"]) == found["params"]


# --- latency -------------------------------------------------------------------------------------


def test_latency_compares_with_the_first():
    result = mnv3("latency", SMALL, f"{SMALL}_minimalistic", *QUICK, "--width", "0.35")
    assert result.exit_code == 0, result.stderr
    assert "eager, 1 thread, 32 px, batch 1" in result.stdout
    assert f"of {SMALL}" in result.stdout


def test_latency_as_json():
    found = mnv3_json("latency", SMALL, "mobilenet_v1", *QUICK, "--deploy")
    assert found["ratio_to"] == SMALL
    assert found["ratios"][SMALL] == {"median": 1.0, "q1": 1.0, "q3": 1.0}
    assert [len(times) for times in found["samples_ms"].values()] == [1, 1]
    assert {"runtime", "threads", "resolution", "rounds", "machine", "models"} <= {*found}


# --- claims --------------------------------------------------------------------------------------


def test_claims_of_one_paper():
    result = mnv3("claims", "--paper", "swish")
    assert result.exit_code == 0, result.stderr
    assert "swish/derivative" in result.stdout
    assert "6 claims: 3 reproduced, 0 reproduced as a trend, 0 differs, 3 not run" in result.stdout


def test_claims_as_json():
    found = mnv3_json("claims", "--paper", "swish")
    assert found["totals"] == {
        "reproduced": 3,
        "reproduced as a trend": 0,
        "differs": 0,
        "not run": 3,
    }
    assert {*found["claims"][0]} == {
        *("id", "paper", "claim", "value", "unit", "where", "version", "kind", "tolerance"),
        *("verdict", "ours", "spread", "reason", "reading", "contradiction"),
    }


def test_claims_check_passes_and_shows_only_contradictions():
    result = mnv3("claims", "--check", "--paper", "swish")
    assert result.exit_code == 0, result.stderr
    assert "swish/" not in result.stdout
    assert "6 claims" in result.stdout


def test_claims_check_fails_on_a_contradiction(tmp_path, monkeypatch):
    entry = """
    title: Sums
    source: a book
    cite: key
    version: first
    claims:
      - id: twelve
        claim: Three times four is thirteen.
        value: 13
        unit: apples
        where: Table 1
        kind: exact
        answer:
          call: mnv3lib.ledger.identities:options_per_block
          args: {choices: [3, 4]}
    """
    (tmp_path / "sums.yaml").write_text(entry, encoding="utf-8")
    monkeypatch.setattr(mnv3lib.ledger, "load_claims", lambda paper: load_claims(paper, tmp_path))
    assert [p.name for p in load_papers(tmp_path)] == ["sums"]
    result = mnv3("claims", "--check")
    assert result.exit_code == 1
    assert result.stderr == "mnv3: sums/twelve: it differs, and nothing explains it\n"
    assert mnv3("claims").exit_code == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (217, "217"),
        (216.58976, "216.6"),
        (2_514_944, "2,514,944"),
        (4867.293184, "4,867.3"),
        (4.4e-16, "4.4e-16"),
        (-34.31776, "-34.32"),
    ],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (217, "M MAdds", "217 M MAdds"),
        (4.0, "M parameters", "4.0 M parameters"),
        (2_514_944, "parameters", "2,514,944 parameters"),
        (-1, "direction of top-1 accuracy", "less top-1 accuracy"),
    ],
)
def test_claims_show_what_is_printed(value, unit, text):
    claim = load_claims("swish")[0]
    changed = replace(claim, value=value, unit=unit)
    assert printed(changed) == text
    assert printed(changed, unit=False) == text.split()[0]


# --- refusing ------------------------------------------------------------------------------------

REFUSED = {
    "unknown model": (["profile", "mobilenet_v3_larg"], "did you mean mobilenet_v3_large"),
    "unknown model to time": (["latency", "mobilnet_v2"], "did you mean mobilenet_v2"),
    "width 0": (["profile", SMALL, "--width", "0"], "width_mult must be above 0, got 0.0"),
    "negative width": (["latency", SMALL, "--width", "-1"], "width_mult must be above 0, got -1.0"),
    "tiny image": (["profile", SMALL, "--resolution", "16"], "at least 32 pixels"),
    "tiny image to time": (["latency", SMALL, "--resolution", "16"], "at least 32"),
    "unknown runtime": (["profile", SMALL, "--runtime", "tflite"], "unknown runtime 'tflite'"),
    "no threads": (["latency", SMALL, "--threads", "0"], "threads must be an integer of at least"),
    "no rounds": (["latency", SMALL, "--rounds", "0"], "rounds must be an integer of at least 1"),
    "no seconds": (["latency", SMALL, "--seconds", "0"], "seconds must be above 0"),
    "no classes": (["profile", SMALL, "--classes", "0"], "num_classes must be at least 1"),
    "unknown width rule": (["profile", SMALL, "--width-rule", "mine"], "unknown width rule 'mine'"),
    "option of another family": (
        ["profile", "mobilenet_v2", "--tail", "rf2"],
        "mobilenet_v2 takes no option tail",
    ),
    "pattern without match": (["list", "resnet*"], "no network is named like 'resnet*'"),
    "unknown paper": (["claims", "--paper", "resnet"], "unknown paper 'resnet': choose one of"),
}


@pytest.mark.parametrize(("words", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_one_line_and_status_2(words, message):
    result = mnv3(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("mnv3: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr


def test_missing_runtime_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = mnv3("latency", SMALL, *QUICK, "--runtime", "onnxruntime")
    assert result.exit_code == 2
    assert 'pip install "mnv3lib[deploy]"' in result.stderr


def test_missing_argument_is_status_2():
    assert mnv3("profile").exit_code == 2
    assert "Missing argument" in mnv3("profile").stderr


# --- around it -----------------------------------------------------------------------------------


def test_help_answers_without_importing_torch():
    code = (
        "import sys; from mnv3lib.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert end.code == 0, end.code\n"
        "assert 'torch' not in sys.modules"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert all(command in shown for command in ("list", "profile", "latency", "claims"))
    assert "--version" in shown


@pytest.mark.parametrize("command", ["list", "profile", "latency", "claims"])
def test_every_command_has_help_and_json(command):
    result = mnv3(command, "--help")
    assert result.exit_code == 0
    assert "--json" in result.stdout


def test_version():
    result = mnv3("--version")
    assert (result.exit_code, result.stdout.split()[0]) == (0, "mnv3lib")
