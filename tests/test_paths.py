"""The data folder is found from the package, never from the working directory."""

import pytest

from mnv3lib import paths


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """An empty checkout with the package folder in it."""
    package = tmp_path / "mnv3lib"
    package.mkdir()
    monkeypatch.setattr(paths, "_PACKAGE", package)
    return tmp_path


def test_a_checkout_uses_its_own_data(repository, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert paths.data_root() == repository / "data"


def test_an_installed_package_uses_its_copy(layout):
    (layout / "mnv3lib" / "_data" / "claims").mkdir(parents=True)
    assert paths.data_root() == layout / "mnv3lib" / "_data"


def test_the_checkout_wins_over_the_copy(layout):
    (layout / "mnv3lib" / "_data" / "claims").mkdir(parents=True)
    (layout / "data" / "claims").mkdir(parents=True)
    assert paths.data_root() == layout / "data"


def test_a_foreign_data_folder_does_not_count(layout):
    (layout / "data").mkdir()
    with pytest.raises(FileNotFoundError, match=r"reinstall mnv3lib") as error:
        paths.data_root()
    assert str(layout / "data") in str(error.value)


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MNV3_CACHE", str(tmp_path / "own"))
    assert paths.cache_dir() == tmp_path / "own"
    monkeypatch.delenv("MNV3_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert paths.cache_dir() == tmp_path / "mnv3lib"
