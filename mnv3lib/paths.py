"""Where the small data files of the project lie: claims, recorded runs, latency tables.

A checkout keeps them in ``data/`` beside the package; an installed wheel carries the same
folder as ``mnv3lib/_data``. Nothing here looks at the working directory, so a notebook, a test
and the command line find the same files wherever they are started.

Used from chapter 6 (latency) on, where the first recorded run is read.
"""

from pathlib import Path

__all__ = ["data_root"]

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
