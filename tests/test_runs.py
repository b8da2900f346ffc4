"""Recorded runs survive the way to disk, and refuse what others could not repeat."""

import json
from datetime import UTC, datetime

import pytest

from mnv3lib import runs

START = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)


def write(path, **changes):
    content = {
        "command": "python -m mnv3lib.example --out data/runs/example.json",
        "config": {"resolution": 64},
        "seeds": [0, 1],
        "metrics": {"accuracy": [0.5, 0.75]},
        "started": START,
        "duration_s": 1.25,
    }
    return runs.write_run("example", **{**content, **changes}, path=path)


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "example.json"
    run = write(path)
    assert runs.read_run("example", path=path) == run
    assert run.metrics == {"accuracy": [0.5, 0.75]}
    assert run.started == "2025-01-02T03:04:05+00:00"


def test_the_file_has_the_fields_of_a_recorded_run(tmp_path):
    path = tmp_path / "example.json"
    write(path)
    assert list(json.loads(path.read_text())) == [
        "name", "command", "config", "seeds", "commit",
        "machine", "started", "duration_s", "metrics",
    ]  # fmt: skip


def test_nothing_is_left_beside_the_file(tmp_path):
    write(tmp_path / "example.json")
    assert [p.name for p in tmp_path.iterdir()] == ["example.json"]


def test_a_failed_write_keeps_the_old_run(tmp_path):
    path = tmp_path / "example.json"
    run = write(path)
    with pytest.raises(ValueError, match="JSON"):
        write(path, metrics={"loss": float("nan")})
    assert runs.read_run("example", path=path) == run


def test_a_start_needs_a_time_zone(tmp_path):
    with pytest.raises(ValueError, match="time zone"):
        write(tmp_path / "r.json", started=datetime(2025, 1, 2))


@pytest.mark.parametrize("command", ["python /home/me/run.py", r"python C:\run.py"])
def test_paths_of_one_machine_are_refused(tmp_path, command):
    with pytest.raises(ValueError, match="absolute path"):
        write(tmp_path / "r.json", command=command)


def test_the_default_place_is_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "data_root", lambda: tmp_path)
    write(None)
    assert (tmp_path / "runs" / "example.json").is_file()
    assert runs.run_names() == ["example"]


def test_a_missing_run_is_an_error_that_lists_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "data_root", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match="none yet"):
        runs.read_run("example")
    write(None)
    with pytest.raises(FileNotFoundError, match="recorded are example"):
        runs.read_run("other")


@pytest.mark.parametrize("content", ["{", "{}", '{"name": "x", "more": 1}'])
def test_a_file_that_is_no_run_is_an_error(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="not a recorded run"):
        runs.read_run("x", path=path)


@pytest.mark.parametrize("name", ["", "Upper", "a b", "../a", "a--b"])
def test_a_name_must_be_a_file_name(name):
    with pytest.raises(ValueError, match="lower-case"):
        runs.run_path(name)


def test_without_git_the_commit_is_empty(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert runs._commit() == ""
