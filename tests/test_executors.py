"""Executors: each index once, whatever happens to the workers, and nothing is left behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import executor_items as work
from mnv3lib.executors import (
    KINDS,
    InProcess,
    MissingRayError,
    Processes,
    RayWorkers,
    WorkerDiedError,
    make_executor,
)

CREWS = KINDS[1:]


@pytest.fixture(scope="module")
def cluster():
    """Two Ray workers for the whole module."""
    try:
        executor = RayWorkers(2)
    except MissingRayError as error:
        pytest.skip(str(error))
    with executor:
        yield executor


@pytest.fixture
def make(request):
    """From the name of a kind and more arguments to an executor with two workers."""

    def make(kind, **options):
        if kind == "ray":
            request.getfixturevalue("cluster")  # which every other RayWorkers joins
        return {"processes": Processes, "ray": RayWorkers}[kind](2, **options)

    return lambda kind, **options: InProcess() if kind == "in-process" else make(kind, **options)


def children() -> set[int]:
    """Processes that this one has started and that are still there."""
    return {process.pid for process in multiprocessing.active_children()}


# --- results -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_item_is_computed_once(kind, make):
    found = list(make(kind).map(work.square, [4, 0, -1, 7, 4]))
    assert sorted(found) == [(0, 16), (1, 0), (2, 1), (3, 49), (4, 16)]


@pytest.mark.parametrize("kind", KINDS)
def test_no_items_need_no_worker(kind, make):
    assert list(make(kind).map(work.square, [])) == []


@given(items=st.lists(st.integers()))
def test_results_in_process_are_those_of_the_builtin_map(items):
    assert list(InProcess().map(work.square, items)) == list(enumerate(map(work.square, items)))


def test_in_process_nothing_is_computed_before_it_is_asked_for():
    seen = []
    results = InProcess().map(seen.append, ["a", "b", "c"])
    assert seen == []
    next(results)
    assert seen == ["a"]


@pytest.mark.parametrize("kind", CREWS)
def test_workers_are_other_processes(kind, make):
    pids = dict(make(kind).map(work.process_id, range(6)))
    assert os.getpid() not in pids.values()
    assert len(set(pids.values())) <= 2


def test_processes_compute_with_one_thread_and_send_tensors(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with Processes(1) as executor:
        assert dict(executor.map(work.threads, [None])) == {0: 1}
        ((_, ones),) = executor.map(work.ones, [2])
    assert ones.tolist() == [1, 1]  # though the worker that has made them is gone
    assert os.environ["OMP_NUM_THREADS"] == "3"


def test_processes_live_on_within_a_with_block():
    with Processes(1) as executor:
        ((_, first),) = executor.map(work.process_id, [0])
        ((_, second),) = executor.map(work.process_id, [0])
        assert first == second
        assert first in children()
    assert first not in children()


# --- exceptions --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_reaches_the_caller(kind, make):
    before = children()
    found = []
    with pytest.raises(ValueError, match="three is refused") as caught:
        found.extend(make(kind).map(work.refuse_three, [0, 1, 2, 3]))
    assert type(caught.value) is ValueError
    assert children() == before
    if kind != "in-process":
        assert "in refuse_three" in "".join(caught.value.__notes__)


@pytest.mark.parametrize("kind", CREWS)
def test_results_before_an_exception_stay(kind, make):
    executor = make(kind)
    executor.workers = 1  # so that the order is certain
    found = []
    with pytest.raises(ValueError, match="three"):
        found.extend(executor.map(work.refuse_three, [0, 3, 5]))
    assert found == [(0, 0)]


@pytest.mark.parametrize("kind", CREWS)
def test_exceptions_that_cannot_be_copied_are_told(kind, make):
    with pytest.raises(RuntimeError, match="TwoArgumentsError: 2 is above 0"):
        list(make(kind).map(work.refuse_all, [2]))


@pytest.mark.parametrize("kind", KINDS)
def test_an_exit_in_the_function_is_the_callers(kind, make):
    with pytest.raises(SystemExit, match="7"):
        list(make(kind).map(work.leave, [0]))


def test_what_cannot_be_pickled_is_an_error_here():
    before = children()
    with pytest.raises((AttributeError, TypeError), match="pickle"):
        list(Processes(1).map(lambda x: x, [0]))
    with pytest.raises((AttributeError, TypeError), match="pickle"):
        list(Processes(1).map(work.unpicklable, [0]))
    assert children() == before


# --- workers that die --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CREWS)
def test_the_item_of_a_dead_worker_is_given_to_another(kind, make, tmp_path, capfd):
    jobs = [(str(tmp_path), x, 1) for x in range(4)]
    found = list(make(kind).map(work.die_on_odd, jobs))
    assert sorted(found) == [(x, x * x) for x in range(4)]
    # Once for each item, and once more for those over which a worker has died.
    attempts = sorted(path.name for path in tmp_path.iterdir())
    assert attempts == ["0-0", "1-0", "1-1", "2-0", "3-0", "3-1"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", CREWS)
@pytest.mark.parametrize("retries", [0, 1])
def test_retries_end(kind, retries, make, tmp_path):
    jobs = [(str(tmp_path), x, 9) for x in (0, 1, 2)]
    with pytest.raises(WorkerDiedError, match=r"item 1, \('.*its worker died (once|2 times) \("):
        list(make(kind, retries=retries).map(work.die_on_odd, jobs))
    assert len(list(tmp_path.glob("1-*"))) == retries + 1
    assert children() == set()


def test_what_others_have_in_hand_is_finished_when_retries_end(tmp_path):
    jobs = [(str(tmp_path), name) for name in ("dies", "stays", "never")]
    found = []
    with pytest.raises(WorkerDiedError, match=r"item 0.*killed by SIGKILL.*fewer workers"):
        found.extend(Processes(2, retries=0).map(work.meet, jobs))
    assert found == [(1, "stays")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dies", "stays"]


def test_an_idle_process_that_has_died_costs_no_retry():
    with Processes(1, retries=0) as executor:
        ((_, pid),) = executor.map(work.process_id, [0])
        os.kill(pid, 9)
        work.wait_until(lambda: pid not in children())
        assert dict(executor.map(work.square, [3])) == {0: 9}


# --- the end -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CREWS)
def test_a_caller_who_stops_leaves_no_worker_busy(kind, make, tmp_path):
    executor = make(kind)
    results = executor.map(work.note_and_wait, [(str(tmp_path), x) for x in range(4)])
    assert next(results) == (0, 0)
    work.wait_until(lambda: list(tmp_path.iterdir()))
    results.close()
    (busy,) = [int(path.name) for path in tmp_path.iterdir()]
    work.wait_until(lambda: not work.is_alive(busy))
    assert children() == set()
    assert dict(executor.map(work.square, [3])) == {0: 9}


CALLER = """
import signal
import sys
import executor_items as work
from mnv3lib.executors import Processes

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
    results = Processes(2).map(work.note_and_wait, [(sys.argv[1], x) for x in range(2)])
    next(results)
    {then}
