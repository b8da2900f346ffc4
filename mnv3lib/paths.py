"""Where files lie: the project's own small data, and what can be made or fetched again.

A checkout keeps the project's data (claims, recipes, recorded runs) in ``data/`` beside the
package; an installed wheel carries the same folder as ``mnv3lib/_data``. Nothing here looks at
the working directory, so a notebook, a test and the command line find the same files wherever
they are started.

Used from chapter 6 (latency) on, where the first recorded run is read.
"""

import os
from pathlib import Path

__all__ = ["cache_dir", "data_root"]

_PACKAGE = Path(__file__).resolve().parent


def data_root() -> Path:
    """Return the folder that holds the project's own data files.

    Returns:
        The repository's ``data/`` when the package is used from a checkout, else the copy
        inside the installed package.

    Raises:
        FileNotFoundError: Neither folder exists.
    """
    candidates = (_PACKAGE.parent / "data", _PACKAGE / "_data")
    for folder in candidates:
        if (folder / "claims").is_dir():
            return folder
    looked = " and ".join(str(folder) for folder in candidates)
    raise FileNotFoundError(
        f"no data folder with claims/ in it: looked at {looked}; "
        "reinstall mnv3lib, or run from a complete checkout"
    )


def cache_dir() -> Path:
    """Return the folder for what can be made or fetched again: compiled programs, downloads.

    `MNV3_CACHE` names it if set; otherwise it is `mnv3lib` in `XDG_CACHE_HOME` or in `~/.cache`.
    """
    chosen = os.environ.get("MNV3_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "mnv3lib"
