"""Opening evidence without changing it and without ever leaving the source folder.

A path is walked one name at a time from the source's own descriptor, and no link is followed at
any step, so neither a link nor a folder swapped for one while we work leads outside. This also
reaches paths longer than the operating system takes in one call.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from caseframe.domain.errors import ReadError

# O_NOATIME keeps access times as they were; the system allows it to the owner and to root only.
_NOATIME = getattr(os, "O_NOATIME", 0)
_BASE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_FILE = _BASE | os.O_NONBLOCK  # a named pipe put in a file's place must not hang us
_FOLDER = _BASE | os.O_DIRECTORY
CHUNK = 1 << 20


def _open(name: bytes, flags: int, parent: int | None) -> int:
    try:
        return os.open(name, flags | _NOATIME, dir_fd=parent)
    except PermissionError:
        return os.open(name, flags, dir_fd=parent)


def open_root(root: bytes) -> int:
    """A descriptor of the source folder itself, whose own path may pass through links."""
    return os.open(root, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)


def _names(path: bytes) -> list[bytes]:
    names = path.split(b"/")
    if path.startswith(b"/") or any(n in (b"", b".", b"..") or b"\0" in n for n in names):
        raise ReadError("the path leaves the source folder")
    return names


def open_beneath(root: int, path: bytes, *, folder: bool = False) -> int:
    """Open `path` below the folder `root` (a descriptor); the caller closes what it gets.

    Raises OSError as `os.open` does (ELOOP or ENOTDIR where a link stands in the way) and
    ReadError for a path that is not a plain relative one.
    """
    *folders, last = _names(path)
    at = root
    try:
        for name in folders:
            below = _open(name, _FOLDER, at)
            if at != root:
                os.close(at)
            at = below
        return _open(last, _FOLDER if folder else _FILE, at)
    finally:
        if at != root:
            os.close(at)


def exists_beneath(root: int, path: bytes) -> bool:
    """Whether any name, of whatever kind, stands at `path` below the folder `root`."""
    folder, _, name = path.rpartition(b"/")
    try:
        at = open_beneath(root, folder, folder=True) if folder else os.dup(root)
    except OSError:
        return False
    try:
        os.lstat(name, dir_fd=at)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(at)


@contextmanager
def opened(root: int, path: bytes) -> Iterator[tuple[int, os.stat_result]]:
    """A regular file below `root`, opened for reading, with its status.

    Raises ReadError with a reason for people when it cannot be opened or is not a regular file.
    """
    try:
        descriptor = open_beneath(root, path)
    except OSError as error:
        raise ReadError(f"cannot be opened: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ReadError("is no longer a regular file")
        yield descriptor, status
    finally:
        os.close(descriptor)


def read_chunks(descriptor: int, chunk: int = CHUNK) -> Iterator[bytes]:
    """The file's bytes in pieces. Raises ReadError when the disk does."""
    while True:
        try:
            piece = os.read(descriptor, chunk)
        except OSError as error:
            raise ReadError(f"cannot be read: {error.strerror}") from error
        if not piece:
            return
        yield piece


def read_all(descriptor: int, expected: int) -> bytes:
    """All bytes of a file of `expected` size; one read call for most files."""
    try:
        first = os.read(descriptor, expected + 1)
    except OSError as error:
        raise ReadError(f"cannot be read: {error.strerror}") from error
    if len(first) == expected:
        return first
    return first + b"".join(read_chunks(descriptor))


def ensure_unchanged(descriptor: int, before: os.stat_result, read: int) -> None:
    """Raise ReadError when the file changed while it was read, so that no mixture is recorded."""
    after = os.fstat(descriptor)
    same = (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    if not same or read != before.st_size:
        raise ReadError("changed while it was being read; scan again when nothing writes to it")
