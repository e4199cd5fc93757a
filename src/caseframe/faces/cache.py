"""Keep files that are costly to make, such that a damaged or half-written one is never used.

A stored file is the SHA-256 of its content, then the content. It is written beside its place under
a name of its own and moved there in one step, so several processes may make it at once.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

_SEAL = hashlib.sha256().digest_size


def kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return the content stored at a path; make and store it when it is absent or damaged.

    Raises OSError when the folder cannot be written, and whatever `make` raises.
    """
    content = _unsealed(path)
    if content is None:
        content = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, hashlib.sha256(content).digest() + content)
    return content


def replace(path: Path, content: bytes) -> None:
    """Write a file in one step: readers see the old one or the whole new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _unsealed(path: Path) -> bytes | None:
    try:
        stored = path.read_bytes()
    except FileNotFoundError:
        return None
    content = stored[_SEAL:]
    return content if hashlib.sha256(content).digest() == stored[:_SEAL] else None
