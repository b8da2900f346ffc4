"""A phone behind a stand-in for adb, which records how it is called and answers as adb would."""

import json
import stat
import sys

import pytest

from mnv3lib.compress.card import write_program
from mnv3lib.measure import android
from mnv3lib.measure.android import DeviceError, adb, compare_on_phone, find_phone, iteration_times
from mnv3lib.measure.program_file import card_path
from tiny_programs import about

STUB = '''#!{python}
"""Records its arguments; "phone.json" beside it says how it answers."""
import json, re, sys
from pathlib import Path

here, words = Path(__file__).parent, sys.argv[1:]
phone = json.loads((here / "phone.json").read_text())
with open(here / "calls.jsonl", "a") as calls:
    calls.write(json.dumps(words) + "\\n")
if phone["fails"] and phone["fails"] in " ".join(words):
    sys.exit("error: it said no")
if words == ["devices"]:
    print("List of devices attached")
    for serial, state in phone["seen"].items():
        print(serial, state, sep="\\t")
elif words[:2] == ["shell", "getprop"]:
    print(words[2].rsplit(".", 1)[-1].capitalize())
elif words[0] == "shell" and words[1].endswith("executor_runner"):
    options = dict(word.lstrip("-").split("=", 1) for word in words[2:])
    with open(here / "log", "a") as log:
        process = 100 + len(log.name) + log.tell() % 1000
        say = lambda text: log.write(f"I/ExecuTorch({{process:5}}): {{text}}\\n")
        say(f"Model file {{options['model_path']}} is loaded.")
        count = int(options["num_executions"])
        for number in range(1, count + 1):
            say(f"Iteration {{number}} of {{count}}: {{number + 0.5:f}} ms")
        say(f"Model executed successfully {{count}} time(s) in 1.0 ms.")
elif words[0] == "logcat":
    print("--------- beginning of main")
    print((here / "log").read_text() if phone["logs"] else "", end="")
'''


class Phone:
    """The stand-in: what it is to say, and what it was asked."""

    def __init__(self, folder):
        self.folder = folder
        self.says = {"seen": {"A1": "device"}, "fails": "", "logs": True}
        program = folder / "adb"
        program.write_text(STUB.format(python=sys.executable))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.tell()

    def tell(self, **says):
        self.says |= says
        (self.folder / "phone.json").write_text(json.dumps(self.says))

    @property
    def calls(self):
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def phone(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    return Phone(folder)


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / "a.pte", tmp_path / "b.pte"]
    for path in paths:
        write_program(path, path.name.encode(), **about())
    return paths


@pytest.fixture
def runner(tmp_path):
    path = tmp_path / "executor_runner"
    path.write_bytes(b"for a phone")
    return path


def test_files_are_pushed_run_in_turns_and_removed(phone, files, runner):
    found = compare_on_phone(files, runner, 2, rounds=10, warmup=1)
    pushing = [call[0] for call in phone.calls].index("push")
    folder = phone.calls[pushing][2].rpartition("/")[0]
    assert folder.startswith("/data/local/tmp/mnv3-")
    program, places = f"{folder}/executor_runner", [f"{folder}/0.pte", f"{folder}/1.pte"]
    assert phone.calls[pushing - 1] == ["shell", "mkdir", folder]
    assert phone.calls[pushing : pushing + 4] == [
        ["push", str(runner), program],
        ["shell", "chmod", "755", program],
        ["push", str(files[0]), places[0]],
        ["push", str(files[1]), places[1]],
    ]
    runs = [call for call in phone.calls if call[:2] == ["shell", program]]
    options = ["--num_executions=3", "--cpu_threads=2"]  # one to warm up, 10 rounds in 5 blocks
    assert all(run[2:4] == options and run[5] == "--print_output=none" for run in runs)
    order = [run[4].removeprefix("--model_path=") for run in runs]
    blocks = [order[i : i + 2] for i in range(0, 10, 2)]
    assert all(sorted(block) == places for block in blocks)
    assert len({tuple(block) for block in blocks}) == 2  # shuffled
    assert phone.calls[-1] == ["shell", "rm", "-rf", folder]

    assert list(found.timings) == ["a.pte", "b.pte"]
    assert found["a.pte"].samples_ms == (2.5, 3.5) * 5  # the first of each block is thrown away
    assert (found.runtime, found.threads, found.rounds, found.resolution) == (
        "executorch",
        2,
        10,
        32,
    )
    assert found.machine == {
        "device": "Manufacturer Model",
        "processor": "Platform",
        "system": "Android Release",
    }


