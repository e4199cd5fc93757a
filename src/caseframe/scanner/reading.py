"""Opening evidence without changing it and without ever leaving the source folder.

A path is walked one name at a time from the source's own descriptor, and no link is followed at
any step, so neither a link nor a folder swapped for one while we work leads outside. This also
reaches paths longer than the operating system takes in one call.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from itertools import chain

from caseframe.domain.errors import ReadError

# O_NOATIME keeps access times as they were; the system allows it to the owner and to root only.
_NOATIME = getattr(os, "O_NOATIME", 0)
_BASE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_FILE = _BASE | os.O_NONBLOCK  # a named pipe put in a file's place must not hang us
_FOLDER = _BASE | os.O_DIRECTORY
CHUNK = 1 << 20
_PIECE = 8 << 20  # larger than most pictures


def _open(name: bytes, flags: int, parent: int | None) -> int:
    try:
        return os.open(name, flags | _NOATIME, dir_fd=parent)
    except PermissionError:
        return os.open(name, flags, dir_fd=parent)


def open_root(root: bytes) -> int:
    """A descriptor of the source folder itself, whose own path may pass through links."""
    return _open(root, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY, None)


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


class Standing(Enum):
    """What stands at a path: nothing, a folder, another name of whatever kind, or nobody knows."""

    NOTHING = "nothing"
    FOLDER = "folder"
    NAME = "name"
    UNKNOWN = "unknown"


# What the system says where there is no such name; anything else, such as a folder without
# permission or a disk that fails, tells nothing of the name.
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}


def standing_beneath(root: int, path: bytes) -> Standing:
    """What stands at `path` below the folder `root`; unknown where a folder cannot be read."""
    folder, _, name = path.rpartition(b"/")
    try:
        at = open_beneath(root, folder, folder=True) if folder else os.dup(root)
        try:
            mode = os.lstat(name, dir_fd=at).st_mode
        finally:
            os.close(at)
    except OSError as error:
        return Standing.NOTHING if error.errno in _ABSENT else Standing.UNKNOWN
    return Standing.FOLDER if stat.S_ISDIR(mode) else Standing.NAME


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


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReadError(f"cannot be read: {error.strerror}") from error


def read_head(descriptor: int, most: int) -> bytes:
    """The first bytes, at most so many; what is read next stays. Raises ReadError."""
    with _readable():
        return os.pread(descriptor, most, 0)


def read_chunks(descriptor: int, chunk: int = CHUNK) -> Iterator[bytes]:
    """The file's bytes in pieces. Raises ReadError when the disk does."""
    while True:
        with _readable():
            piece = os.read(descriptor, chunk)
        if not piece:
            return
        yield piece


def silent() -> None:
    """For those who need not know that a piece was read."""


def read_all(descriptor: int, expected: int, told: Callable[[], object] = silent) -> bytes:
    """All bytes of a file of `expected` size; one read call for most files.

    `told` is called after each piece. Raises ReadError when the disk does.
    """
    with _readable():
        first = os.read(descriptor, min(expected, _PIECE) + 1)
    if len(first) == expected:
        return first
    whole = io.BytesIO()  # gives its bytes away without copying them, unlike join
    for piece in chain((first,), read_chunks(descriptor, _PIECE)):
        told()
        whole.write(piece)
        if whole.tell() > expected:
            break  # what grows while it is read need never end
    return whole.getvalue()


def ensure_unchanged(descriptor: int, before: os.stat_result, read: int) -> None:
    """Raise ReadError when the file changed while it was read, so that no mixture is recorded."""
    with _readable():
        after = os.fstat(descriptor)
    if _stamp(after) != _stamp(before):
        raise ReadError("changed while it was being read; scan again when nothing writes to it")
    if read != before.st_size:
        raise ReadError(f"is said to hold {before.st_size} bytes, and {read} came when it was read")


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    # The modification time can be put back by whoever wrote, the time of change cannot.
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
