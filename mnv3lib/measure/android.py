r"""Latency on a phone: ExecuTorch's own runner, driven through ``adb`` (chapter 12).

The runner is ``executor_runner``, a small program that loads a ``.pte`` file and runs it on an
input of ones. It is built once, from ExecuTorch's sources (release 1.4), with Android's NDK::

    cmake . --preset android-arm64-v8a -B cmake-out-android -DANDROID_PLATFORM=android-26 \
        -DCMAKE_TOOLCHAIN_FILE=$ANDROID_NDK/build/cmake/android.toolchain.cmake \
        -DCMAKE_BUILD_TYPE=Release -DEXECUTORCH_BUILD_EXECUTOR_RUNNER=ON \
        -DEXECUTORCH_BUILD_XNNPACK=ON -DEXECUTORCH_BUILD_EXTENSION_RUNNER_UTIL=ON \
        -DEXECUTORCH_BUILD_EXTENSION_EVALUE_UTIL=ON -DEXECUTORCH_ENABLE_LOGGING=ON
    cmake --build cmake-out-android --target executor_runner

Without logging a release build says nothing. On Android what it says goes to the system's log,
under the tag ``ExecuTorch``, with a line "Iteration 3 of 10: 5.1 ms" for each execution. The log
holds more than one run, so the process is looked for that said which of our files it loaded.

No phone was at hand when this was written: it is tested with a stand-in for ``adb`` that records
how it is called and answers as the sources say.

Source: ExecuTorch, ``examples/portable/executor_runner/executor_runner.cpp`` (options and log),
``runtime/platform/default/android.cpp`` (where the log goes) and
``devtools/scripts/benchmark_android.sh`` (how it is built).
"""

import math
import os
import random
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from mnv3lib.measure import runtime_executorch
from mnv3lib.measure.latency import LatencyComparison, Timing
from mnv3lib.measure.program_file import read_checked, runtime_of
from mnv3lib.measure.program_latency import common_resolution, named_paths
from mnv3lib.measure.runtimes import check_threads

__all__ = ["DeviceError", "adb", "compare_on_phone", "find_phone", "iteration_times"]

_FOLDER = "/data/local/tmp"  # where every user of adb may write and run
_BLOCKS = 5
_LONGEST_S = 600
_LOG_LINE = re.compile(r"./ExecuTorch\s*\(\s*(?P<process>\d+)\): (?P<said>.*)")
_ITERATION = re.compile(r"Iteration \d+ of \d+: (?P<ms>[\d.]+) ms")


class DeviceError(OSError):
    """A phone that cannot be reached, or does not do what it is asked for."""


def adb(*words: str) -> str:
    """Runs one ``adb`` command; all that happens on a phone goes through here.

    Args:
        *words: Arguments, such as ``"shell", "getprop"``. With several phones adb itself takes
            the one that the environment variable ``ANDROID_SERIAL`` names.

    Returns:
        What it wrote to its standard output.

    Raises:
        DeviceError: There is no adb, it failed, or it took more than ten minutes.
    """
    program = shutil.which("adb")
    if program is None:
        raise DeviceError(
            "no adb on the path: it comes with Android's SDK platform tools "
            "(https://developer.android.com/tools/releases/platform-tools), on Debian and Ubuntu "
            "with 'apt install adb'"
        )
    told = f"adb {' '.join(words)}"
    try:
        done = subprocess.run(
            [program, *words], capture_output=True, text=True, errors="replace", timeout=_LONGEST_S
        )
    except subprocess.TimeoutExpired as error:
        raise DeviceError(f"'{told}' took more than {_LONGEST_S} s") from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise DeviceError(f"'{told}' failed with status {done.returncode}: {said[-400:]}")
    return done.stdout


def find_phone() -> dict[str, object]:
    """The phone that adb talks to, in words, in the place of the machine in words.

    Raises:
        DeviceError: There is none, it does not allow debugging, or there are several and
            ``ANDROID_SERIAL`` names none of them.
    """
    lines = adb("devices").splitlines()[1:]
    states = dict(line.split("\t", 1) for line in lines if "\t" in line)
    wanted = os.environ.get("ANDROID_SERIAL")
    if not states:
        raise DeviceError(
            "adb sees no phone: switch USB debugging on in its developer options and plug it in"
        )
    if wanted is None and len(states) > 1:
        raise DeviceError(
            f"adb sees {len(states)} phones ({', '.join(states)}): set ANDROID_SERIAL to one"
        )
    serial = wanted or next(iter(states))
    if serial not in states:
        raise DeviceError(f"adb sees no phone {serial!r} but {', '.join(states)}")
    if states[serial] != "device":
        raise DeviceError(
            f"the phone {serial} is {states[serial]}: unlock it and allow debugging on its screen"
        )
    keys = {"maker": "ro.product.manufacturer", "model": "ro.product.model"}
    keys |= {"chip": "ro.board.platform", "android": "ro.build.version.release"}
    found = {key: adb("shell", "getprop", name).strip() for key, name in keys.items()}
    return {
        "device": f"{found['maker']} {found['model']}",
        "processor": found["chip"],
        "system": f"Android {found['android']}",
    }


