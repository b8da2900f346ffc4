"""The machine in words: what a reader must know to judge a time measured on it.

Processor, cores, operating system and the versions of the runtimes; no paths and no host names.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["describe_machine", "installed_versions", "machine_in_words", "processor_name"]

_PACKAGES = ("torch", "onnxruntime", "executorch")
_CPU_INFO = Path("/proc/cpuinfo")


def describe_machine() -> dict[str, object]:
    """Return processor, cores, operating system and versions, ready for JSON.

    Example:
        >>> sorted(describe_machine())
        ['cores', 'processor', 'system', 'versions']
    """
    return {
        "processor": processor_name(),
        "cores": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version(), **installed_versions(_PACKAGES)},
    }


def machine_in_words() -> str:
    """Return one line such as 'AMD EPYC, 2 cores, Linux x86_64'."""
    machine = describe_machine()
    cores = machine["cores"]
    plural = "core" if cores == 1 else "cores"
    return f"{machine['processor']}, {cores} {plural}, {machine['system']}"


def processor_name() -> str:
    """Return the processor's name as the operating system gives it."""
    if _CPU_INFO.exists():
        for line in _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return " ".join(value.split())
    return platform.processor() or platform.machine() or "unknown processor"


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the version of each of these packages that is installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
