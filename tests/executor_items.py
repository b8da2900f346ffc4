"""What executors compute in tests: functions that other processes can import."""

import os
import signal
import time
from pathlib import Path


class TwoArgumentsError(Exception):
    """An exception that pickle cannot copy: it is made from two values and holds one message."""

    def __init__(self, value, limit):
        super().__init__(f"{value} is above {limit}")


def square(x):
    return x * x


def process_id(_):
    return os.getpid()


def threads(_):
    import torch

    return torch.get_num_threads()


def ones(size):
    import torch

    return torch.ones(size)


def refuse_three(x):
    if x == 3:
        raise ValueError("three is refused")
    return x


def refuse_all(x):
    raise TwoArgumentsError(x, 0)


def unpicklable(_):
    return lambda: None


def leave(_):
    raise SystemExit(7)


def is_alive(pid):
    """Whether there is such a process; one that is dead is there until its parent has noticed."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(condition):
    """Gives a process on a busy machine a minute."""
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come true")


def note_and_wait(job):
    """Notes the process; every item but the first waits for ever."""
    folder, x = job
    if x:
        (Path(folder) / f"{os.getpid()}").touch()
        time.sleep(3600)
    return x


def meet(job):
    """Of "dies" and "stays", one dies, and the other one waits until the caller has noticed."""
    folder, name = job
    ours = Path(folder) / name
    ours.with_suffix(".new").write_text(str(os.getpid()))
    ours.with_suffix(".new").rename(ours)
    others = Path(folder) / {"dies": "stays", "stays": "dies"}[name]
    wait_until(others.exists)
    if name == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    wait_until(lambda: not is_alive(int(others.read_text())))
    return name


def die_on_odd(job):
    """Notes the attempt; on odd items, kills its own process in the first attempts."""
    folder, x, deaths = job
    attempts = len(list(Path(folder).glob(f"{x}-*")))
    (Path(folder) / f"{x}-{attempts}").touch()
    if x % 2 and attempts < deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return x * x