def test_few_rounds_are_fewer_blocks(phone, files, runner):
    found = compare_on_phone(files[:1], runner, rounds=3, warmup=0)
    assert found["a.pte"].samples_ms == (1.5, 1.5, 1.5)


@pytest.mark.parametrize("fails", ["push", "--model_path", "logcat"])
def test_what_was_pushed_is_removed_after_an_error(fails, phone, files, runner):
    phone.tell(fails=fails)
    with pytest.raises(
        DeviceError, match=f"'adb .*{fails}.*failed with status 1: error: it said no"
    ):
        compare_on_phone(files, runner, rounds=1)
    assert phone.calls[-1][:3] == ["shell", "rm", "-rf"]


def test_a_runner_that_says_nothing_must_be_built_anew(phone, files, runner):
    phone.tell(logs=False)
    with pytest.raises(DeviceError, match="EXECUTORCH_ENABLE_LOGGING=ON"):
        compare_on_phone(files, runner, rounds=1)
    assert phone.calls[-1][:3] == ["shell", "rm", "-rf"]


def test_no_adb_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match=r"no adb on the path.*platform-tools.*apt install adb"):
        adb("devices")


def test_an_adb_that_hangs_is_given_up(phone, monkeypatch):
    monkeypatch.setattr(android, "_LONGEST_S", 0.0)
    with pytest.raises(DeviceError, match="'adb devices' took more than"):
        adb("devices")


@pytest.mark.parametrize(
    ("seen", "serial", "reason"),
    [
        ({}, None, "sees no phone: switch USB debugging on"),
        ({"A1": "unauthorized"}, None, "A1 is unauthorized: unlock it and allow debugging"),
        ({"A1": "device", "B2": "device"}, None, r"sees 2 phones \(A1, B2\): set ANDROID_SERIAL"),
        ({"A1": "device"}, "B2", "sees no phone 'B2' but A1"),
    ],
)
def test_a_phone_that_is_not_there(seen, serial, reason, phone, monkeypatch):
    phone.tell(seen=seen)
    if serial is not None:
        monkeypatch.setenv("ANDROID_SERIAL", serial)
    with pytest.raises(DeviceError, match=reason):
        find_phone()


def test_one_of_several_phones_is_named(phone, monkeypatch):
    phone.tell(seen={"A1": "offline", "B2": "device"})
    monkeypatch.setenv("ANDROID_SERIAL", "B2")
    assert find_phone()["device"] == "Manufacturer Model"


def test_bad_files_never_reach_a_phone(phone, files, runner, tmp_path):
    with pytest.raises(FileNotFoundError, match="no executor_runner at"):
        compare_on_phone(files, tmp_path / "none")
    with pytest.raises(ValueError, match=r"runs ExecuTorch's \.pte files, not .*a\.onnx"):
        compare_on_phone([tmp_path / "a.onnx"], runner)
    files[0].write_bytes(b"damaged")
    with pytest.raises(ValueError, match="damaged or was replaced"):
        compare_on_phone(files, runner)
    card_path(files[0]).unlink()
    with pytest.raises(FileNotFoundError, match="no file"):
        compare_on_phone(files, runner)
    with pytest.raises(ValueError, match="got 0 and 3"):
        compare_on_phone(files, runner, rounds=0)
    assert phone.calls == []


def test_times_are_those_of_the_last_run_of_the_file():
    lines = [
        "I/ExecuTorch( 11): Model file /x/a.pte is loaded.",
        "I/ExecuTorch( 11): Iteration 1 of 1: 9.0 ms",
        "I/ExecuTorch( 12): Model file /x/a.pte is loaded.",
        "I/Other   ( 12): Iteration 1 of 2: 8.0 ms",
        "I/ExecuTorch( 13): Iteration 1 of 1: 7.0 ms",
        "I/ExecuTorch( 12): Iteration 1 of 2: 1.25 ms",
        "I/ExecuTorch( 12): Iteration 2 of 2: 1.5 ms",
    ]
    assert iteration_times("\r\n".join(lines), "/x/a.pte") == [1.25, 1.5]
    with pytest.raises(DeviceError, match="from ExecuTorch 1"):
        iteration_times(lines[0], "/x/a.pte")