"""


@pytest.mark.parametrize(
    ("then", "sent"),
    [("sys.exit(3)", None), ("next(results)", signal.SIGINT), ("next(results)", signal.SIGTERM)],
)
def test_a_caller_that_ends_or_is_stopped_leaves_no_process(then, sent, tmp_path):
    script = tmp_path / "caller.py"
    script.write_text(CALLER.format(then=then))
    (folder := tmp_path / "processes").mkdir()
    caller = subprocess.Popen(
        [sys.executable, str(script), str(folder)],
        env={**os.environ, "PYTHONPATH": str(Path(work.__file__).parent)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    if sent is not None:  # it waits for ever
        work.wait_until(lambda: list(folder.iterdir()))
    if sent == signal.SIGINT:  # Ctrl-C reaches it, the busy worker and the idle one
        os.killpg(caller.pid, sent)
    elif sent == signal.SIGTERM:  # `kill` reaches it alone
        caller.send_signal(sent)
    _, told = caller.communicate(timeout=60)
    assert caller.returncode == (3 if sent is None else -sent)
    assert told.count("Traceback") == (sent == signal.SIGINT)  # the workers say nothing
    for path in folder.iterdir():
        work.wait_until(lambda pid=int(path.name): not work.is_alive(pid))


# --- Ray ---------------------------------------------------------------------------------------


def test_a_cluster_that_runs_is_joined_and_left_running(cluster):
    import ray

    address = ray.get_runtime_context().gcs_address
    script = (
        "from mnv3lib.executors import RayWorkers\n"
        f"print(sorted(RayWorkers(2, address={address!r}).map(abs, [-1, 2])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[(0, 1), (1, 2)]\n", "")
    assert ray.is_initialized()
    assert dict(cluster.map(work.square, [3])) == {0: 9}


def test_without_ray_a_sentence_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingRayError, match=r'pip install "mnv3lib\[ray\]"'):
        make_executor("ray", workers=2)


# --- bad input ---------------------------------------------------------------------------------


def test_executors_by_name(cluster):
    assert isinstance(make_executor("in-process"), InProcess)
    assert make_executor("processes", workers=3).workers == 3
    assert isinstance(make_executor("ray", workers=2), RayWorkers)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("threads", 2), "unknown executor 'threads': choose one of in-process, processes, ray"),
        (("in-process", 2), "workers=2: choose 'processes'"),
        (("processes", 0), "workers must be an integer of at least 1, got 0"),
        (("processes", 1.5), "at least 1, got 1.5"),
    ],
)
def test_executors_that_cannot_be_made(arguments, text):
    with pytest.raises(ValueError, match=text):
        make_executor(*arguments)


@pytest.mark.parametrize("kind", CREWS)
def test_retries_that_cannot_be(kind, make):
    with pytest.raises(ValueError, match="retries must be an integer of at least 0, got -1"):
        make(kind, retries=-1)
