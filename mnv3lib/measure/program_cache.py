"""Compiled programs on disk, found again by the content that they were compiled from.

Lowering a network for ExecuTorch takes many seconds, running it takes milliseconds. The program is
therefore kept in a folder of the user's, under a name that is a hash of everything that it depends
on: the graph, the weights, the shape of the example and the version of the compiler. It is
written atomically and carries a checksum, so that a damaged one is compiled anew instead of being
run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from torch import Tensor

from mnv3lib.files import write_atomically
from mnv3lib.paths import cache_dir

__all__ = ["cached_program", "content_key"]

_DIGEST_BYTES = 32


def content_key(texts: Iterable[str], tensors: Mapping[str, Tensor]) -> str:
    """Hash texts and named tensors into one key.

    Args:
        texts: Whatever decides the program apart from the weights: graph, shapes, versions.
        tensors: The weights, any shapes; names, types, shapes and values enter the key.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{len(text)}:{text}".encode())
    for name, tensor in tensors.items():
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def cached_program(key: str, suffix: str, build: Callable[[], bytes]) -> bytes:
    """Return the program under this key, building it if there is none or a damaged one.

    Args:
        key: A `content_key`.
        suffix: The file's suffix with its dot, which tells the kind of program.
        build: Compiles the program; called at most once.

    Returns:
        The program's bytes.
    """
    path = cache_dir() / f"{key}{suffix}"
    found = _intact(path)
    if found is not None:
        return found
    program = build()
    write_atomically(path, hashlib.sha256(program).digest() + program)
    return program


def _intact(path: Path) -> bytes | None:
    """Return the program in a cache file, or None if it is missing or fails its checksum."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, program = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    return program if hashlib.sha256(program).digest() == digest else None
