"""The sources root: listing its folders, and turning what a client names into a real folder in it.

Paths are bytes relative to the root, `/` between names, b"" for the root itself. Every step is
opened without following links, so nothing leads outside the root.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from itertools import islice

from caseframe.domain.errors import NotFound, ReadError
from caseframe.scanner.reading import open_beneath, open_root

_MOST = 5000


@dataclass(frozen=True, slots=True)
class Source:
    """A folder directly below the root; times are seconds since 1970 UTC."""

    name: bytes
    created: float
    """The oldest time that the system knows of it: few file systems keep a time of creation."""
    modified: float


@dataclass(frozen=True, slots=True)
class Entries:
    """Names of folders, sorted; the number of files; whether there were too many to list."""

    folders: tuple[bytes, ...]
    files: int
    more: bool


def entries(root: bytes, path: bytes) -> Entries:
    """What stands in a folder below `root`. Raises NotFound."""
    descriptor = _open(root, path)
    try:
        return _entries(descriptor)
    finally:
        os.close(descriptor)


def folder_at(root: bytes, path: bytes) -> bytes:
    """The absolute path of a folder below `root`. Raises NotFound for anything else."""
    os.close(_open(root, path))
    return os.path.join(root, path) if path else root


def sources(root: bytes) -> list[Source]:
    """The folders directly below `root`, by name. Raises NotFound when it cannot be opened."""
    descriptor = _open(root, b"")
    try:
        found = (_source(descriptor, name) for name in _entries(descriptor).folders)
        return [source for source in found if source is not None]
    finally:
        os.close(descriptor)


def source_name(root: bytes, folder: bytes) -> bytes | None:
    """The path below `root` of an absolute folder; None for one that lies elsewhere."""
    if folder == root:
        return b""
    start = root.rstrip(b"/") + b"/"
    return folder[len(start) :] if folder.startswith(start) else None


def _source(root: int, name: bytes) -> Source | None:
    try:
        status = os.lstat(name, dir_fd=root)
    except OSError:
        return None  # it went a moment ago
    born = getattr(status, "st_birthtime", min(status.st_ctime, status.st_mtime))
    return Source(name, born, status.st_mtime)


def _open(root: bytes, path: bytes) -> int:
    try:
        top = open_root(root)
    except OSError as error:
        raise NotFound(f"the sources root cannot be opened: {error.strerror}") from error
    if not path:
        return top
    try:
        return open_beneath(top, path, folder=True)
    except (OSError, ReadError, ValueError) as error:
        raise NotFound("there is no such folder below the sources root") from error
    finally:
        os.close(top)


def _entries(descriptor: int) -> Entries:
    folders: list[bytes] = []
    files = 0
    with os.scandir(descriptor) as listed:
        found = list(islice(listed, _MOST + 1))
    for entry in found[:_MOST]:
        try:
            mode = entry.stat(follow_symlinks=False).st_mode
        except OSError:
            continue
        if stat.S_ISDIR(mode):
            folders.append(os.fsencode(entry.name))
        elif stat.S_ISREG(mode):
            files += 1
    return Entries(tuple(sorted(folders)), files, len(found) > _MOST)