def iteration_times(log: str, file: str) -> list[float]:
    r"""Milliseconds of each execution in the last run of a file.

    Args:
        log: The system's log in adb's format "brief".
        file: The path that the runner was given.

    Raises:
        DeviceError: The log holds no run of this file, or one without times.

    Example:
        >>> iteration_times(
        ...     "I/ExecuTorch( 7): Model file a.pte is loaded.\n"
        ...     "I/ExecuTorch( 7): Iteration 1 of 1: 5.25 ms\n",
        ...     "a.pte",
        ... )
        [5.25]
    """
    lines = [found for line in log.splitlines() if (found := _LOG_LINE.match(line))]
    first_words = f"Model file {file} is loaded."
    loaded = [line["process"] for line in lines if line["said"].strip() == first_words]
    if not loaded:
        raise DeviceError(
            "the phone's log does not tell of the run: build executor_runner with "
            "-DEXECUTORCH_ENABLE_LOGGING=ON"
        )
    said = [line["said"] for line in lines if line["process"] == loaded[-1]]
    times = [float(found["ms"]) for line in said if (found := _ITERATION.match(line))]
    if not times:
        raise DeviceError(
            "the phone's log tells no times of single executions: build executor_runner from "
            "ExecuTorch 1.4"
        )
    return times


def compare_on_phone(
    paths: Sequence[Path],
    runner: Path,
    threads: int = 1,
    *,
    rounds: int = 30,
    warmup: int = 3,
    seed: int = 0,
) -> LatencyComparison:
    """Times ExecuTorch programs on a phone, side by side.

    A process of the runner loads one file and runs it many times, so files take turns not with
    each execution but in five blocks, in each of which they come in a shuffled order.

    Args:
        paths: Files that ``mnv3 export`` wrote.
        runner: ``executor_runner``, built for the phone.
        threads: Threads to compute with.
        rounds: Timed executions of each file.
        warmup: Executions at the start of each block whose times are thrown away.
        seed: Seed of the order.

    Returns:
        The times; the machine in it is the phone.

    Raises:
        FileNotFoundError: A file, its card or the runner is missing.
        ValueError: A file that is damaged or no ExecuTorch program, files that take images of
            different sizes, or fewer than one thread or round.
        DeviceError: Anything that goes wrong with the phone.
    """
    check_threads(threads)
    if rounds < 1 or warmup < 0:
        raise ValueError(f"needs a round or more, warm-up or none, got {rounds} and {warmup}")
    names = named_paths(paths)
    for path in paths:
        if runtime_of(path) != runtime_executorch.NAME:
            raise ValueError(f"a phone runs ExecuTorch's .pte files, not {path}")
    cards = {name: read_checked(path)[1] for name, path in names.items()}
    resolution = common_resolution(cards)
    if not runner.is_file():
        raise FileNotFoundError(
            f"no executor_runner at {runner}: build it from ExecuTorch's sources, as the "
            "documentation of mnv3lib.measure.android says"
        )
    phone = find_phone()
    executions = warmup + math.ceil(rounds / min(_BLOCKS, rounds))
    samples: dict[str, list[float]] = {name: [] for name in names}
    with _pushed(runner, names) as (program, places):
        for name in _order(list(names), min(_BLOCKS, rounds), seed):
            options = [f"--num_executions={executions}", f"--cpu_threads={threads}"]
            options += [f"--model_path={places[name]}", "--print_output=none"]
            adb("shell", program, *options)
            log = adb("logcat", "-d", "-v", "brief", "-s", "ExecuTorch:I")
            samples[name] += iteration_times(log, places[name])[warmup:]
    timings = {
        name: Timing(name, tuple(samples[name][:rounds]), card["agreement"]["max_difference"])
        for name, card in cards.items()
    }
    return LatencyComparison(timings, resolution, "executorch", threads, rounds, phone)


@contextmanager
def _pushed(runner: Path, names: dict[str, Path]) -> Iterator[tuple[str, dict[str, str]]]:
    """Puts runner and files into a folder of their own on the phone, and removes it at the end.

    Yields:
        Paths on the phone: of the runner, and of each file by its name.
    """
    folder = f"{_FOLDER}/mnv3-{secrets.token_hex(4)}"
    program = f"{folder}/executor_runner"
    places = {name: f"{folder}/{number}.pte" for number, name in enumerate(names)}
    remove = partial(adb, "shell", "rm", "-rf", folder)
    try:
        adb("shell", "mkdir", folder)
        adb("push", str(runner), program)
        adb("shell", "chmod", "755", program)
        for name, path in names.items():
            adb("push", str(path), places[name])
        yield program, places
    except BaseException:
        with suppress(DeviceError):  # the first error is the one to tell
            remove()
        raise
    remove()


def _order(names: list[str], blocks: int, seed: int) -> list[str]:
    """Every name once a block, shuffled in each."""
    order = random.Random(seed)
    return [name for _ in range(blocks) for name in order.sample(names, len(names))]
